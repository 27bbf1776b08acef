//! Each scenario does over the Responses API what its name says.

use super::{
    expected::{Expected, expected},
    *,
};

#[tokio::test]
async fn every_scenario_does_what_its_name_says() {
    for scenario in Scenario::ALL {
        let simulator = instant().await;
        let body = streaming(&format!("sim-{scenario}"));
        match expected(*scenario) {
            Expected::Refused(status, text) => {
                let response = post(&simulator, V1, &body).await;
                assert_eq!(response.status, status, "{scenario}");
                let raw = String::from_utf8_lossy(&response.raw);
                assert!(raw.contains(text), "{scenario}: {raw}");
                assert!(response.complete, "{scenario}");
            }
            Expected::CompleteVerse => {
                let response = post(&simulator, V1, &body).await;
                assert_complete_verse(*scenario, &response);
            }
            Expected::Ended(last, complete) => {
                let response = post(&simulator, V1, &body).await;
                assert_eq!(response.status, 200, "{scenario}");
                assert_eq!(response.chunks().pop().unwrap()["type"], last, "{scenario}");
                assert_eq!(response.complete, complete, "{scenario}");
                assert_eq!(response.reset, *scenario == Scenario::Reset, "{scenario}");
            }
            Expected::Hangs(text) => {
                let mut call = Call::post(&simulator, V1, &body).await;
                call.until(text).await;
                in_time(simulator.journal().wait_for(|records| !records.is_empty())).await;
                assert_eq!(simulator.journal().open(), 1, "{scenario}");
                drop(call);
                let gone = |records: &[Record]| {
                    let mut events = records.iter().map(|record| &record.event);
                    events.any(|event| *event == JournalEvent::ClientGone)
                };
                in_time(simulator.journal().wait_for(gone)).await;
            }
            Expected::Special => {}
        }
    }
}

fn assert_complete_verse(scenario: Scenario, response: &Response) {
    assert_eq!(response.status, 200, "{scenario}");
    let mut verse = verse::compose(PROMPT, 1);
    if scenario == Scenario::OneByte {
        verse.truncate(verse.find("\n\n").unwrap());
    }
    let text = response.joined("response.output_text.delta");
    assert_eq!(text, verse, "{scenario}");
    let last = response.chunks().pop().unwrap();
    assert_eq!(last["type"], "response.completed", "{scenario}");
    assert_eq!(output_text(&last["response"]), verse, "{scenario}");
    assert!(response.complete, "{scenario}");
    assert_numbered(scenario.name(), response);
}

fn assert_numbered(scenario: &str, response: &Response) {
    for (index, event) in response.chunks().iter().enumerate() {
        assert_eq!(event["sequence_number"], index, "{scenario}");
    }
}

#[tokio::test]
async fn a_rate_limit_inside_a_200_comes_in_both_orders() {
    let first = play("429-in-200-error-first").await;
    let message = "Your requests to this deployment for sim-dread-2026-11-01 in loopback have \
                   exceeded rate limit.";
    assert_eq!(
        first.types(),
        ["response.created", "error", "response.failed"]
    );
    let expected = json!({
        "type": "too_many_requests", "code": "rate_limit_exceeded",
        "headers": {"x-ms-fe-error": "true"}, "message": message, "param": null,
    });
    let events = first.chunks();
    assert_eq!(events[1]["error"], expected);
    let reason = json!({"code": "rate_limit_exceeded", "message": message});
    assert_eq!(events[2]["response"]["error"], reason);
    assert_eq!(events[2]["response"]["status"], "failed");
    assert!(first.frames()[1].ends_with(",\"sequence_number\":1}"));
    let last = play("429-in-200-failed-first").await;
    assert_eq!(
        last.types(),
        ["response.created", "response.failed", "error"]
    );
    let events = last.chunks();
    assert_eq!(events[1]["response"]["error"], Value::Null);
    assert_eq!(events[2]["error"], expected);
    for response in [&first, &last] {
        assert!(response.head.contains("retry-after: 4\r\n"));
        let left = "x-ratelimit-remaining-tokens: -27689\r\n";
        assert!(response.head.contains(left));
        assert_numbered("429", response);
    }
    let flat = play("error-flat").await.chunks().pop().unwrap();
    assert_eq!(flat["code"], "rate_limit_exceeded");
    assert!(flat["message"].is_string() && flat.get("error").is_none());
}

#[tokio::test]
async fn other_failures_inside_a_200_say_what_azure_says() {
    let missing = play("deployment-missing-in-200").await.chunks();
    assert_eq!(missing[1]["error"]["code"], Value::Null);
    assert_eq!(missing[1]["error"]["type"], "invalid_request_error");
    let filtered = play("filter-in-200").await.chunks();
    assert_eq!(filtered[1]["response"]["error"], Value::Null);
    assert_eq!(filtered[2]["error"]["code"], "content_policy_violation");
    let uncoded = play("failed-uncoded").await.chunks().pop().unwrap();
    let error = json!({"message": "The model could not answer."});
    assert_eq!(uncoded["response"]["error"], error);
    let failed = play("error-in-stream").await;
    assert_eq!(failed.of_type("response.output_text.delta").len(), 8);
    let failed = failed.chunks().pop().unwrap();
    assert_eq!(failed["response"]["error"]["code"], "server_error");
    let simulator = instant().await;
    for last in ["response.failed", "response.completed", "response.failed"] {
        let response = post(&simulator, V1, &streaming("sim-busy-in-200")).await;
        assert_eq!(response.types().pop().unwrap(), last);
    }
}

