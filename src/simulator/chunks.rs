//! Azure's JSON: the chunks of a stream, and the complete `chat.completion`.
//!
//! The shapes are those of recorded streams: empty `choices` in the first and the last chunk, `id`
//! and `model` blank where Azure leaves them blank, obfuscation. This module knows nothing of SSE
//! framing, scenarios or time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{body::ChatBody, limits::CHARACTERS_PER_TOKEN};

/// The model's version, which is not the name of its deployment.
pub(super) const MODEL: &str = "sim-dread-2026-11-01";

const FINGERPRINT: &str = "fp_5111a70e";
/// Tokens that each message costs beyond its text.
const TOKENS_PER_MESSAGE: usize = 4;

/// The setting of the deployment's content filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Each chunk carries the filter's results.
    InChunks,
    /// Chunks carry no results; annotations follow on their own.
    Asynchronous,
    /// Each chunk says that the filter did not run.
    Outage,
}

/// Builds the chunks of one reply, with everything that they have in common.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    id: String,
    created: u64,
    pub(super) filter: Filter,
    include_usage: bool,
    obfuscate: bool,
    prompt_tokens: usize,
    prompt_characters: usize,
}

impl Chunks {
    pub(super) fn new(body: &ChatBody) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
            created: now.as_secs(),
            filter: Filter::InChunks,
            include_usage: body.include_usage,
            obfuscate: body.obfuscate,
            prompt_tokens: body.characters.div_ceil(CHARACTERS_PER_TOKEN)
                + body.message_count * TOKENS_PER_MESSAGE,
            prompt_characters: body.characters,
        }
    }

    /// Whether the request asked for the usage chunk.
    pub(super) fn includes_usage(&self) -> bool {
        self.include_usage
    }

    /// The first chunk: the filter's results for the prompt, and no choice.
    pub(super) fn prompt(&self) -> Value {
        let results = json!({
            "hate": {"filtered": false, "severity": "safe"},
            "jailbreak": {"detected": false, "filtered": false},
            "self_harm": {"filtered": false, "severity": "safe"},
            "sexual": {"filtered": false, "severity": "safe"},
            "violence": {"filtered": false, "severity": "safe"},
        });
        json!({
            "choices": [], "created": 0, "id": "", "model": "", "object": "",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": results}],
        })
    }

    pub(super) fn role(&self) -> Value {
        let delta = json!({"content": "", "refusal": null, "role": "assistant"});
        self.choice(delta, &Value::Null, json!({}))
    }

    pub(super) fn text(&self, text: &str) -> Value {
        self.delta(json!({"content": text}))
    }

    /// A chunk with any delta.
    pub(super) fn delta(&self, delta: Value) -> Value {
        let results = match self.filter {
            Filter::Outage => json!({"error": {
                "code": "content_filter_error",
                "message": "The contents are not filtered",
            }}),
            _ => json!({
                "hate": {"filtered": false, "severity": "safe"},
                "protected_material_text": {"detected": false, "filtered": false},
                "self_harm": {"filtered": false, "severity": "safe"},
                "sexual": {"filtered": false, "severity": "safe"},
                "violence": {"filtered": false, "severity": "safe"},
            }),
        };
        self.choice(delta, &Value::Null, results)
    }

    pub(super) fn finish(&self, reason: &str) -> Value {
        let results = match reason {
            "content_filter" => json!({"violence": {"filtered": true, "severity": "medium"}}),
            _ => json!({}),
        };
        self.choice(json!({}), &json!(reason), results)
    }

    /// The usage chunk of a reply of `deltas` deltas.
    pub(super) fn usage(&self, deltas: usize) -> Value {
        let mut chunk = self.envelope(json!([]));
        chunk["usage"] = self.usage_object(deltas);
        // Undocumented fields that Azure sends; a decoder has to ignore them.
        chunk["latency_checkpoint"] = json!({"engine_ttft_ms": 23, "engine_tbt_ms": 5});
        chunk["routing"] = json!({"serving_pipereplica": "loopback"});
        chunk
    }

    /// The `usage` object of a reply of `deltas` deltas.
    pub(super) fn usage_object(&self, deltas: usize) -> Value {
        json!({
            "completion_tokens": deltas,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0, "audio_tokens": 0, "reasoning_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "prompt_tokens": self.prompt_tokens,
            "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
            "total_tokens": self.prompt_tokens + deltas,
        })
    }

    /// An annotation of the asynchronous filter about the text so far: a choice without a delta.
    ///
    /// With `filtered`, it retracts the text.
    pub(super) fn annotation(
        &self,
        filter: &str,
        filtered: bool,
        reason: &Value,
        end: usize,
    ) -> Value {
        let result = match filter {
            "protected_material_code" | "protected_material_text" => {
                json!({"detected": filtered, "filtered": filtered})
            }
            _ => json!({
                "filtered": filtered,
                "severity": if filtered { "medium" } else { "safe" },
            }),
        };
        // Azure counts the offsets from the start of the prompt.
        let start = self.prompt_characters;
        json!({
            "choices": [{
                "content_filter_offsets": {
                    "check_offset": start, "start_offset": start, "end_offset": start + end,
                },
                "content_filter_results": {filter: result},
                "finish_reason": reason,
                "index": 0,
            }],
            "created": 0, "id": "", "model": "", "object": "",
        })
    }

    /// A complete reply, for a request that did not ask for a stream.
    pub(super) fn completion(&self, message: &Value, reason: &str, deltas: usize) -> Value {
        let filtered = reason == "content_filter";
        let severity = if filtered { "medium" } else { "safe" };
        let mut completion = self.envelope(json!([{
            "content_filter_results": {
                "hate": {"filtered": false, "severity": "safe"},
                "self_harm": {"filtered": false, "severity": "safe"},
                "sexual": {"filtered": false, "severity": "safe"},
                "violence": {"filtered": filtered, "severity": severity},
            },
            "finish_reason": reason, "index": 0, "logprobs": null, "message": message,
        }]));
        completion["object"] = json!("chat.completion");
        completion["usage"] = self.usage_object(deltas);
        completion["prompt_filter_results"] = self.prompt()["prompt_filter_results"].take();
        completion
    }

    fn choice(&self, delta: Value, reason: &Value, results: Value) -> Value {
        let mut choice = json!({"finish_reason": reason, "index": 0, "logprobs": null});
        choice["delta"] = delta;
        if self.filter != Filter::Asynchronous {
            choice["content_filter_results"] = results;
        }
        let mut chunk = self.envelope(json!([choice]));
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        if self.obfuscate {
            chunk["obfuscation"] = json!(obfuscation());
        }
        chunk
    }

    fn envelope(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "created": self.created, "id": self.id, "model": MODEL,
            "object": "chat.completion.chunk", "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        });
        chunk["choices"] = choices;
        chunk
    }
}

/// Padding of random length, so that the size of a chunk does not reveal the length of its text.
fn obfuscation() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let length = rand::random_range(1..=15);
    (0..length)
        .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
        .collect()
}
