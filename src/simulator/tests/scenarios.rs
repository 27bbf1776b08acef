//! Each scenario does what its name says.

use super::{
    client::{Call, Response, post},
    expected::{Expected, expected},
    *,
};

const PROMPT: &str = "Tell me about the ocean";

#[tokio::test]
async fn every_scenario_does_what_its_name_says() {
    for scenario in Scenario::ALL {
        let simulator = instant().await;
        let path = path(&format!("sim-{scenario}"));
        match expected(*scenario) {
            Expected::Refused(status, text) => {
                let response = post(&simulator, &path, &streaming()).await;
                assert_eq!(response.status, status, "{scenario}");
                let raw = String::from_utf8_lossy(&response.raw);
                assert!(raw.contains(text), "{scenario}: {raw}");
                assert!(response.complete, "{scenario}");
            }
            Expected::CompleteVerse => {
                let response = post(&simulator, &path, &streaming()).await;
                assert_complete_verse(*scenario, &response);
            }
            Expected::Ended {
                finish,
                done,
                complete,
            } => {
                let response = post(&simulator, &path, &streaming()).await;
                assert_eq!(response.status, 200, "{scenario}");
                assert_eq!(response.finish_reason().as_deref(), finish, "{scenario}");
                assert_eq!(response.done(), done, "{scenario}");
                assert_eq!(response.complete, complete, "{scenario}");
                assert_eq!(response.reset, *scenario == Scenario::Reset, "{scenario}");
            }
            Expected::Hangs(text) => {
                let mut call = Call::post(&simulator, &path, &streaming()).await;
                call.until(text).await;
                in_time(simulator.journal().wait_for(|records| !records.is_empty())).await;
                assert_eq!(simulator.journal().open(), 1, "{scenario}");
                drop(call);
                let gone = |records: &[Record]| {
                    records
                        .iter()
                        .any(|record| record.event == JournalEvent::ClientGone)
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
    assert_eq!(response.text(), verse, "{scenario}");
    assert_eq!(
        response.finish_reason().as_deref(),
        Some("stop"),
        "{scenario}"
    );
    assert!(response.done() && response.complete, "{scenario}");
    assert_eq!(
        response.usage().unwrap()["completion_tokens"],
        response.deltas(),
        "{scenario}"
    );
}

async fn play(scenario: &str) -> Response {
    let simulator = instant().await;
    post(&simulator, &path(&format!("sim-{scenario}")), &streaming()).await
}

#[tokio::test]
async fn faults_in_the_middle_of_a_stream_come_after_several_deltas() {
    for scenario in [
        "truncated",
        "truncated-clean",
        "truncated-frame",
        "reset",
        "done-without-finish",
        "error-in-stream",
        "error-event",
        "error-numeric",
        "reply-filtered",
        "reply-filtered-cut",
        "bad-chunk",
        "async-filtered",
    ] {
        assert!(play(scenario).await.deltas() >= 3, "{scenario}");
    }
    assert_eq!(play("error-first").await.frames().len(), 1);
}

#[tokio::test]
async fn a_stream_that_the_filter_ended_has_no_usage() {
    for scenario in ["reply-filtered", "async-filtered"] {
        assert!(play(scenario).await.usage().is_none(), "{scenario}");
    }
}

#[tokio::test]
async fn annotations_have_no_delta_and_chunks_no_filter_results() {
    let chunks = play("async-filter").await.chunks();
    let annotations: Vec<_> = chunks
        .iter()
        .filter(|c| c["choices"][0].get("content_filter_offsets").is_some())
        .collect();
    assert_eq!(annotations.len(), 5);
    assert!(
        annotations
            .iter()
            .all(|chunk| chunk["choices"][0].get("delta").is_none())
    );
    assert!(
        chunks[2]["choices"][0]
            .get("content_filter_results")
            .is_none()
    );
    let late = play("async-filtered-late").await.chunks();
    let retracts =
        |c: &Value| c["choices"][0]["content_filter_results"]["violence"]["filtered"] == true;
    assert!(late.iter().any(retracts));
}

#[tokio::test]
async fn a_reply_in_markdown_is_complete() {
    let response = play("markdown").await;
    assert_eq!(response.text(), verse::MARKDOWN);
    assert!(response.done() && response.complete);
}

#[tokio::test]
async fn a_multibyte_verse_is_complete_and_each_character_is_split() {
    let response = play("multibyte").await;
    assert_eq!(response.text(), verse::compose_multibyte(PROMPT, 1));
    assert!(response.done() && response.complete);
    // A chunk that ends on a leading byte is followed by a chunk's end.
    let split = response
        .raw
        .windows(3)
        .any(|w| w[0] >= 0xc0 && &w[1..] == b"\r\n");
    assert!(split);
}

#[tokio::test]
async fn a_surrogate_pair_is_split_over_chunks_and_one_surrogate_is_alone() {
    let response = play("surrogates").await;
    let body = String::from_utf8(response.body.clone()).unwrap();
    for escaped in [
        r#""content":"sun\ud83c""#,
        r#""content":"\udf1erise "#,
        r"half\ud83c moon",
    ] {
        assert!(body.contains(escaped), "{escaped}");
    }
    assert!(response.done());
}

#[tokio::test]
async fn the_long_line_is_two_mebibytes_long() {
    let response = play("long-line").await;
    let body = String::from_utf8(response.body).unwrap();
    let longest = body.lines().map(str::len).max().unwrap();
    // The obfuscation makes a difference of some characters in either direction.
    assert!(longest.abs_diff(2 << 20) < 64, "{longest}");
}

#[tokio::test]
async fn a_reset_before_the_head_leaves_nothing() {
    let response = play("reset-before-head").await;
    assert!(response.reset && response.raw.is_empty());
}

#[tokio::test]
async fn a_rate_limit_inside_a_200_says_how_long_to_wait() {
    for (scenario, wait) in [
        ("429-in-200-error-first", "retry-after: 4\r\n"),
        ("429-in-200-failed-first", "retry-after: 4\r\n"),
        ("busy-in-200", "retry-after-ms: 50\r\n"),
    ] {
        let response = play(scenario).await;
        assert!(response.head.contains(wait), "{scenario}");
        assert_eq!(response.frames().len(), 1, "{scenario}");
        let error = &response.chunks()[0]["error"];
        assert_eq!(error["code"], "rate_limit_exceeded", "{scenario}");
    }
    let error = play("filter-in-200").await.chunks()[0]["error"].take();
    assert_eq!(error["code"], "content_policy_violation");
    let error = play("deployment-missing-in-200").await.chunks()[0]["error"].take();
    assert_eq!(
        (&error["code"], &error["type"]),
        (&Value::Null, &json!("invalid_request_error"))
    );
}

#[tokio::test]
async fn html_and_json_may_come_under_200() {
    let html = play("html-200").await;
    assert!(html.head.contains("Content-Type: text/html") && html.body.starts_with(b"<!DOCTYPE"));
    let json = play("json-200").await;
    assert!(json.head.contains("Content-Type: application/json"));
    assert_eq!(json.json()["object"], "chat.completion");
}

#[tokio::test]
async fn heads_lack_what_their_scenario_removes() {
    assert!(!play("no-content-type").await.head.contains("Content-Type"));
    assert!(
        play("blank-content-type")
            .await
            .head
            .contains("Content-Type: \r\n")
    );
    let head = play("close-delimited").await.head;
    assert!(!head.contains("Transfer-Encoding") && !head.contains("Content-Length"));
    assert!(
        play("informational")
            .await
            .raw
            .starts_with(b"HTTP/1.1 103 ")
    );
    assert!(
        !play("rate-limited-silent")
            .await
            .head
            .contains("retry-after")
    );
    assert!(
        !play("rate-limited-day")
            .await
            .head
            .contains("retry-after-ms")
    );
}

#[tokio::test]
async fn alternating_scenarios_answer_every_other_request() {
    let simulator = instant().await;
    for (scenario, status) in [("busy", 429), ("flaky", 503)] {
        for expected in [status, 200, status, 200] {
            let path = path(&format!("sim-{scenario}"));
            assert_eq!(post(&simulator, &path, &streaming()).await.status, expected);
        }
    }
    for done in [false, true, false, true] {
        let response = post(&simulator, &path("sim-busy-in-200"), &streaming()).await;
        assert_eq!((response.status, response.done()), (200, done));
    }
}

#[tokio::test]
async fn a_reasoning_model_names_one_parameter_at_a_time() {
    let simulator = instant().await;
    let path = path("sim-reasoning-model");
    let mut body = streaming();
    for name in ["max_tokens", "top_p", "temperature"] {
        body[name] = json!(1);
    }
    for name in ["max_tokens", "top_p", "temperature"] {
        let response = post(&simulator, &path, &body).await;
        assert_eq!(response.json()["error"]["param"], name);
        body.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(post(&simulator, &path, &body).await.status, 200);
}

#[tokio::test]
async fn a_scenario_in_the_options_applies_to_all_requests() {
    let scenario = Some(Scenario::Forbidden);
    let simulator = start(Options {
        scenario,
        ..Options::default()
    })
    .await;
    assert_eq!(
        post(&simulator, &path("chat"), &non_streaming())
            .await
            .status,
        403
    );
    assert_eq!(
        post(&simulator, &path("sim-crlf"), &non_streaming())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn non_streaming_responses_have_faults_of_their_own() {
    let simulator = instant().await;
    let call =
        async |name: &str| post(&simulator, &path(&format!("sim-{name}")), &non_streaming()).await;
    assert!(!call("truncated").await.complete);
    assert!(call("reset").await.reset);
    assert!(call("one-byte").await.complete);
    assert_eq!(call("informational").await.status, 200);
    let filtered = call("reply-filtered").await.json();
    assert_eq!(filtered["choices"][0]["finish_reason"], "content_filter");
    let tools = call("tool-calls").await.json();
    assert_eq!(tools["choices"][0]["finish_reason"], "tool_calls");
}