#[tokio::test]
async fn an_incomplete_response_says_why() {
    for (scenario, reason, has_text) in [
        ("incomplete-length", "max_output_tokens", true),
        ("incomplete-length-no-text", "max_output_tokens", false),
        ("incomplete-filter", "content_filter", true),
    ] {
        let response = play(scenario).await;
        let last = response.chunks().pop().unwrap()["response"].take();
        assert_eq!(last["status"], "incomplete", "{scenario}");
        assert_eq!(last["incomplete_details"]["reason"], reason, "{scenario}");
        assert_eq!(last["completed_at"], Value::Null, "{scenario}");
        let text = response.joined("response.output_text.delta");
        assert_eq!(!text.is_empty(), has_text, "{scenario}");
        assert_eq!(output_text(&last), text, "{scenario}");
        let blocked = &last["content_filters"][1]["blocked"];
        assert_eq!(blocked, &json!(reason == "content_filter"), "{scenario}");
        if has_text {
            assert_eq!(last["output"][0]["status"], "incomplete", "{scenario}");
        } else {
            assert_eq!(last["output"], json!([]), "{scenario}");
            let usage = &last["usage"];
            let reasoning = &usage["output_tokens_details"]["reasoning_tokens"];
            assert_eq!(reasoning, &usage["output_tokens"], "{scenario}");
            assert_ne!(reasoning, 0, "{scenario}");
        }
    }
}

#[tokio::test]
async fn a_late_verdict_is_in_the_last_event_only() {
    let last = play("late-blocked").await.chunks().pop().unwrap();
    let verdict = &last["response"]["content_filters"][1];
    assert_eq!(verdict["blocked"], true);
    assert_eq!(verdict["source_type"], "completion");
    assert_eq!(
        verdict["content_filter_results"]["violence"]["filtered"],
        true
    );
    let last = play("null-content-filters").await.chunks().pop().unwrap();
    assert_eq!(last["response"]["content_filters"], Value::Null);
}

#[tokio::test]
async fn a_refusal_has_events_of_its_own() {
    let response = play("refusal").await;
    let text = "I'm sorry, but I cannot help with that.";
    assert_eq!(response.joined("response.refusal.delta"), text);
    assert!(response.of_type("response.output_text.delta").is_empty());
    let done = &response.of_type("response.refusal.done")[0];
    assert_eq!(done["refusal"], text);
    let last = response.chunks().pop().unwrap()["response"].take();
    assert_eq!(last["status"], "completed");
    let part = json!({"type": "refusal", "refusal": text});
    assert_eq!(last["output"][0]["content"], json!([part]));
}

#[tokio::test]
async fn reasoning_comes_before_the_message_and_its_summary_only_if_asked_for() {
    let simulator = instant().await;
    let mut body = streaming("sim-reasoning-summary");
    let silent = post(&simulator, V1, &body).await;
    body["reasoning"] = json!({"summary": "auto"});
    let told = post(&simulator, V1, &body).await;
    for response in [&silent, &told] {
        let added = response.of_type("response.output_item.added");
        assert_eq!(added[0]["item"]["type"], "reasoning");
        assert_eq!(
            (&added[1]["output_index"], &added[1]["item"]["type"]),
            (&json!(1), &json!("message"))
        );
        let delta = &response.of_type("response.output_text.delta")[0];
        assert_eq!(delta["output_index"], 1);
        let output = &response.chunks().pop().unwrap()["response"]["output"];
        assert_eq!(output[0]["type"], "reasoning");
    }
    let summary = told.joined("response.reasoning_summary_text.delta");
    assert!(summary.starts_with("**Finding the rhyme**"));
    assert_eq!(
        told.types()[2..5],
        [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
        ]
    );
    let done = &told.of_type("response.reasoning_summary_text.done")[0];
    assert_eq!(done["text"], summary.as_str());
    let part = json!([{"type": "summary_text", "text": summary}]);
    let output = &told.chunks().pop().unwrap()["response"]["output"];
    assert_eq!(output[0]["summary"], part);
    assert!(
        silent
            .of_type("response.reasoning_summary_text.delta")
            .is_empty()
    );
    for delta in told.of_type("response.reasoning_summary_text.delta") {
        let length = |name: &str| delta[name].as_str().unwrap().chars().count();
        assert_eq!((length("delta") + length("obfuscation")) % 16, 0);
    }
}

