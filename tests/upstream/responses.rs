//! The Responses API, row by row: what upstream does, and how the reply ends.

use serde_json::{Value, json};

use super::retries::notices;
use crate::support::{
    app::{
        Setup, TestApp, chunked, requests, spawn_app_with, spawn_canned, spawn_scenario,
        spawn_stepped,
    },
    client::{Event, proven, text_of},
};

const PIN: &str = "--azure-openai-api=responses";

async fn played(scenario: &str) -> (TestApp, Vec<Event>) {
    let app = spawn_scenario(scenario, &[PIN]).await;
    let events = app.stream("Tell me of the river").await.rest().await;
    proven(&events);
    (app, events)
}

fn end(events: &[Event]) -> &Value {
    &events.last().unwrap().data
}

/// Whether the reply has text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Text {
    None,
    Some,
}

#[actix_web::test]
async fn every_complete_response_completes_the_reply() {
    for (scenario, finish_reason, text) in [
        ("incomplete-length", "length", Text::Some),
        ("incomplete-length-no-text", "length", Text::None),
        ("refusal", "stop", Text::Some),
        ("tool-calls", "tool_calls", Text::Some),
        ("reasoning-summary", "stop", Text::Some),
        ("commentary-then-final", "stop", Text::Some),
        ("keepalive", "stop", Text::Some),
        ("unknown-event", "stop", Text::Some),
        ("huge-created", "stop", Text::Some),
        ("done-disagrees", "stop", Text::Some),
        ("done-longer", "stop", Text::Some),
        ("null-content-filters", "stop", Text::Some),
        ("no-event-lines", "stop", Text::Some),
        ("done-appended", "stop", Text::Some),
        ("terminal-without-blank-line", "stop", Text::Some),
        ("background-queued", "stop", Text::Some),
        ("surrogates", "stop", Text::Some),
        ("one-byte", "stop", Text::Some),
        ("crlf", "stop", Text::Some),
        ("multi-line", "stop", Text::Some),
    ] {
        let (_app, events) = played(scenario).await;
        let end = end(&events);
        assert_eq!(end["status"], "completed", "{scenario}: {end}");
        assert_eq!(end["finish_reason"], finish_reason, "{scenario}");
        assert_eq!(
            text_of(&events).is_empty(),
            text == Text::None,
            "{scenario}"
        );
        assert!(end["usage"]["total_tokens"].is_u64(), "{scenario}: {end}");
        assert!(end["model"].is_string(), "{scenario}: {end}");
    }
}

#[actix_web::test]
async fn every_failed_response_fails_the_reply_with_its_code() {
    for (scenario, code, finish_reason, text) in [
        (
            "deployment-missing-in-200",
            "deployment_not_found",
            None,
            Text::None,
        ),
        ("filter-in-200", "prompt_filtered", None, Text::None),
        ("prompt-filtered-400", "prompt_filtered", None, Text::None),
        (
            "incomplete-filter",
            "reply_filtered",
            Some("content_filter"),
            Text::Some,
        ),
        (
            "late-blocked",
            "reply_filtered",
            Some("content_filter"),
            Text::None,
        ),
        ("no-terminal", "upstream_truncated", None, Text::Some),
        ("truncated", "upstream_truncated", None, Text::Some),
        ("error-in-stream", "upstream_error", None, Text::Some),
        ("bad-json", "upstream_protocol", None, Text::Some),
        ("context-too-long", "context_too_long", None, Text::None),
        ("json-200", "upstream_protocol", None, Text::None),
    ] {
        let (_app, events) = played(scenario).await;
        let end = end(&events);
        assert_eq!(end["status"], "failed", "{scenario}: {end}");
        assert_eq!(end["error"]["code"], code, "{scenario}");
        assert_eq!(end["finish_reason"], json!(finish_reason), "{scenario}");
        assert_eq!(
            text_of(&events).is_empty(),
            text == Text::None,
            "{scenario}"
        );
    }
}

/// Rate limits inside a 200, in every form, with the wait of the head or of the sentence.
#[actix_web::test]
async fn a_rate_limit_inside_a_200_is_one() {
    for scenario in [
        "429-in-200-error-first",
        "429-in-200-failed-first",
        "error-flat",
    ] {
        // The wait is longer than the reply may take, so that it fails at once.
        let app = spawn_scenario(scenario, &[PIN, "--max-reply-seconds=2"]).await;
        let events = app.stream("river").await.rest().await;
        let error = &proven(&events)["error"];
        assert_eq!(error["code"], "rate_limited", "{scenario}");
        assert_eq!(error["retry_after_ms"], 4000, "{scenario}");
    }
    let (app, events) = played("busy-in-200").await;
    assert_eq!(end(&events)["status"], "completed");
    assert_eq!(notices(&events).len(), 1);
    assert_eq!(requests(&app.simulator.journal().records()).len(), 2);
    let (_app, events) = played("failed-uncoded").await;
    assert_eq!(end(&events)["error"]["code"], "upstream_error");
}

