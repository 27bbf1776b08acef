//! Quirks: chunks that are legal, or seen in the wild, and are not plain text deltas.
//!
//! Each function adds its chunks to the frames. [`script`](super::script) decides which scenario has
//! which quirk.

use serde_json::{Value, json};

use super::chunks::Chunks;
use crate::simulator::{frames::Frames, wire::SseEvent};

/// Adds a tool call in parts.
pub(super) fn tool_call(frames: Frames<Chunks>) -> Frames<Chunks> {
    let function = json!({"name": "play_riddim", "arguments": ""});
    let call = json!({"index": 0, "id": "call_0", "type": "function", "function": function});
    let first = json!({"content": null, "tool_calls": [call]});
    let later = ["{\"", "tempo", "\":", "72", "}"]
        .map(|piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    let parts = std::iter::once(first).chain(later);
    parts.fold(frames, |mut frames, delta| {
        let chunk = frames.wire.counted(delta);
        frames.paced([chunk])
    })
}

/// Adds chunks with everything null, missing or unknown that occurs in the wild; their text still counts.
pub(super) fn oddities(frames: Frames<Chunks>) -> Frames<Chunks> {
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
    chunks.into_iter().fold(frames, |mut frames, chunk| {
        let text = chunk["choices"][0]["delta"]["content"].as_str();
        if text.unwrap_or_default().is_empty() {
            frames.events([SseEvent::unnamed(&chunk)])
        } else {
            frames.wire.count();
            frames.paced([SseEvent::unnamed(&chunk)])
        }
    })
}

/// Adds all deltas that remain, each as a choice of another shape.
pub(super) fn reshape(
    mut frames: Frames<Chunks>,
    choice: impl Fn(&str) -> Value,
) -> Frames<Chunks> {
    while let Some(text) = frames.next_text() {
        frames.wire.count();
        let chunk = json!({"choices": [choice(&text)]});
        frames = frames.paced([SseEvent::unnamed(&chunk)]);
    }
    frames
}