#[tokio::test]
async fn commentary_is_a_message_of_its_own() {
    let response = play("commentary-then-final").await;
    let output = response.chunks().pop().unwrap()["response"]["output"].take();
    assert_eq!(output[0]["phase"], "commentary");
    assert_eq!(output[1]["phase"], "final_answer");
    assert_eq!(
        output[1]["content"][0]["text"],
        verse::compose(PROMPT, 1).as_str()
    );
    let indexes: Vec<_> = response
        .of_type("response.output_item.done")
        .iter()
        .map(|event| event["output_index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [0, 1]);
}

#[tokio::test]
async fn keepalives_and_unknown_events_use_up_numbers() {
    for (scenario, kinds) in [
        ("keepalive", &["keepalive"][..]),
        ("unknown-event", &["response.moonrise.delta", "moonrise"]),
    ] {
        let response = play(scenario).await;
        for kind in kinds {
            assert_eq!(response.of_type(kind).len(), 2, "{scenario}");
        }
        assert_numbered(scenario, &response);
    }
}

#[tokio::test]
async fn the_huge_first_event_repeats_the_instructions() {
    let response = play("huge-created").await;
    for event in [
        "response.created",
        "response.in_progress",
        "response.completed",
    ] {
        let event = &response.of_type(event)[0];
        let instructions = event["response"]["instructions"].as_str().unwrap();
        assert_eq!(instructions.len(), 200 * 1024);
    }
}

#[tokio::test]
async fn the_whole_text_may_disagree_with_the_deltas() {
    for (scenario, continues) in [("done-disagrees", false), ("done-longer", true)] {
        let response = play(scenario).await;
        let deltas = response.joined("response.output_text.delta");
        let done = response.of_type("response.output_text.done");
        let whole = done[0]["text"].as_str().unwrap();
        assert!(!deltas.is_empty() && deltas != whole, "{scenario}");
        assert_eq!(whole.starts_with(&deltas), continues, "{scenario}");
        let last = response.chunks().pop().unwrap();
        assert_eq!(output_text(&last["response"]), whole, "{scenario}");
    }
}

#[tokio::test]
async fn the_end_of_the_stream_may_be_unusual() {
    let appended = play("done-appended").await;
    assert_eq!(appended.frames().pop().unwrap(), "[DONE]");
    let bare = play("terminal-without-blank-line").await;
    assert!(bare.body.ends_with(b"}\n") && !bare.body.ends_with(b"\n\n"));
    let nameless = String::from_utf8(play("no-event-lines").await.body).unwrap();
    assert!(nameless.lines().all(|line| !line.starts_with("event:")));
    let unended = play("no-terminal").await;
    let done = unended.of_type("response.output_text.done");
    assert_eq!(done[0]["text"], verse::compose(PROMPT, 1).as_str());
}

#[tokio::test]
async fn escaped_and_multibyte_text_is_the_same_in_deltas_and_whole() {
    let response = play("multibyte").await;
    let text = response.joined("response.output_text.delta");
    assert_eq!(text, verse::compose_multibyte(PROMPT, 1));
    let response = play("surrogates").await;
    let body = String::from_utf8(response.body.clone()).unwrap();
    for escaped in [
        r#""delta":"sun\ud83c""#,
        r#""delta":"\udf1erise ""#,
        r"half\ud83c moon",
    ] {
        assert!(body.contains(escaped), "{escaped}");
    }
    let whole = response.of_type("response.output_text.done");
    let whole = whole[0]["text"].as_str().unwrap();
    assert!(whole.contains("☀\u{fe0f} 🌱 sun🌞rise half\u{fffd} moon\n"));
}

#[tokio::test]
async fn a_tool_call_is_an_item_after_the_message() {
    let response = play("tool-calls").await;
    let arguments = response.joined("response.function_call_arguments.delta");
    assert_eq!(arguments, "{\"tempo\":72}");
    let output = response.chunks().pop().unwrap()["response"]["output"].take();
    assert_eq!(output[0]["type"], "message");
    assert_eq!(output[1]["type"], "function_call");
    assert_eq!(output[1]["arguments"], arguments.as_str());
}

#[tokio::test]
async fn a_response_may_wait_in_a_queue() {
    let response = play("background-queued").await;
    let events = response.chunks();
    let types = response.types();
    assert_eq!(
        types[..3],
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    let statuses = events[..3]
        .iter()
        .map(|event| event["response"]["status"].clone());
    let statuses: Vec<_> = statuses.collect();
    assert_eq!(statuses, ["queued", "queued", "in_progress"]);
}

#[tokio::test]
async fn what_is_not_a_stream_is_json_or_html() {
    let json = play("json-200").await;
    assert_eq!(json.json()["status"], "completed");
    assert!(play("html-200").await.body.starts_with(b"<!DOCTYPE"));
    let reset = play("reset-before-head").await;
    assert!(reset.reset && reset.raw.is_empty());
}

#[tokio::test]
async fn the_names_over_this_api_are_names_of_the_common_scenarios() {
    for (name, scenario) in [
        ("prompt-filtered-400", Scenario::PromptFiltered),
        ("incomplete-length", Scenario::Length),
        ("incomplete-length-no-text", Scenario::LengthEmpty),
        ("incomplete-filter", Scenario::ReplyFiltered),
        ("late-blocked", Scenario::AsyncFilteredLate),
        ("open-after-terminal", Scenario::StallAfterFinish),
    ] {
        assert_eq!(name.parse(), Ok(scenario));
    }
}