#[actix_web::test]
async fn the_reply_ends_with_the_terminal_event_and_not_with_the_connection() {
    let app = spawn_scenario("open-after-terminal", &[PIN]).await;
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    assert_eq!(end["status"], "completed");
    assert!(end["usage"].is_object());
    assert!(
        end["ms"]["total"].as_u64().unwrap() < 5000,
        "it did not wait for silence"
    );
    app.upstream_was_left().await;
}

#[actix_web::test]
async fn deltas_that_the_whole_text_contradicts_are_replaced() {
    let (_app, events) = played("done-disagrees").await;
    let replaced = events.iter().find(|event| event.name == "replace").unwrap();
    assert_eq!(replaced.data["why"], "correction");
    assert_eq!(replaced.data["text"], text_of(&events));
    assert_eq!(
        end(&events)["bytes"],
        text_of(&events).len(),
        "the end is about the new text"
    );
    let (_app, events) = played("done-longer").await;
    assert!(events.iter().all(|event| event.name != "replace"));
}

#[actix_web::test]
async fn a_stop_closes_upstream() {
    let app = spawn_stepped(&[PIN]).await;
    let mut viewer = app.stream("river").await;
    let path = viewer.header("location").unwrap().to_owned();
    app.upstream_was_asked().await;
    app.steps.release(6);
    while viewer.next_stored().await.unwrap().name != "delta" {}
    assert_eq!(app.delete(&path).await.json().await["status"], "stopped");
    app.upstream_was_left().await;
    assert_eq!(end(&viewer.rest().await)["status"], "stopped");
}

#[actix_web::test]
async fn text_that_the_filter_blocks_late_is_replaced() {
    let (_app, events) = played("late-blocked").await;
    assert!(events.iter().any(|event| event.name == "delta"));
    let replaced = events.iter().find(|event| event.name == "replace").unwrap();
    assert_eq!(replaced.data, json!({"text": "", "why": "content_filter"}));
    assert_eq!(end(&events)["bytes"], 0);
}

#[actix_web::test]
async fn reasoning_comes_only_if_it_is_asked_for() {
    let names = |events: &[Event]| -> Vec<String> {
        events.iter().map(|event| event.name.clone()).collect()
    };
    for scenario in ["reasoning-summary", "commentary-then-final"] {
        let (_app, without) = played(scenario).await;
        assert!(!names(&without).contains(&"reasoning".to_owned()));
        let app = spawn_scenario(scenario, &[PIN, "--reasoning-summary=auto"]).await;
        let with = app.stream("Tell me of the river").await.rest().await;
        proven(&with);
        let reasoning: String = with
            .iter()
            .filter(|event| event.name == "reasoning")
            .map(|event| event.data["text"].as_str().unwrap())
            .collect();
        let words = if scenario == "reasoning-summary" {
            "**Finding the rhyme**\n\nThe sea rhymes with free."
        } else {
            "I look for words."
        };
        assert_eq!(reasoning, words);
        assert_eq!(text_of(&with), text_of(&without), "{scenario}");
    }
}

/// A reply of the longest text, every character of which JSON writes in six bytes, and which the
/// Responses API repeats four times.
#[actix_web::test]
async fn the_longest_reply_with_every_character_escaped_is_complete_over_both_apis() {
    const DELTAS: usize = 1 << 10;
    const LENGTH: usize = (1 << 20) / DELTAS;
    // U+0001 takes a byte of UTF-8, and six of JSON.
    let text = "\\u0001".repeat(LENGTH);
    let whole = text.repeat(DELTAS);
    let instructions = "\\u0001".repeat(256 * 1024);
    let usage = "{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3}";
    let part = format!("{{\"type\":\"output_text\",\"text\":\"{whole}\"}}");
    let item = format!("{{\"type\":\"message\",\"content\":[{part}]}}");
    let event = |kind: &str, fields: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":0,{fields}}}\n\n")
    };
    let response = |output: &str| {
        format!(
            "\"response\":{{\"instructions\":\"{instructions}\",\"output\":[{output}],\"usage\":{usage}}}"
        )
    };
    let responses = [
        event("response.created", &response("")),
        event(
            "response.output_text.delta",
            &format!("\"delta\":\"{text}\""),
        )
        .repeat(DELTAS),
        event(
            "response.output_text.done",
            &format!("\"text\":\"{whole}\""),
        ),
        event("response.content_part.done", &format!("\"part\":{part}")),
        event("response.output_item.done", &format!("\"item\":{item}")),
        event("response.completed", &response(&item)),
    ]
    .concat();
    let delta = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let finish = concat!(
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],",
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n",
    );
    let chat = format!("{}{finish}", delta.repeat(DELTAS));
    for (api, body) in [("responses", responses), ("chat", chat)] {
        let (upstream, _) = spawn_canned(chunked(body.as_bytes())).await;
        let app = spawn_app_with(Setup {
            endpoint: Some(format!("http://{upstream}")),
            flags: &[&format!("--azure-openai-api={api}")],
            ..Setup::default()
        })
        .await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["status"], "completed", "{api}: {end}");
        assert_eq!(end["bytes"], 1 << 20, "{api}");
        assert_eq!(end["usage"]["total_tokens"], 3, "{api}");
    }
}
