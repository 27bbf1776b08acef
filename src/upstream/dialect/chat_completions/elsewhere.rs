//! Whether a chunk has text in a place that this program does not know.
//!
//! A stream that ends properly and had no text may have had it elsewhere. Then its reply must not look
//! like an empty answer. A chunk is asked only while there has been no text.

use serde_json::Value;

/// Members of a choice that hold no text of the reply.
const KNOWN_IN_CHOICE: &[&str] = &[
    "content_filter_offsets",
    "content_filter_raw",
    "content_filter_result",
    "content_filter_results",
    "error",
    "finishMessage",
    "finishReason",
    "finish_details",
    "finish_message",
    "finish_reason",
    "id",
    "index",
    "logprobs",
    "matched_stop",
    "model",
    "name",
    "native_finish_reason",
    "object",
    "obfuscation",
    "provider",
    "role",
    "safety_ratings",
    "stop",
    "stop_reason",
    "type",
    "usage",
];

/// Members of a delta or of a message that are read, or hold no text of the reply.
const KNOWN_IN_DELTA: &[&str] = &[
    "annotations",
    "audio",
    "channel",
    "citations",
    "content",
    "context",
    "encrypted_content",
    "extra_content",
    "finish_reason",
    "function_call",
    "id",
    "images",
    "index",
    "metadata",
    "model",
    "name",
    "obfuscation",
    "phase",
    "provider_specific_fields",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_signature",
    "recipient",
    "refusal",
    "role",
    "signature",
    "status",
    "thinking",
    "thought",
    "thought_signature",
    "tool_call_id",
    "tool_calls",
    "type",
];

/// Members beside the choices, or in place of them, that hold the text of other APIs.
const TEXTUAL: &[&str] = &[
    "answer",
    "candidates",
    "completion",
    "content",
    "delta",
    "generated_text",
    "message",
    "output",
    "output_text",
    "parts",
    "response",
    "result",
    "text",
    "value",
];

/// Whether the data of a frame has text in a place that is not known.
pub(super) fn has_text(data: &str) -> bool {
    let chunk: Value = serde_json::from_str(data).unwrap_or_default();
    let choices = chunk["choices"].as_array().into_iter().flatten();
    holds_text(&chunk)
        || choices.filter_map(Value::as_object).any(|choice| {
            choice
                .iter()
                .any(|(name, value)| match (name.as_str(), value) {
                    ("delta" | "message", Value::Object(delta)) => {
                        delta.iter().any(|(name, value)| {
                            !KNOWN_IN_DELTA.contains(&name.as_str()) && is_text(value)
                        })
                    }
                    (name, value) => !KNOWN_IN_CHOICE.contains(&name) && is_text(value),
                })
        })
}

/// Whether a value is text, or a list or an object that holds some.
fn is_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => list.iter().any(is_text),
        _ => holds_text(value),
    }
}

fn holds_text(object: &Value) -> bool {
    TEXTUAL
        .iter()
        .any(|name| object.get(name).is_some_and(is_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_reply_is_seen_wherever_it_stands() {
        for data in [
            r#"{"choices":[{"index":0,"text":"Wah"}]}"#,
            r#"{"choices":[{"delta":{"text":"Wah"}}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant","said":"Wah"}}]}"#,
            r#"{"choices":[{"message":{"output":[{"type":"x","text":"Wah"}]}}]}"#,
            r#"{"choices":[{"messages":[{"delta":{"content":"Wah"}}]}]}"#,
            r#"{"choices":[{"tokens":["Wah"]}]}"#,
            r#"{"message":{"role":"assistant","content":"Wah"},"done":false}"#,
            r#"{"response":"Wah","done":false}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"Wah"}]},"finishReason":"STOP"}]}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Wah"}}"#,
        ] {
            assert!(has_text(data), "for {data}");
        }
    }

    #[test]
    fn what_is_known_to_be_no_text_of_the_reply_is_none() {
        for data in [
            "",
            "nonsense",
            r#"{"choices":[],"id":"x","model":"m","object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"text":" "},"text":"","finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"n","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"text":"hm"}]},"stop_reason":"x"}]}"#,
            r#"{"choices":[{"content_filter_results":{"hate":{"severity":"safe"}}}]}"#,
            r#"{"choices":[{"delta":{},"novel":{"severity":"safe","number":7}}]}"#,
            r#"{"choices":[{"logprobs":{"content":[{"token":"Wah"}]}}]}"#,
        ] {
            assert!(!has_text(data), "for {data}");
        }
    }
}
