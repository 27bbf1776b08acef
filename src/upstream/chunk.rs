//! The data of one frame in, one [`Chunk`] out: what of a `chat.completion.chunk` concerns a reply.
//!
//! Servers differ, and Microsoft reserves to add fields at any time, so everything that is not
//! needed may be missing, null or of another type. Only what would lose text is an error: data
//! that is not JSON, or text that is not a string.
//!
//! This module knows nothing of connections or of time, and makes no events.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::{Value, value::RawValue};

use super::fault::Fault;
use crate::event::{ErrorCode, FinishReason, Usage};

/// The most of a model's name that is kept. Stops a hostile upstream from growing every `end`.
const MAX_MODEL_CHARS: usize = 128;

/// Whether more can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It can.
    More,
    /// `[DONE]` came, or the connection has ended in order.
    Ended,
}

/// The part of a chunk that concerns a reply.
#[derive(Debug, Default, PartialEq)]
pub struct Chunk {
    /// New text, never empty.
    pub text: Option<String>,
    /// The model has finished. Annotations and usage may still follow.
    pub finish: Option<FinishReason>,
    /// The content filter has condemned text that came before.
    pub condemned: bool,
    /// The token counts, once they are known.
    pub usage: Option<Usage>,
    /// The model's version, where it is another one than before.
    pub model: Option<String>,
}

/// Turns frames into chunks, and keeps what must be remembered from one to the next.
#[derive(Debug, Default)]
pub struct Normaliser {
    /// The JSON of the newest model's name.
    model: String,
    /// The first half of a character that upstream split over two chunks.
    high: Option<u16>,
}

impl Normaliser {
    /// Reads one frame, and adds its chunk to `chunks`: also one that says nothing that we use,
    /// since it is a sign of life. Data that is empty is no chunk.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `upstream_error` for an error object, `upstream_protocol` for what is not a
    /// chunk. Text that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        // The official clients end on whatever begins so.
        if data.starts_with("[DONE]") {
            return Ok(Progress::Ended);
        }
        if data.trim().is_empty() {
            return Ok(Progress::More);
        }
        let wire = WireChunk::parse(data)?;
        if let Some(error) = wire.error.filter(|error| is_truthy(error)) {
            return Err(Fault::in_stream(error.get()));
        }
        if event == "error"
            || wire
                .object
                .is_some_and(|object| object.get() == "\"error\"")
        {
            return Err(Fault::in_stream(data));
        }
        self.take(wire, chunks)
    }

    /// The end of the stream: half a character that never got its other half.
    pub fn finish(&mut self) -> Option<String> {
        self.high
            .take()
            .map(|_| char::REPLACEMENT_CHARACTER.to_string())
    }

    fn take(&mut self, wire: WireChunk<'_>, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let mut chunk = Chunk {
            model: wire.model.and_then(|model| self.new_model(model)),
            // Null in every chunk but the last; in an unknown form it is as good as absent.
            usage: wire
                .usage
                .and_then(|usage| serde_json::from_str(usage.get()).ok()),
            ..Chunk::default()
        };
        let mut fault = None;
        // We ask for one choice. No choice at all does not mean no more text: Azure opens with a
        // chunk that has only filter results, and closes with one that has only usage.
        for choice in wire.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            // Only annotations of the asynchronous filter have no delta. What the other mode
            // lets out was looked at before, and needs not be taken back.
            let annotation = choice.delta.is_none();
            let delta = choice.delta.unwrap_or_default();
            // A refusal is what the model says in the place of an answer.
            for text in [delta.content, delta.refusal].into_iter().flatten() {
                if let Some(text) = self.join(text.0) {
                    chunk.text.get_or_insert_default().push_str(&text);
                }
            }
            match choice.finish_reason.map(finish_reason) {
                Some(Ok(reason)) => chunk.finish = reason.or(chunk.finish),
                Some(Err(bad)) => fault = Some(bad),
                None => {}
            }
            chunk.condemned |= annotation
                && (chunk.finish == Some(FinishReason::ContentFilter)
                    || choice.content_filter_results.is_some_and(condemns));
        }
        if chunk.finish.is_some()
            && let Some(rest) = self.finish()
        {
            chunk.text.get_or_insert_default().push_str(&rest);
        }
        chunks.push(chunk);
        fault.map_or(Ok(Progress::More), Err)
    }

    fn new_model(&mut self, json: &RawValue) -> Option<String> {
        if json.get() == self.model {
            return None;
        }
        json.get().clone_into(&mut self.model);
        let name: String = serde_json::from_str(json.get()).ok()?;
        Some(shown(&name)).filter(|name| !name.is_empty())
    }

    /// Makes a string of `text`, which may begin with the second half of a surrogate pair and end
    /// with the first.
    fn join(&mut self, text: Vec<u8>) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if self.high.is_none() {
            match String::from_utf8(text) {
                Ok(text) => return Some(text),
                Err(error) => return self.join_halves(error.as_bytes()),
            }
        }
        self.join_halves(&text)
    }

    fn join_halves(&mut self, text: &[u8]) -> Option<String> {
        let mut joined = String::with_capacity(text.len() + 4);
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((half, after)) = split_half(rest) {
                rest = after;
                match (self.high.take(), half) {
                    (Some(high), 0xDC00..=0xDFFF) => {
                        let pair = char::decode_utf16([high, half]);
                        joined.extend(pair.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                    }
                    (earlier, _) => {
                        joined.extend(earlier.map(|_| char::REPLACEMENT_CHARACTER));
                        if half < 0xDC00 {
                            self.high = Some(half);
                        } else {
                            joined.push(char::REPLACEMENT_CHARACTER);
                        }
                    }
                }
            } else {
                joined.extend(self.high.take().map(|_| char::REPLACEMENT_CHARACTER));
                let end = next_half(rest).unwrap_or(rest.len());
                joined.push_str(&String::from_utf8_lossy(&rest[..end]));
                rest = &rest[end..];
            }
        }
        (!joined.is_empty()).then_some(joined)
    }
}

