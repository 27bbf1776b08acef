//! Azure's JSON: the chunks of a stream, and the complete `chat.completion`.
//!
//! The shapes are those of recorded streams: empty `choices` in the first and the last chunk, `id`
//! and `model` blank where Azure leaves them blank, obfuscation. This module knows nothing of SSE
//! syntax, scenarios or time.

use serde_json::{Value, json};

use super::body::ChatBody;
use crate::simulator::{
    failure::Failure,
    reply::Finish,
    stamp::{self, MODEL},
    wire::{SseEvent, Wire},
};

const FINGERPRINT: &str = "fp_5111a70e";
/// Characters of a typical delta. Azure documents no exact rule for its offsets.
const CHARACTERS_PER_DELTA: usize = 5;

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
    /// Each delta carries the usage so far.
    pub(super) running_usage: bool,
    include_usage: bool,
    obfuscate: bool,
    prompt_tokens: usize,
    prompt_characters: usize,
    deltas: usize,
    refusing: bool,
    filtered: bool,
}

impl Wire for Chunks {
    fn opening(&mut self) -> Vec<SseEvent> {
        [self.prompt(), self.role()]
            .map(|chunk| SseEvent::unnamed(&chunk))
            .to_vec()
    }

    fn delta(&mut self, text: &str) -> Vec<SseEvent> {
        let field = if self.refusing { "refusal" } else { "content" };
        vec![self.counted(json!({field: text}))]
    }

    fn refuse(&mut self) {
        self.refusing = true;
    }

    fn finish(&mut self, finish: Finish, _text: &str) -> Vec<SseEvent> {
        self.filtered = finish == Finish::ContentFilter;
        vec![SseEvent::unnamed(&self.finished(reason(finish)))]
    }

    fn closing(&mut self) -> Vec<SseEvent> {
        // Azure sends no usage after content_filter, even if the request asked for it.
        let usage = if self.filtered { None } else { self.usage() };
        usage.into_iter().chain([done()]).collect()
    }

    fn failure(&mut self, failure: &Failure) -> Vec<SseEvent> {
        let error = json!({"error": {
            "message": failure.message, "type": failure.kind, "param": null, "code": failure.code,
        }});
        vec![SseEvent::unnamed(&error)]
    }
}

impl Chunks {
    pub(super) fn new(body: &ChatBody) -> Self {
        Self {
            id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
            created: stamp::unix_time(),
            filter: Filter::InChunks,
            running_usage: false,
            include_usage: body.include_usage,
            obfuscate: body.parameters.obfuscate,
            prompt_tokens: body.parameters.input_tokens(),
            prompt_characters: body.parameters.characters,
            deltas: 0,
            refusing: false,
            filtered: false,
        }
    }

    /// The filter's results for the prompt, and no choice.
    fn prompt(&self) -> Value {
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

    /// The chunk that says who speaks.
    pub(super) fn role(&self) -> Value {
        let delta = json!({"content": "", "refusal": null, "role": "assistant"});
        self.choice(delta, &Value::Null, json!({}))
    }

    /// A chunk with any delta, which counts as one token.
    pub(super) fn counted(&mut self, delta: Value) -> SseEvent {
        self.deltas += 1;
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
        let mut chunk = self.choice(delta, &Value::Null, results);
        if self.running_usage {
            chunk["usage"] = self.usage_object();
        }
        SseEvent::unnamed(&chunk)
    }

    /// Counts a delta that another function has built.
    pub(super) fn count(&mut self) {
        self.deltas += 1;
    }

    /// The chunk with a finish reason.
    pub(super) fn finished(&self, reason: &str) -> Value {
        let results = match reason {
            "content_filter" => json!({"violence": {"filtered": true, "severity": "medium"}}),
            _ => json!({}),
        };
        self.choice(json!({}), &json!(reason), results)
    }

    /// The usage chunk, if the request asked for it.
    pub(super) fn usage(&self) -> Option<SseEvent> {
        let mut chunk = self.envelope(json!([]));
        chunk["usage"] = self.usage_object();
        // Undocumented fields that Azure sends; a decoder has to ignore them.
        chunk["latency_checkpoint"] = json!({"engine_ttft_ms": 23, "engine_tbt_ms": 5});
        chunk["routing"] = json!({"serving_pipereplica": "loopback"});
        self.include_usage.then(|| SseEvent::unnamed(&chunk))
    }

    fn usage_object(&self) -> Value {
        json!({
            "completion_tokens": self.deltas,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0, "audio_tokens": 0, "reasoning_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "prompt_tokens": self.prompt_tokens,
            "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
            "total_tokens": self.prompt_tokens + self.deltas,
        })
    }

    /// An annotation of the asynchronous filter about the text so far: a choice without a delta.
    ///
    /// With `filtered`, it retracts the text.
    pub(super) fn annotation(
        &self,
        filter: &str,
        filtered: bool,
        reason: Option<&str>,
    ) -> SseEvent {
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
        let end = start + self.deltas * CHARACTERS_PER_DELTA;
        SseEvent::unnamed(&json!({
            "choices": [{
                "content_filter_offsets": {
                    "check_offset": start, "start_offset": start, "end_offset": end,
                },
                "content_filter_results": {filter: result},
                "finish_reason": reason,
                "index": 0,
            }],
            "created": 0, "id": "", "model": "", "object": "",
        }))
    }

    /// A complete reply of so many tokens, for a request that did not ask for a stream.
    pub(super) fn completion(mut self, message: &Value, reason: &str, deltas: usize) -> Value {
        self.deltas = deltas;
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
        completion["usage"] = self.usage_object();
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
            // Of random length, so that the size of a chunk does not reveal the length of its text.
            chunk["obfuscation"] = json!(stamp::obfuscation(rand::random_range(1..=15)));
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

/// The event that ends a stream.
pub(super) fn done() -> SseEvent {
    SseEvent::unnamed(&"[DONE]")
}

/// What this API calls the end of a reply.
pub(super) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
    }
}
