use serde_json::{Value, json};

use super::*;
use crate::{event::Usage, upstream::secrets::ModelName};

/// The chunks of some events, and what the last one returned.
fn read_all(events: &[Value]) -> (Vec<Chunk>, Result<Progress, Fault>) {
    read_with(&mut Normalizer::default(), events)
}

fn read_with(
    normalizer: &mut Normalizer,
    events: &[Value],
) -> (Vec<Chunk>, Result<Progress, Fault>) {
    let (mut chunks, mut last) = (Vec::new(), Ok(Progress::More));
    for event in events {
        assert_eq!(last, Ok(Progress::More), "before {event}");
        last = normalizer.read("", &event.to_string(), &mut chunks);
    }
    (chunks, last)
}

fn text_of(chunks: &[Chunk]) -> String {
    chunks
        .iter()
        .filter_map(|chunk| chunk.text.as_deref())
        .collect()
}

fn reasoning_of(chunks: &[Chunk]) -> String {
    chunks
        .iter()
        .filter_map(|chunk| chunk.reasoning.as_deref())
        .collect()
}

fn code(events: &[Value]) -> ErrorCode {
    read_all(events).1.unwrap_err().error.code
}

fn delta(text: &str) -> Value {
    delta_of(0, text)
}

fn delta_of(item: u64, text: &str) -> Value {
    json!({"type": "response.output_text.delta", "output_index": item, "content_index": 0,
        "delta": text})
}

fn done_of(item: u64, text: &str) -> Value {
    json!({"type": "response.output_text.done", "output_index": item, "content_index": 0,
        "text": text})
}

fn completed(response: &Value) -> Value {
    json!({"type": "response.completed", "response": response})
}

#[test]
fn text_and_refusals_are_text() {
    let refusal = json!({"type": "response.refusal.delta", "delta": "No."});
    let (chunks, last) = read_all(&[delta("a"), delta(""), refusal, completed(&json!({}))]);
    assert_eq!(text_of(&chunks), "aNo.");
    assert_eq!(chunks.len(), 4, "one chunk for each event");
    assert_eq!(chunks[1], Chunk::default());
    assert_eq!(chunks[3].finish, Some(FinishReason::Stop));
    assert_eq!(last, Ok(Progress::Ended));
}

#[test]
fn a_surrogate_pair_split_over_two_deltas_is_joined() {
    let event = |escaped: &str| {
        format!("{{\"type\":\"response.output_text.delta\",\"delta\":\"{escaped}\"}}")
    };
    let mut normalizer = Normalizer::default();
    let mut chunks = Vec::new();
    for escaped in ["a\\ud83e", "\\udd81b", "\\ud83e"] {
        normalizer.read("", &event(escaped), &mut chunks).unwrap();
    }
    assert_eq!(text_of(&chunks), "a\u{1F981}b");
    assert_eq!(normalizer.finish().as_deref(), Some("\u{FFFD}"));
}

#[test]
fn the_type_of_an_event_counts_and_its_name_only_without_one() {
    let mut chunks = Vec::new();
    let data = r#"{"delta":"a"}"#;
    for event in ["response.output_text.delta", "response.unknown", ""] {
        let read = Normalizer::default().read(event, data, &mut chunks);
        assert_eq!(read, Ok(Progress::More));
    }
    let mut normalizer = Normalizer::default();
    let typed = delta("b").to_string();
    assert_eq!(
        normalizer.read("keepalive", &typed, &mut chunks),
        Ok(Progress::More)
    );
    assert_eq!(text_of(&chunks), "ab");
}

#[test]
fn events_of_unknown_types_show_only_that_upstream_is_alive() {
    let (chunks, last) = read_all(&[
        json!({"type": "keepalive", "sequence_number": 7}),
        json!({"type": "response.function_call_arguments.delta", "delta": {"not": "text"}}),
        json!({"type": 7, "delta": [], "response": "x", "item": 1, "output_index": {}}),
        json!({}),
    ]);
    assert_eq!(last, Ok(Progress::More));
    assert_eq!(chunks, [(); 4].map(|()| Chunk::default()));
    let mut chunks = Vec::new();
    for (event, data, progress) in [
        ("ping", "not JSON", Progress::More),
        ("", " ", Progress::More),
        ("", "[DONE]", Progress::Ended),
    ] {
        let read = Normalizer::default().read(event, data, &mut chunks);
        assert_eq!(read, Ok(progress), "{event} {data}");
    }
    assert_eq!(chunks.len(), 1);
}

#[test]
fn data_that_would_lose_text_is_a_protocol_error() {
    for data in [
        "nonsense",
        "[]",
        "7",
        r#"{"type":"response.output_text.delta"}"#,
        r#"{"type":"response.output_text.delta","delta":false}"#,
        r#"{"type":"response.refusal.delta","delta":["a"]}"#,
        r#"{"type":"response.incomplete","response":{}}"#,
        r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"new"}}}"#,
    ] {
        let fault = Normalizer::default()
            .read("", data, &mut Vec::new())
            .unwrap_err();
        assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol, "for {data}");
    }
}

