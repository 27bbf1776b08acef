//! The ordinary stream, field by field, and the pace of streams.

use super::{
    client::{Call, post},
    *,
};

#[tokio::test]
async fn a_stream_has_azures_chunks_in_azures_order() {
    let simulator = instant().await;
    let response = post(&simulator, &path("chat"), &streaming()).await;
    assert_eq!(response.status, 200);
    for header in [
        "Content-Type: text/event-stream; charset=utf-8\r\n",
        "x-accel-buffering: no\r\n",
        "x-ms-region: ",
        "apim-request-id: ",
        "x-request-id: ",
        "x-ratelimit-remaining-tokens: ",
        "Connection: close\r\n",
    ] {
        assert!(response.head.contains(header), "{header}");
    }
    let chunks = response.chunks();
    let prompt = &chunks[0];
    assert_eq!(
        (&prompt["choices"], &prompt["id"]),
        (&json!([]), &json!(""))
    );
    assert!(prompt["prompt_filter_results"].is_array());
    let role = json!({"content": "", "refusal": null, "role": "assistant"});
    assert_eq!(chunks[1]["choices"][0]["delta"], role);
    let delta = &chunks[2];
    assert_eq!(delta["object"], "chat.completion.chunk");
    assert_eq!(delta["model"], "sim-dread-2026-11-01");
    assert!(delta["obfuscation"].is_string() && delta["usage"].is_null());
    assert!(delta["choices"][0]["content_filter_results"].is_object());
    let finish = &chunks[chunks.len() - 2]["choices"][0];
    assert_eq!(
        (&finish["delta"], &finish["finish_reason"]),
        (&json!({}), &json!("stop"))
    );
    let usage = response.usage().unwrap();
    assert_eq!(usage["completion_tokens"], response.deltas());
    let sum = usage["prompt_tokens"].as_u64().unwrap() + response.deltas() as u64;
    assert_eq!(usage["total_tokens"], sum);
    assert!(response.done() && response.complete);
    assert_eq!(
        response.text(),
        verse::compose("Tell me about the ocean", 1)
    );
}

#[tokio::test]
async fn without_include_usage_no_chunk_has_usage() {
    let simulator = instant().await;
    let mut body = streaming();
    body["stream_options"] = json!({"include_obfuscation": false});
    let response = post(&simulator, &path("chat"), &body).await;
    assert!(
        response
            .chunks()
            .iter()
            .all(|chunk| chunk.get("usage").is_none())
    );
    assert!(
        response
            .chunks()
            .iter()
            .all(|chunk| chunk.get("obfuscation").is_none())
    );
    assert!(response.done());
}

#[tokio::test]
async fn a_token_limit_ends_the_reply() {
    let simulator = instant().await;
    for name in ["max_tokens", "max_completion_tokens"] {
        let mut body = streaming();
        body[name] = json!(5);
        let response = post(&simulator, &path("chat"), &body).await;
        assert_eq!(response.deltas(), 5);
        assert_eq!(response.finish_reason().unwrap(), "length");
        let mut body = non_streaming();
        body[name] = json!(5);
        let json = post(&simulator, &path("chat"), &body).await.json();
        assert_eq!(json["choices"][0]["finish_reason"], "length");
        assert_eq!(json["usage"]["completion_tokens"], 5);
    }
}

#[tokio::test]
async fn a_header_cannot_be_smuggled_through_the_deployments_name() {
    let simulator = instant().await;
    let mut body = non_streaming();
    body["model"] = json!("chat\r\nx-evil: 1");
    let response = post(&simulator, "/openai/v1/chat/completions", &body).await;
    assert!(!response.head.contains("\nx-evil"));
}

#[tokio::test]
async fn the_stepped_pace_sends_the_head_at_once_and_one_frame_per_permit() {
    let steps = Steps::new();
    let pace = Pace::Stepped(steps.clone());
    let simulator = start(Options {
        pace,
        ..Options::default()
    })
    .await;
    let mut call = Call::post(&simulator, &path("chat"), &streaming()).await;
    call.until("\r\n\r\n").await;
    assert!(call.seen.ends_with(b"\r\n\r\n"));
    let frames = |records: &[Record]| {
        records
            .iter()
            .filter(|r| matches!(r.event, JournalEvent::FrameSent { .. }))
            .count()
    };
    for (release, total) in [(1, 1), (3, 4), (2, 6)] {
        steps.release(release);
        in_time(
            simulator
                .journal()
                .wait_for(|records| frames(records) >= total),
        )
        .await;
        // The runtime has one thread, so every task that can run has run by then.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(frames(&simulator.journal().records()), total);
    }
    assert_eq!(simulator.journal().open(), 1);
    steps.release(usize::MAX);
    steps.release(1);
    let response = call.finish().await;
    assert!(response.done());
    assert_eq!(
        frames(&simulator.journal().records()),
        response.frames().len()
    );
    assert_eq!(simulator.journal().open(), 0);
}

#[tokio::test]
async fn the_real_pace_waits_before_the_first_delta() {
    let simulator = start(Options::default()).await;
    let mut body = streaming();
    body["max_tokens"] = json!(3);
    let begun = std::time::Instant::now();
    let response = post(&simulator, &path("chat"), &body).await;
    assert_eq!(response.deltas(), 3);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}