/// Half a surrogate pair at the beginning of `bytes`, as WTF-8 writes it in three bytes.
fn split_half(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([0xED, second @ 0xA0..=0xBF, third], rest) = bytes.split_first_chunk()? else {
        return None;
    };
    let half = 0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
    Some((half, rest))
}

fn next_half(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0xED, bytes).find(|at| split_half(&bytes[*at..]).is_some())
}

/// As the Chat Completions API has them, and the names that other servers give the same things.
fn finish_reason(json: &RawValue) -> Result<Option<FinishReason>, Fault> {
    let Ok(reason) = serde_json::from_str::<String>(json.get()) else {
        return Ok(None);
    };
    match reason.as_str() {
        "" => Ok(None),
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => Ok(Some(FinishReason::Stop)),
        "length" | "max_tokens" | "model_length" => Ok(Some(FinishReason::Length)),
        "tool_calls" => Ok(Some(FinishReason::ToolCalls)),
        "function_call" => Ok(Some(FinishReason::FunctionCall)),
        "content_filter" => Ok(Some(FinishReason::ContentFilter)),
        "error" => Err(Fault::new(
            ErrorCode::UpstreamError,
            "finish_reason=error".to_owned(),
        )),
        _ => Err(Fault::new(
            ErrorCode::UpstreamProtocol,
            "unknown finish_reason".to_owned(),
        )),
    }
}

/// Whether any category of a filter's verdict says `filtered`. The blocklists are an object or an
/// array of objects; an `error` in the place of a verdict is none.
fn condemns(verdict: &RawValue) -> bool {
    let is_filtered = |verdict: &Value| verdict["filtered"] == Value::Bool(true);
    match serde_json::from_str(verdict.get()) {
        Ok(Value::Object(categories)) => categories.values().any(|category| {
            is_filtered(category)
                || category
                    .as_array()
                    .is_some_and(|list| list.iter().any(is_filtered))
        }),
        _ => false,
    }
}

/// A model's name as clients may see it: llama.cpp's server gives the path of its file, which is
/// nobody's business.
fn shown(name: &str) -> String {
    let is_path = name.starts_with(['/', '~']) || name.contains('\\');
    let name = if is_path {
        name.rsplit(['/', '\\']).next().unwrap_or_default()
    } else {
        name
    };
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_MODEL_CHARS)
        .collect()
}