#[test]
fn usage_has_the_names_of_chat_completions() {
    let usage = json!({
        "input_tokens": 11, "input_tokens_details": {"cached_tokens": 3, "audio_tokens": null},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 18,
    });
    let response = json!({"model": "gpt-5.1", "usage": usage});
    let (chunks, _) = read_all(&[completed(&response)]);
    let expected: Usage = serde_json::from_value(json!({
        "prompt_tokens": 11, "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 18,
    }))
    .unwrap();
    assert_eq!(chunks[0].usage, Some(expected));
    assert_eq!(
        chunks[0].model.as_ref().map(ModelName::as_str),
        Some("gpt-5.1")
    );
    let (chunks, _) = read_all(&[completed(&json!({"usage": "many", "model": 7}))]);
    assert_eq!((&chunks[0].usage, &chunks[0].model), (&None, &None));
}

#[test]
fn counts_as_strings_and_figures_that_are_no_numbers_lose_nothing() {
    let data = r#"{"type":"response.completed","response":{"output":[],"top_p":NaN,"usage":{"input_tokens":"3","output_tokens":4.0}}}"#;
    let mut chunks = Vec::new();
    let read = Normalizer::default().read("", data, &mut chunks);
    assert_eq!(read, Ok(Progress::Ended));
    assert_eq!(chunks[0].finish, Some(FinishReason::Stop));
    assert_eq!(chunks[0].usage.as_ref().unwrap().total_tokens, 7);
}

#[test]
fn the_reason_for_an_incomplete_response_is_the_finish_reason() {
    for (reason, finish) in [
        ("max_output_tokens", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
    ] {
        let response = json!({"status": "incomplete", "incomplete_details": {"reason": reason}});
        for kind in ["response.incomplete", "response.completed"] {
            let (chunks, last) = read_all(&[json!({"type": kind, "response": response})]);
            assert_eq!(chunks[0].finish, Some(finish), "{kind} {reason}");
            assert_eq!(last, Ok(Progress::Ended));
        }
    }
}

#[test]
fn a_tool_call_is_a_finish_reason_wherever_it_stands() {
    let call = json!({"type": "function_call", "name": "f"});
    let added = json!({"type": "response.output_item.added", "output_index": 1, "item": call});
    for events in [
        vec![added, completed(&json!({}))],
        vec![completed(&json!({"output": [call]}))],
    ] {
        let (chunks, _) = read_all(&events);
        let last = chunks.last().unwrap();
        assert_eq!(last.finish, Some(FinishReason::ToolCalls));
    }
}

#[test]
fn only_a_verdict_about_the_reply_retracts_it() {
    let retracted = |reason: Option<&str>, verdict: Value| {
        let response = json!({
            "incomplete_details": reason.map(|reason| json!({"reason": reason})),
            "status": reason.map(|_| "incomplete"), "content_filters": [verdict],
        });
        read_all(&[completed(&response)]).0.remove(0).retracted
    };
    let hate = json!({"hate": {"filtered": true, "severity": "high"}});
    let blocked = json!({"blocked": true, "source_type": "completion"});
    let filtered = json!({"source_type": "completion", "content_filter_results": hate});
    assert!(retracted(None, blocked.clone()));
    assert!(retracted(None, filtered));
    assert!(retracted(Some("max_output_tokens"), blocked.clone()));
    assert!(!retracted(Some("content_filter"), blocked));
    let prompt = json!({"blocked": true, "source_type": "prompt", "content_filter_results": hate});
    assert!(!retracted(None, prompt));
    assert!(!retracted(None, json!({"source_type": "completion"})));
    let (chunks, _) = read_all(&[completed(&json!({"content_filters": null}))]);
    assert!(!chunks[0].retracted);
}

#[test]
fn an_error_is_one_in_every_form() {
    let limit = json!({"code": "rate_limit_exceeded", "message": "m"});
    for event in [
        json!({"type": "error", "error": limit}),
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "m"}),
        json!({"error": limit}),
        json!({"type": "response.failed", "response": {"error": limit}}),
    ] {
        assert_eq!(code(&[event]), ErrorCode::RateLimited);
    }
    let uncoded = json!({"type": "response.failed", "response": {"error": {"message": "m"}}});
    assert_eq!(code(&[uncoded]), ErrorCode::UpstreamError);
    let named = Normalizer::default()
        .read("error", r#"{"message":"m"}"#, &mut Vec::new())
        .unwrap_err();
    assert_eq!(named.error.code, ErrorCode::UpstreamError);
    let cancelled = json!({"type": "response.cancelled", "response": {"status": "cancelled"}});
    assert_eq!(code(&[cancelled]), ErrorCode::UpstreamError);
}

