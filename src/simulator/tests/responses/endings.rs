//! The ends of streams over the Responses API: failures inside a 200, incomplete responses, late verdicts.

use super::{scenarios::assert_numbered, *};

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
