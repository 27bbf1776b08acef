//! Peculiar chunks: parts of scripts that consist of something other than plain deltas.
//!
//! Each takes a tape and returns it with its chunks added. All are legal, or seen in the
//! wild; which scenario uses which is the script's.

use serde_json::{Value, json};

use super::tape::Tape;

/// Bytes of the line in [`long_line`].
const LONG_LINE: usize = 2 * 1024 * 1024;

/// An error object in OpenAI's form.
pub(super) fn server_error() -> Value {
    json!({"error": {
        "message": "The server had an error while processing your request. Sorry about that!",
        "type": "server_error", "param": null, "code": null,
    }})
}

/// A reply that is a refusal, whole.
pub(super) fn refusal(tape: Tape) -> Tape {
    let parts = [
        "I'm", " sorry,", " but", " I", " cannot", " help", " with", " that.",
    ];
    let tape = parts.into_iter().fold(tape.opening(), |tape, text| {
        let chunk = tape.chunks.part(json!({"refusal": text})).to_string();
        tape.counted(&chunk)
    });
    tape.close("stop")
}

/// Some text, then a tool call in pieces, to the end.
pub(super) fn tool_calls(tape: Tape) -> Tape {
    let function = json!({"name": "play_riddim", "arguments": ""});
    let call = json!({"index": 0, "id": "call_0", "type": "function", "function": function});
    let first = json!({"content": null, "tool_calls": [call]});
    let later = ["{\"", "tempo", "\":", "72", "}"]
        .map(|piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    let parts = std::iter::once(first).chain(later);
    let tape = parts.fold(tape.opening().several(), |tape, delta| {
        let chunk = tape.chunks.part(delta).to_string();
        tape.counted(&chunk)
    });
    tape.close("tool_calls")
}

/// Deltas whose content is escaped by hand: no encoder would write half a surrogate pair.
pub(super) fn surrogates(tape: Tape) -> Tape {
    let escaped = [
        r"\u2600\ufe0f \ud83c\udf31 ", // Whole pairs, in one chunk.
        r"sun\ud83c",                  // A pair over two chunks.
        r"\udf1erise ",
        r"half\ud83c moon\n", // A half that never gets its other.
    ];
    escaped
        .into_iter()
        .fold(tape.opening().several(), |tape, content| {
            let chunk = tape.chunks.delta("@").to_string();
            let content = format!("\"content\":\"{content}\"");
            tape.counted(&chunk.replacen("\"content\":\"@\"", &content, 1))
        })
}

/// One delta that makes a very long line.
pub(super) fn long_line(tape: Tape) -> Tape {
    let mut chunk = tape.chunks.delta("");
    let rest = LONG_LINE.saturating_sub("data: ".len() + chunk.to_string().len());
    let text: String = " one love, one heart,".chars().cycle().take(rest).collect();
    chunk["choices"][0]["delta"]["content"] = json!(text);
    tape.counted(&chunk.to_string())
}

/// Chunks that are all seen in the wild and carry their text all the same.
pub(super) fn oddities(tape: Tape) -> Tape {
    let mut tape = tape;
    let texts = [tape.take(), tape.take(), tape.take()];
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
    chunks.into_iter().fold(tape, |tape, chunk| {
        let text = chunk["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or_default();
        if text.is_empty() {
            tape.chunk(&chunk)
        } else {
            tape.counted(&chunk.to_string())
        }
    })
}