#[test]
fn a_failure_waits_for_its_reason() {
    let failed =
        json!({"type": "response.failed", "response": {"status": "failed", "error": null}});
    let limit = json!({"type": "error", "error": {"code": "too_many_requests"}});
    let mut normalizer = Normalizer::default();
    let (_, last) = read_with(&mut normalizer, &[delta("a")]);
    assert_eq!((last, normalizer.failure()), (Ok(Progress::More), None));
    let (chunks, last) = read_with(&mut normalizer, &[failed, delta("b")]);
    assert_eq!(last, Ok(Progress::More));
    assert_eq!(text_of(&chunks), "", "nothing but the reason counts");
    let without_reason = normalizer.failure().unwrap().error.code;
    assert_eq!(without_reason, ErrorCode::UpstreamError);
    let (_, last) = read_with(&mut normalizer, &[limit]);
    assert_eq!(last.unwrap_err().error.code, ErrorCode::RateLimited);
    // A success whose status says that it is none.
    let (_, last) = read_all(&[completed(&json!({"status": "failed"}))]);
    assert_eq!(last, Ok(Progress::More));
}

#[test]
fn commentary_is_reasoning_and_not_part_of_the_answer() {
    let commentary = json!({"type": "message", "phase": "commentary"});
    let item = json!({"type": "response.output_item.added", "output_index": 0, "item": commentary});
    let (chunks, _) = read_all(&[
        item,
        delta_of(0, "I look."),
        done_of(0, "I look again."),
        delta_of(1, "Found"),
        done_of(1, "Found"),
        completed(&json!({})),
    ]);
    assert_eq!(text_of(&chunks), "Found");
    assert_eq!(reasoning_of(&chunks), "I look.");
    assert!(chunks.iter().all(|chunk| chunk.corrected.is_none()));
}

#[test]
fn reasoning_comes_with_a_blank_line_between_its_parts() {
    let summary = |part: u64, text: &str| {
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0,
            "summary_index": part, "delta": text})
    };
    let raw = json!({"type": "response.reasoning_text.delta", "output_index": 1,
        "content_index": 0, "delta": "Hm."});
    let odd = json!({"type": "response.reasoning_text.delta", "delta": {}});
    let (chunks, last) = read_all(&[summary(0, "A"), summary(0, "B"), summary(1, "C"), raw, odd]);
    assert_eq!(last, Ok(Progress::More));
    assert_eq!(reasoning_of(&chunks), "AB\n\nC\n\nHm.");
    assert_eq!(text_of(&chunks), "");
}

#[test]
fn the_whole_text_adds_what_the_deltas_lack() {
    let (chunks, _) = read_all(&[delta("a"), done_of(0, "a lion"), completed(&json!({}))]);
    assert_eq!(text_of(&chunks), "a lion");
    let refusal = json!({"type": "response.refusal.done", "output_index": 0, "refusal": "No."});
    assert_eq!(text_of(&read_all(&[refusal]).0), "No.");
    // Half a character at the end of the deltas.
    let mut normalizer = Normalizer::default();
    let mut chunks = Vec::new();
    let half = r#"{"type":"response.output_text.delta","delta":"a\ud83e"}"#;
    let done = r#"{"type":"response.output_text.done","text":"a\ud83eb"}"#;
    for data in [half, done] {
        normalizer.read("", data, &mut chunks).unwrap();
    }
    assert_eq!(text_of(&chunks), "a\u{FFFD}b");
}

#[test]
fn a_whole_text_that_contradicts_the_deltas_corrects_the_reply() {
    let (chunks, _) = read_all(&[
        delta_of(0, "one "),
        done_of(0, "one "),
        delta_of(1, "too"),
        done_of(1, "two"),
        done_of(1, "two"),
    ]);
    assert_eq!(chunks[3].corrected.as_deref(), Some("one two"));
    assert_eq!(chunks[3].text, None);
    assert_eq!(chunks[4], Chunk::default(), "it is corrected once");
}

#[test]
fn without_deltas_the_text_is_that_of_the_output() {
    let message = |phase: Value, content: Value| json!({"type": "message", "phase": phase, "content": content});
    let part = |text: Value| json!([{"type": "output_text", "text": text}]);
    let text = |output: Value| {
        let (mut chunks, last) = read_all(&[completed(&json!({"output": output}))]);
        last.map(|_| chunks.remove(0).text)
    };
    let reasoning = json!({"type": "reasoning", "summary": []});
    let two = message(
        json!(null),
        json!([{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]),
    );
    assert_eq!(text(json!([reasoning, two])), Ok(Some("ab".to_owned())));
    let commentary = message(json!("commentary"), part(json!("I look.")));
    let answer = message(json!("final_answer"), part(json!("Found")));
    assert_eq!(
        text(json!([commentary, answer])),
        Ok(Some("Found".to_owned()))
    );
    assert_eq!(
        text(json!([commentary])),
        Ok(Some("I look.".to_owned())),
        "better than no answer"
    );
    assert_eq!(text(json!([])), Ok(None));
    assert_eq!(
        text(json!([message(json!(null), part(json!("")))])),
        Ok(None)
    );
    for unreadable in [part(json!(false)), json!([{"type": "new_kind"}])] {
        let fault = text(json!([message(json!(null), unreadable)])).unwrap_err();
        assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol);
    }
}
