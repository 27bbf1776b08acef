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
    let data = r#"{"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"because"}]}"#;
    let mut chunks = Vec::new();
    let fault = Normalizer::default()
        .read("", data, &mut chunks)
        .unwrap_err();
    assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol);
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
        r#"{"choices":[{"delta":{"content":["part"]}}]}"#,
        r#"{"choices":[{"finish_reason":"because"}]}"#,
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
