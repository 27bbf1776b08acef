use super::*;
use crate::event::{
    Created, End, ErrorCode, FinishReason, Notice, NoticeCode, Padding, ReplyError, ReplyEvent,
    ReplyId, Status, Timing, TokenUsage, Usage, Why,
};

const ID: &str = "0f9619ff-8b86-4d01-8b42-00cf4fc964ff";

fn stored(seq: u64, event: &ReplyEvent, padding: Padding) -> Bytes {
    let mut bytes = Vec::new();
    event.encode(Seq(seq), padding, &mut bytes);
    bytes.into()
}

fn end(
    status: Status,
    finish_reason: Option<FinishReason>,
    error: Option<ErrorCode>,
) -> ReplyEvent {
    ReplyEvent::End(End {
        status,
        finish_reason,
        reason: None,
        model: None,
        usage: Some(TokenUsage::Reported(Usage {
            prompt_tokens: 3,
            completion_tokens: 4,
            total_tokens: 7,
            prompt_tokens_details: None,
            completion_tokens_details: None,
        })),
        bytes: 0,
        sha256: String::new(),
        ms: Timing::default(),
        error: error.map(ReplyError::new),
    })
}

fn delta(text: &str) -> ReplyEvent {
    ReplyEvent::Delta { text: text.into() }
}

fn chat(usage: UsageChunk) -> Format {
    let created: Created = "2026-11-25T10:00:00.000Z".parse().unwrap();
    Format::ChatCompletions(Box::new(ChatCompletions::new(
        ID.parse().unwrap(),
        created,
        usage,
    )))
}

/// What the format makes of an event that is number 9.
fn encoded(format: &Format, event: &ReplyEvent) -> (String, Then) {
    let Encoded { bytes, then } = format.encode(Seq(9), stored(9, event, Padding::Off));
    (String::from_utf8(bytes.to_vec()).unwrap(), then)
}

#[test]
fn native_events_are_the_stored_bytes_themselves() {
    let event = stored(9, &delta("irie"), Padding::ToClass);
    let pointer = event.as_ptr();
    let Encoded { bytes, then } = Format::Native.encode(Seq(9), event);
    assert_eq!((bytes.as_ptr(), then), (pointer, Then::GoOn));
}

#[test]
fn a_line_of_json_has_the_id_the_name_and_the_very_data_of_the_event() {
    let (line, then) = encoded(&Format::JsonLines, &delta("a\n\"b\"\u{2028}"));
    assert_eq!(then, Then::GoOn);
    assert_eq!(line.matches('\n').count(), 1);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let expected =
        serde_json::json!({"id": 9, "event": "delta", "data": {"text": "a\n\"b\"\u{2028}"}});
    assert_eq!(line, expected);
    let ping = Format::JsonLines.ping(Seq(9));
    assert_eq!(
        ping,
        "{\"id\":9,\"event\":\"ping\",\"data\":{\"last\":9}}\n"
    );
}

#[test]
fn plain_text_is_the_text_and_breaks_off_where_text_cannot_tell() {
    let text = |event| encoded(&Format::PlainText, &event);
    assert_eq!(text(delta("a\n\"b\"")), ("a\n\"b\"".into(), Then::GoOn));
    let start = ReplyEvent::Start {
        reply: ReplyId::random(),
        created: Created::now(),
    };
    assert_eq!(text(start), (String::new(), Then::GoOn));
    let notice = Notice::new(NoticeCode::Retrying, "wait".into());
    assert_eq!(
        text(ReplyEvent::Notice(notice)),
        (String::new(), Then::GoOn)
    );
    let complete = end(Status::Completed, Some(FinishReason::Stop), None);
    assert_eq!(text(complete), ("\n".into(), Then::Close));
    let replace = ReplyEvent::Replace {
        text: String::new(),
        why: Why::ContentFilter,
    };
    for event in [
        replace,
        end(Status::Failed, None, Some(ErrorCode::Internal)),
        end(Status::Stopped, None, None),
    ] {
        assert_eq!(text(event), (String::new(), Then::Abort));
    }
    assert_eq!(Format::PlainText.encode_lost().then, Then::Abort);
}

#[test]
fn a_chunk_has_the_text_as_it_is_stored_and_the_pad_as_obfuscation() {
    let native = stored(9, &delta("a\n\"b\" \u{1f334}"), Padding::ToClass);
    let frame = chat(UsageChunk::LeftOut).encode(Seq(9), native.clone());
    let native = String::from_utf8(native.to_vec()).unwrap();
    let native: serde_json::Value =
        serde_json::from_str(native.split_once("data: ").unwrap().1).unwrap();
    let frame = String::from_utf8(frame.bytes.to_vec()).unwrap();
    let data = frame.strip_prefix("id: 9\ndata: ").unwrap();
    let chunk: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(chunk["choices"][0]["delta"]["content"], native["text"]);
    assert_eq!(chunk["obfuscation"], native["pad"]);
    assert!(chunk.get("usage").is_none());
}

