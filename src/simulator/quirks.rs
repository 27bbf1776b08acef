//! Quirks: chunks that are legal, or seen in the wild, and are not plain text deltas.
//!
//! Each function adds its chunks to the frames. [`script`](super::script) decides which scenario has
//! which quirk.

use serde_json::{Value, json};

use super::frames::Frames;

/// The length of the line of [`long_line`].
const LONG_LINE_BYTES: usize = 2 * 1024 * 1024;

/// An error object in OpenAI's form.
pub(super) fn server_error() -> Value {
    json!({"error": {
        "message": "The server had an error while processing your request. Sorry about that!",
        "type": "server_error", "param": null, "code": null,
    }})
}

/// A reply that consists of a refusal, to the end.
pub(super) fn refusal(frames: Frames) -> Frames {
    let parts = [
        "I'm", " sorry,", " but", " I", " cannot", " help", " with", " that.",
    ];
    let frames = parts.into_iter().fold(frames.preamble(), |frames, text| {
        let chunk = frames.chunks.delta(json!({"refusal": text})).to_string();
        frames.delta(&chunk)
    });
    frames.complete("stop")
}

/// Some text, then a tool call in parts, to the end.
pub(super) fn tool_calls(frames: Frames) -> Frames {
    let function = json!({"name": "play_riddim", "arguments": ""});
    let call = json!({"index": 0, "id": "call_0", "type": "function", "function": function});
    let first = json!({"content": null, "tool_calls": [call]});
    let later = ["{\"", "tempo", "\":", "72", "}"]
        .map(|piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    let parts = std::iter::once(first).chain(later);
    let frames = parts.fold(frames.preamble().several_deltas(), |frames, delta| {
        let chunk = frames.chunks.delta(delta).to_string();
        frames.delta(&chunk)
    });
    frames.complete("tool_calls")
}

/// Deltas whose content is escaped by hand: no JSON encoder writes half a surrogate pair.
pub(super) fn surrogates(frames: Frames) -> Frames {
    let escaped = [
        r"\u2600\ufe0f \ud83c\udf31 ", // Complete pairs in one chunk.
        r"sun\ud83c",                  // A pair split over two chunks.
        r"\udf1erise ",
        r"half\ud83c moon\n", // A lone surrogate.
    ];
    escaped
        .into_iter()
        .fold(frames.preamble().several_deltas(), |frames, content| {
            let chunk = frames.chunks.text("@").to_string();
            let content = format!("\"content\":\"{content}\"");
            frames.delta(&chunk.replacen("\"content\":\"@\"", &content, 1))
        })
}

/// One delta that makes a very long line.
pub(super) fn long_line(frames: Frames) -> Frames {
    let mut chunk = frames.chunks.text("");
    let length = LONG_LINE_BYTES.saturating_sub("data: ".len() + chunk.to_string().len());
    let text: String = " one love, one heart,"
        .chars()
        .cycle()
        .take(length)
        .collect();
    chunk["choices"][0]["delta"]["content"] = json!(text);
    frames.delta(&chunk.to_string())
}

/// Chunks with everything null, missing or unknown that occurs in the wild; their text still counts.
pub(super) fn oddities(frames: Frames) -> Frames {
    let mut frames = frames;
    let texts = [frames.take_text(), frames.take_text(), frames.take_text()];
    let results = json!({
        "custom_blocklists": [], "error": {"code": "", "message": ""},
        "protected_material_code": {"citation": {"URL": "", "license": ""}, "detected": false},
    });
    let chunks = [
        json!({"choices": [], "prompt_annotations": [{"custom_blocklists": {"filtered": false}}]}),
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]}),
        json!({"choices": [{"delta": {"content": texts[0]}}]}),
        json!({"choices": [{"index": 0}], "created": 0, "id": "", "usage": null}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": null}]}),
        json!({"choices": [{"index": 0, "delta": {"content": null}, "finish_reason": null}]}),
        json!({"choices": [{"index": 0, "delta": {"content": ""}, "content_filter_result": {}}]}),
        json!({
            "choices": [{
                "index": 0, "delta": {"content": texts[1], "role": "assistant", "mood": ["irie"]},
                "content_filter_results": results, "logprobs": null, "novel": {"a": [1, null]},
            }],
            "id": "another", "object": "chat.completion", "system_fingerprint": null, "new": 1.5,
        }),
        json!({"choices": [{"index": 0, "delta": {"content": texts[2], "refusal": null}}]}),
        json!({"choices": []}),
    ];
    chunks.into_iter().fold(frames, |frames, chunk| {
        let text = chunk["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or_default();
        if text.is_empty() {
            frames.chunk(&chunk)
        } else {
            frames.delta(&chunk.to_string())
        }
    })
}
