use proptest::prelude::*;

use super::*;
use crate::upstream::secrets::ModelName;

fn read(normalizer: &mut Normalizer, data: &str) -> Chunk {
    let mut chunks = Vec::new();
    assert_eq!(
        normalizer.read("", data, &mut chunks).unwrap(),
        Progress::More
    );
    assert_eq!(chunks.len(), 1, "for {data}");
    chunks.remove(0)
}

fn texts(chunks: &[&str]) -> Vec<Option<String>> {
    let mut normalizer = Normalizer::default();
    let mut texts: Vec<Option<String>> = chunks
        .iter()
        .map(|content| {
            let data = format!("{{\"choices\":[{{\"delta\":{{\"content\":{content}}}}}]}}");
            read(&mut normalizer, &data).text
        })
        .collect();
    texts.extend(normalizer.finish().map(Some));
    texts
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn code(event: &str, data: &str) -> ErrorCode {
    Normalizer::default()
        .read(event, data, &mut Vec::new())
        .unwrap_err()
        .error
        .code
}

#[test]
fn a_surrogate_pair_split_over_two_chunks_is_joined() {
    let lion = [r#""a\ud83e""#, "null", r#""\udd81b""#];
    assert_eq!(texts(&lion), [some("a"), None, some("\u{1F981}b")]);
}

#[test]
fn a_lone_surrogate_becomes_a_replacement_character() {
    assert_eq!(texts(&[r#""\ud83e""#, r#""b""#]), [None, some("\u{FFFD}b")]);
    assert_eq!(texts(&[r#""\udd81""#]), [some("\u{FFFD}")]);
    assert_eq!(texts(&[r#""a\ud83e""#]), [some("a"), some("\u{FFFD}")]);
    assert_eq!(
        texts(&[r#""\ud83e\ud83e\udd81\udd81""#]),
        [some("\u{FFFD}\u{1F981}\u{FFFD}")]
    );
}

#[test]
fn a_finish_reason_flushes_a_lone_surrogate() {
    let mut normalizer = Normalizer::default();
    read(
        &mut normalizer,
        r#"{"choices":[{"delta":{"content":"\ud83e"}}]}"#,
    );
    let last = read(
        &mut normalizer,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    );
    assert_eq!(last.text, some("\u{FFFD}"));
}

#[test]
fn a_refusal_is_text() {
    let data = r#"{"choices":[{"delta":{"content":null,"refusal":"No."}}]}"#;
    assert_eq!(read(&mut Normalizer::default(), data).text, some("No."));
}

#[test]
fn reasoning_has_two_names_and_is_taken_once() {
    let mut normalizer = Normalizer::default();
    let mut reasoning = |delta: &str| {
        let data = format!("{{\"choices\":[{{\"delta\":{delta}}}]}}");
        let chunk = read(&mut normalizer, &data);
        assert_eq!(chunk.text, None, "{delta}");
        chunk.reasoning
    };
    for one in [
        r#"{"reasoning_content":"Hm"}"#,
        r#"{"reasoning":"Hm","content":null}"#,
        r#"{"reasoning":"Hm","reasoning_content":"Hm"}"#,
        r#"{"reasoning":"Hm","reasoning_content":null}"#,
    ] {
        assert_eq!(reasoning(one), some("Hm"), "{one}");
    }
    assert_eq!(reasoning(r#"{"reasoning_content":"a\ud83e"}"#), some("a"));
    let lion = some("\u{1F981}");
    assert_eq!(reasoning(r#"{"reasoning_content":"\udd81"}"#), lion);
    for other in ["\"\"", "null", "7", "[]", r#"{"effort":"low"}"#] {
        assert_eq!(reasoning(&format!("{{\"reasoning\":{other}}}")), None);
    }
}

#[test]
fn only_an_annotation_retracts_what_was_shown() {
    let retracted = |choice: &str| {
        let data = format!("{{\"choices\":[{choice}]}}");
        read(&mut Normalizer::default(), &data).retracted
    };
    for verdict in [
        r#"{"hate":{"filtered":false},"violence":{"filtered":true,"severity":"high"}}"#,
        r#"{"custom_blocklists":{"filtered":true,"details":[]}}"#,
        r#"{"custom_blocklists":[{"filtered":false,"id":"a"},{"filtered":true,"id":"b"}]}"#,
    ] {
        let annotation = format!(r#"{{"content_filter_results":{verdict}}}"#);
        assert!(retracted(&annotation), "{verdict}");
        let delta = format!(r#"{{"delta":{{}},"content_filter_results":{verdict}}}"#);
        assert!(!retracted(&delta), "{verdict}");
    }
    for harmless in [
        r#"{"content_filter_results":{"hate":{"filtered":false},"custom_blocklists":[]}}"#,
        r#"{"content_filter_results":{"error":{"code":"content_filter_error"}}}"#,
        r#"{"content_filter_results":null}"#,
        r#"{"content_filter_results":"none"}"#,
        r#"{"delta":{},"finish_reason":"content_filter"}"#,
    ] {
        assert!(!retracted(harmless), "{harmless}");
    }
    assert!(retracted(r#"{"finish_reason":"content_filter"}"#));
}

#[test]
fn text_beside_a_bad_finish_reason_is_kept() {
    let data = r#"{"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#;
    let mut chunks = Vec::new();
    let fault = Normalizer::default()
        .read("", data, &mut chunks)
        .unwrap_err();
    assert_eq!(fault.error.code, ErrorCode::UpstreamError);
    let kept = Chunk {
        text: some("a"),
        model: ModelName::accept("m", &Secrets::default()),
        ..Chunk::default()
    };
    assert_eq!(chunks, [kept]);
}

#[test]
fn unexpected_types_in_unneeded_fields_are_ignored() {
    for data in [
        "{}",
        r#"{"choices":null,"model":null,"usage":null,"error":null}"#,
        r#"{"choices":[],"model":7,"object":["x"],"usage":"many","error":{}}"#,
        r#"{"choices":[{"index":0}],"model":{"name":"x"},"error":false,"created":"soon"}"#,
        r#"{"choices":[{"delta":null,"finish_reason":null}],"usage":{"prompt_tokens":-1}}"#,
        r#"{"choices":[{"delta":{"content":null},"finish_reason":false}],"error":""}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"another choice"}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":""}]}"#,
        r#"{"model":"\ud83e","object":"\ud83e","usage":{"x":"\ud83e"}}"#,
    ] {
        assert_eq!(
            read(&mut Normalizer::default(), data),
            Chunk::default(),
            "for {data}"
        );
    }
}

#[test]
fn an_error_object_under_a_200_is_an_error_in_every_form() {
    for (event, data) in [
        (
            "",
            r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#,
        ),
        ("", r#"{"error":{"code":500,"message":"m"}}"#),
        ("", r#"{"error":"plain"}"#),
        ("", r#"{"error":{"message":"half a character: \ud83e"}}"#),
        ("", r#"{"object":"error","message":"m","code":40001}"#),
        ("error", r#"{"message":"m"}"#),
        (
            "",
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        ),
    ] {
        assert_eq!(code(event, data), ErrorCode::UpstreamError, "for {data}");
    }
}

#[test]
fn frames_that_would_lose_text_are_protocol_errors() {
    for data in [
        "nonsense",
        "{\"choices\":[",
        "[]",
        "7",
        r#"{"choices":{}}"#,
        r#"{"choices":[{"delta":{"content":7}}]}"#,
        r#"{"choices":[{"delta":{"content":true}}]}"#,
        r#"{"choices":[{"delta":{"content":["part",7]}}]}"#,
        r#"{"choices":[{"delta":{"content":{"type":"text","text":7}}}]}"#,
        r#"{"choices":[{"delta":7}]}"#,
        r#"{"choices":[{"message":7}]}"#,
        r#"{"choices":[{"message":{"content":7}}]}"#,
        r#"{"choices":["text"]}"#,
        "{\"choices\":[]}\n{\"choices\":[",
    ] {
        assert_eq!(code("", data), ErrorCode::UpstreamProtocol, "for {data}");
    }
}

#[test]
fn the_cause_of_a_protocol_error_does_not_quote_the_reply() {
    let data = r#"{"choices":[{"delta":{"content":{"secret":1}}}]}"#;
    let fault = Normalizer::default()
        .read("", data, &mut Vec::new())
        .unwrap_err();
    let cause = fault.cause.to_string();
    assert!(!cause.contains("secret"), "{cause}");
}

#[test]
fn data_that_begins_like_done_is_done_and_empty_data_is_no_chunk() {
    let mut chunks = Vec::new();
    for data in ["[DONE]", "[DONE] ", "[DONE]\n"] {
        let read = Normalizer::default().read("", data, &mut chunks);
        assert_eq!(read.unwrap(), Progress::Ended);
    }
    assert_eq!(
        Normalizer::default().read("", " ", &mut chunks).unwrap(),
        Progress::More
    );
    assert_eq!(chunks, []);
}

#[test]
fn the_model_is_named_once() {
    let mut normalizer = Normalizer::default();
    let mut model = |name: &str| {
        read(&mut normalizer, &format!("{{\"model\":{name}}}"))
            .model
            .map(String::from)
    };
    assert_eq!(model("\"\""), None);
    assert_eq!(model("\"a\""), some("a"));
    assert_eq!(model("\"a\""), None);
    assert_eq!(model("7"), None);
    assert_eq!(model("\"b\""), some("b"));
    assert_eq!(model("\"org/model-7b\""), some("org/model-7b"));
    assert_eq!(model("\"/home/me/models/tiny.gguf\""), some("tiny.gguf"));
    assert_eq!(model(r#""C:\\models\\tiny.gguf""#), some("tiny.gguf"));
}

/// The chunk of one choice.
fn of_choice(choice: &str) -> Chunk {
    let data = format!("{{\"choices\":[{choice}]}}");
    read(&mut Normalizer::default(), &data)
}

#[test]
fn text_in_parts_is_text_and_thinking_is_reasoning() {
    for (content, text, reasoning) in [
        (r#"["Wah"," gwan"]"#, some("Wah gwan"), None),
        (
            r#"[{"type":"text","text":"Wah"},{"type":"text","text":" gwan"}]"#,
            some("Wah gwan"),
            None,
        ),
        (r#"{"type":"text","text":"Wah"}"#, some("Wah"), None),
        (r#"{"text":"Wah"}"#, some("Wah"), None),
        (
            r#"{"type":"text","text":{"value":"Wah","annotations":[]}}"#,
            some("Wah"),
            None,
        ),
        (r#"{"parts":[{"text":"Wah"}]}"#, some("Wah"), None),
        (r#"[{"type":"refusal","refusal":"No."}]"#, some("No."), None),
        (
            r#"[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]"#,
            None,
            some("Hm"),
        ),
        (
            r#"[{"type":"thinking","thinking":"Hm"},{"type":"text","text":"Wah"}]"#,
            some("Wah"),
            some("Hm"),
        ),
        (
            r#"[{"type":"thinking","thinking":7},null,{"type":"text","text":null}]"#,
            None,
            None,
        ),
        (
            r#"[{"type":"reference","reference_ids":[1]},{"type":"text","text":"Wah"}]"#,
            some("Wah"),
            None,
        ),
        (
            r#"[{"type":"text","text":"\ud83e\udd81"},{}]"#,
            some("\u{1F981}"),
            None,
        ),
        ("[]", None, None),
        ("{}", None, None),
    ] {
        for place in ["delta", "message"] {
            let chunk = of_choice(&format!(r#"{{"{place}":{{"content":{content}}}}}"#));
            assert_eq!(
                (chunk.text, chunk.reasoning),
                (text.clone(), reasoning.clone()),
                "{place} {content}"
            );
        }
    }
}

#[test]
fn chunks_of_unusual_form_lose_no_text() {
    for choice in [
        r#"{"index":"0","delta":{"content":"Wah"}}"#,
        r#"{"index":0.0,"delta":{"content":"Wah"}}"#,
        r#"{"index":null,"delta":{"content":"Wah"}}"#,
        r#"{"index":"first","delta":{"content":"Wah"}}"#,
        r#"{"delta":{"content":"no"},"delta":{"content":"Wah"}}"#,
        r#"{"delta":{"content":"no","content":"Wah"}}"#,
        r#"{"delta":"Wah"}"#,
        r#"{"message":"Wah"}"#,
        r#"{"message":{"role":"assistant","content":"Wah"}}"#,
        r#"{"message":{"content":"Wah"},"delta":null}"#,
        r#"{"message":{"content":"Wah"},"delta":{}}"#,
        r#"{"message":{"content":"Wah"},"delta":{"content":"Wah"}}"#,
        r#"{"delta":{"content":"Wah","refusal":false}}"#,
        r#"{"delta":{"content":"Wah"},"score":NaN,"range":[-Infinity,Infinity]}"#,
        r#"{"delta":{"content":"Wah","content":["Wah"]},"score":nan}"#,
    ] {
        assert_eq!(of_choice(choice).text, some("Wah"), "for {choice}");
    }
    for choice in [
        r#"{"index":"1","delta":{"content":"another"}}"#,
        r#"{"index":-1,"delta":{"content":"another"}}"#,
        r#"{"delta":[]}"#,
        "null",
    ] {
        assert_eq!(of_choice(choice), Chunk::default(), "for {choice}");
    }
}

#[test]
fn objects_on_lines_of_one_frame_are_chunks() {
    let (mut normalizer, mut chunks) = (Normalizer::default(), Vec::new());
    let line = r#"{"choices":[{"delta":{"content":"Wah"}}]}"#;
    let data = format!("{line}\n{line}\n[DONE]\n{line}");
    let read = normalizer.read("", &data, &mut chunks);
    assert_eq!((read, chunks.len()), (Ok(Progress::Ended), 2));
    // One object on two lines is one object.
    let data = "{\"choices\":\n[{\"delta\":{\"content\":\"Wah\"}}]}";
    assert_eq!(of_whole(data).text, some("Wah"));
}

fn of_whole(data: &str) -> Chunk {
    read(&mut Normalizer::default(), data)
}

#[test]
fn a_finish_reason_is_read_wherever_a_server_puts_it() {
    for data in [
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":null,"finishReason":"STOP"}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"","finish_details":{"type":"stop","stop":"x"}}]}"#,
        r#"{"choices":[{"delta":{"finish_reason":"stop"}}]}"#,
        r#"{"choices":[{"message":{"content":"","finish_reason":"stop"}}]}"#,
        r#"{"choices":[],"finish_reason":"stop"}"#,
        r#"{"choices":[{"index":"0","delta":{},"finish_reason":"stop"}]}"#,
    ] {
        assert_eq!(
            of_whole(data).finish,
            Some(FinishReason::Stop),
            "for {data}"
        );
    }
    let unknown = of_choice(r#"{"delta":{"content":"Wah"},"finish_reason":"because"}"#);
    assert_eq!(
        (unknown.text, unknown.finish),
        (some("Wah"), Some(FinishReason::Other))
    );
}

#[test]
fn an_answer_of_which_no_text_was_understood_is_a_protocol_error() {
    let finished = |first: &str, reason: &str| {
        let mut normalizer = Normalizer::default();
        normalizer.read("", first, &mut Vec::new()).unwrap();
        let last = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        normalizer.read("", &last, &mut Vec::new())
    };
    let elsewhere = r#"{"choices":[{"delta":{"said":"Wah"}}]}"#;
    for reason in ["stop", "length", "because"] {
        let fault = finished(elsewhere, reason).unwrap_err();
        assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol, "{reason}");
    }
    for reason in ["tool_calls", "content_filter"] {
        assert!(finished(elsewhere, reason).is_ok(), "{reason}");
    }
    for understood in [
        r#"{"choices":[{"delta":{"content":""}}]}"#,
        r#"{"choices":[{"delta":{"content":"Wah","said":"Wah"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"Hm","said":"Hm"}}]}"#,
    ] {
        assert!(finished(understood, "stop").is_ok(), "{understood}");
    }
}

#[test]
fn text_beside_an_error_is_kept() {
    for data in [
        r#"{"choices":[{"delta":{"content":"a"}}],"error":{"code":502}}"#,
        r#"{"choices":[{"delta":{"content":"a"},"error":{"code":502},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"error":{"code":502}}"#,
    ] {
        let mut chunks = Vec::new();
        let fault = Normalizer::default()
            .read("", data, &mut chunks)
            .unwrap_err();
        assert_eq!(fault.error.code, ErrorCode::UpstreamUnavailable, "{data}");
        assert_eq!(chunks[0].text, some("a"), "{data}");
        assert_eq!(chunks[0].finish, None, "{data}");
    }
}

proptest! {
    #[test]
    fn text_cut_between_any_code_units_comes_out_whole(
        text in "\\PC{0,12}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(units.len() + 1)).collect();
        at.extend([0, units.len()]);
        at.sort_unstable();
        let chunks: Vec<String> = at
            .windows(2)
            .map(|pair| {
                let escaped: String =
                    units[pair[0]..pair[1]].iter().map(|u| format!("\\u{u:04x}")).collect();
                format!("\"{escaped}\"")
            })
            .collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        prop_assert_eq!(texts(&chunks).into_iter().flatten().collect::<String>(), text);
    }
}