#[test]
fn chunks_of_ordinary_text_have_one_length() {
    let format = chat(UsageChunk::LeftOut);
    let length = |text| {
        let native = stored(9, &delta(text), Padding::ToClass);
        format.encode(Seq(9), native).bytes.len()
    };
    assert_eq!(length("a"), length(" tokens"));
}

#[test]
fn a_whole_reply_in_chunks_is_what_the_api_documents() {
    let format = chat(UsageChunk::Included);
    let start = ReplyEvent::Start {
        reply: ID.parse().unwrap(),
        created: Created::now(),
    };
    let head = format!(
        r#"{{"id":"chatcmpl-{ID}","object":"chat.completion.chunk","created":1795600800,"model":"rasta-stream""#
    );
    let choice = |delta: &str, reason: &str| {
        format!(
            r#"{head},"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}],"usage":null}}"#
        )
    };
    let role = choice(r#"{"content":"","role":"assistant"}"#, "null");
    assert_eq!(
        encoded(&format, &start).0,
        format!("id: 9\ndata: {role}\n\n")
    );
    let content = choice(r#"{"content":"irie"}"#, "null");
    assert_eq!(
        encoded(&format, &delta("irie")),
        (format!("id: 9\ndata: {content}\n\n"), Then::GoOn)
    );
    let thought = ReplyEvent::Reasoning { text: "hm".into() };
    let thought = encoded(&format, &thought).0;
    let reasoning = choice(r#"{"reasoning_content":"hm"}"#, "null");
    assert_eq!(thought, format!("id: 9\ndata: {reasoning}\n\n"));
    let (frames, then) = encoded(
        &format,
        &end(Status::Completed, Some(FinishReason::Length), None),
    );
    assert_eq!(then, Then::Close);
    let frames: Vec<&str> = frames.split_terminator("\n\n").collect();
    let [last, usage, done] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(*last, format!("data: {}", choice("{}", "\"length\"")));
    let usage: serde_json::Value =
        serde_json::from_str(usage.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(usage["choices"], serde_json::json!([]));
    assert_eq!(usage["usage"]["total_tokens"], 7);
    // A client that is cut off before it gets all of them again.
    assert_eq!(*done, "id: 9\ndata: [DONE]");
}

#[test]
fn comments_keep_a_stream_of_chunks_alive_and_carry_notices() {
    let format = chat(UsageChunk::LeftOut);
    assert_eq!(format.ping(Seq(9)), ": ping\n");
    let notice = Notice::new(NoticeCode::Retrying, "wait\nhere".into());
    let (comment, _) = encoded(&format, &ReplyEvent::Notice(notice));
    assert!(comment.starts_with(": {\"code\":\"retrying\""), "{comment}");
    assert_eq!(comment.find('\n'), Some(comment.len() - 1), "{comment}");
}

#[test]
fn what_this_api_cannot_tell_is_an_error_without_done() {
    let format = chat(UsageChunk::Included);
    let replace = ReplyEvent::Replace {
        text: String::new(),
        why: Why::ContentFilter,
    };
    for (event, kind, code) in [
        (replace, "server_error", "replaced"),
        (
            end(Status::Failed, None, Some(ErrorCode::RateLimited)),
            "rate_limit_error",
            "rate_limited",
        ),
        (
            end(Status::Failed, None, Some(ErrorCode::PromptFiltered)),
            "invalid_request_error",
            "prompt_filtered",
        ),
        (end(Status::Stopped, None, None), "server_error", "stopped"),
    ] {
        let (frame, then) = encoded(&format, &event);
        assert_eq!(then, Then::Close);
        let data = frame.strip_prefix("id: 9\ndata: ").unwrap();
        let error: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(error["error"]["type"], kind);
        assert_eq!(error["error"]["code"], code);
        assert!(error["error"]["message"].as_str().unwrap().ends_with('.'));
    }
    let lost = format.encode_lost();
    assert_eq!(lost.then, Then::Close);
    assert!(lost.bytes.starts_with(b"data: {\"error\":"));
}

#[test]
fn a_reply_that_the_filter_cut_off_has_its_finish_reason() {
    let reason = Some(FinishReason::ContentFilter);
    let cut = end(Status::Failed, reason, Some(ErrorCode::ReplyFiltered));
    let (frames, _) = encoded(&chat(UsageChunk::LeftOut), &cut);
    assert!(
        frames.contains(r#""finish_reason":"content_filter""#),
        "{frames}"
    );
    assert!(frames.ends_with("data: [DONE]\n\n"), "{frames}");
}