/// As Python has it, by which the official client decides whether `error` is one.
fn is_truthy(json: &RawValue) -> bool {
    !matches!(json.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}

/// What is raw is looked at only where it is there, and may be of any type.
#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl<'a> WireChunk<'a> {
    fn parse(data: &'a str) -> Result<Self, Fault> {
        let fault = |cause| Fault::new(ErrorCode::UpstreamProtocol, cause);
        // serde would take an array for the list of the fields.
        if !data.trim_start().starts_with('{') {
            return Err(fault("not a chunk: no JSON object".to_owned()));
        }
        // The position only: serde's own text may quote the reply.
        serde_json::from_str(data).map_err(|error| {
            fault(format!(
                "not a chunk: line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    delta: Option<WireDelta>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_filter_results: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct WireDelta {
    #[serde(default)]
    content: Option<WireText>,
    #[serde(default)]
    refusal: Option<WireText>,
}

/// A JSON string as WTF-8, which can hold half a surrogate pair where `String` cannot: serde_json
/// gives such strings out as bytes only.
struct WireText(Vec<u8>);

impl<'de> Deserialize<'de> for WireText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = WireText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<WireText, E> {
                Ok(WireText(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(normaliser: &mut Normaliser, data: &str) -> Chunk {
        let mut chunks = Vec::new();
        assert_eq!(
            normaliser.read("", data, &mut chunks).unwrap(),
            Progress::More
        );
        assert_eq!(chunks.len(), 1, "for {data}");
        chunks.remove(0)
    }

    fn texts(chunks: &[&str]) -> Vec<Option<String>> {
        let mut normaliser = Normaliser::default();
        let mut texts: Vec<Option<String>> = chunks
            .iter()
            .map(|content| {
                let data = format!("{{\"choices\":[{{\"delta\":{{\"content\":{content}}}}}]}}");
                read(&mut normaliser, &data).text
            })
            .collect();
        texts.extend(normaliser.finish().map(Some));
        texts
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn code(event: &str, data: &str) -> ErrorCode {
        Normaliser::default()
            .read(event, data, &mut Vec::new())
            .unwrap_err()
            .error
            .code
    }

    #[test]
    fn halves_of_a_surrogate_pair_in_two_chunks_are_joined() {
        let lion = [r#""a\ud83e""#, "null", r#""\udd81b""#];
        assert_eq!(texts(&lion), [some("a"), None, some("\u{1F981}b")]);
    }

    #[test]
    fn a_half_that_stays_alone_becomes_a_replacement_character() {
        assert_eq!(texts(&[r#""\ud83e""#, r#""b""#]), [None, some("\u{FFFD}b")]);
        assert_eq!(texts(&[r#""\udd81""#]), [some("\u{FFFD}")]);
        assert_eq!(texts(&[r#""a\ud83e""#]), [some("a"), some("\u{FFFD}")]);
        assert_eq!(
            texts(&[r#""\ud83e\ud83e\udd81\udd81""#]),
            [some("\u{FFFD}\u{1F981}\u{FFFD}")]
        );
    }

    #[test]
    fn a_finish_hands_out_the_half_that_waits() {
        let mut normaliser = Normaliser::default();
        read(
            &mut normaliser,
            r#"{"choices":[{"delta":{"content":"\ud83e"}}]}"#,
        );
        let last = read(
            &mut normaliser,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        );
        assert_eq!(last.text, some("\u{FFFD}"));
    }

    #[test]
    fn a_refusal_is_text() {
        let data = r#"{"choices":[{"delta":{"content":null,"refusal":"No."}}]}"#;
        assert_eq!(read(&mut Normaliser::default(), data).text, some("No."));
    }

    #[test]
    fn only_an_annotation_condemns_what_was_shown() {
        let condemned = |choice: &str| {
            let data = format!("{{\"choices\":[{choice}]}}");
            read(&mut Normaliser::default(), &data).condemned
        };
        for verdict in [
            r#"{"hate":{"filtered":false},"violence":{"filtered":true,"severity":"high"}}"#,
            r#"{"custom_blocklists":{"filtered":true,"details":[]}}"#,
            r#"{"custom_blocklists":[{"filtered":false,"id":"a"},{"filtered":true,"id":"b"}]}"#,
        ] {
            let annotation = format!(r#"{{"content_filter_results":{verdict}}}"#);
            assert!(condemned(&annotation), "{verdict}");
            let delta = format!(r#"{{"delta":{{}},"content_filter_results":{verdict}}}"#);
            assert!(!condemned(&delta), "{verdict}");
        }
        for harmless in [
            r#"{"content_filter_results":{"hate":{"filtered":false},"custom_blocklists":[]}}"#,
            r#"{"content_filter_results":{"error":{"code":"content_filter_error"}}}"#,
            r#"{"content_filter_results":null}"#,
            r#"{"content_filter_results":"none"}"#,
            r#"{"delta":{},"finish_reason":"content_filter"}"#,
        ] {
            assert!(!condemned(harmless), "{harmless}");
        }
        assert!(condemned(r#"{"finish_reason":"content_filter"}"#));
    }

    #[test]
    fn text_beside_a_bad_finish_reason_is_kept() {
        let data =
            r#"{"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"because"}]}"#;
        let mut chunks = Vec::new();
        let fault = Normaliser::default()
            .read("", data, &mut chunks)
            .unwrap_err();
        assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol);
        let kept = Chunk {
            text: some("a"),
            model: some("m"),
            ..Chunk::default()
        };
        assert_eq!(chunks, [kept]);
    }

    #[test]
    fn odd_types_where_nothing_depends_on_them_do_no_harm() {
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
                read(&mut Normaliser::default(), data),
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
    fn what_would_lose_text_is_a_protocol_error() {
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
        let fault = Normaliser::default()
            .read("", data, &mut Vec::new())
            .unwrap_err();
        assert!(!fault.cause.contains("secret"), "{}", fault.cause);
    }

    #[test]
    fn whatever_begins_like_done_is_done_and_nothing_is_no_chunk() {
        let mut chunks = Vec::new();
        for data in ["[DONE]", "[DONE] ", "[DONE]\n"] {
            let read = Normaliser::default().read("", data, &mut chunks);
            assert_eq!(read.unwrap(), Progress::Ended);
        }
        assert_eq!(
            Normaliser::default().read("", " ", &mut chunks).unwrap(),
            Progress::More
        );
        assert_eq!(chunks, []);
    }

    #[test]
    fn the_model_is_named_once() {
        let mut normaliser = Normaliser::default();
        let mut model = |name: &str| read(&mut normaliser, &format!("{{\"model\":{name}}}")).model;
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
}
