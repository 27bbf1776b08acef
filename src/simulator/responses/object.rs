//! The JSON of a response: the object that a stream begins and ends with, and its output items.
//!
//! Fields stand in the order in which Azure sends them. This module knows nothing of events.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body::ResponsesBody;
use crate::simulator::stamp::{self, MODEL};

/// Where a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

/// A response. `()` is null: nothing in a request sets those fields.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ResponseObject {
    pub(super) id: String,
    object: &'static str,
    created_at: u64,
    pub(super) status: Status,
    pub(super) background: bool,
    pub(super) completed_at: Option<u64>,
    pub(super) content_filters: Option<Vec<Verdict>>,
    pub(super) error: Option<Value>,
    frequency_penalty: f64,
    pub(super) incomplete_details: Option<Value>,
    pub(super) instructions: Value,
    max_output_tokens: Value,
    max_tool_calls: Value,
    model: &'static str,
    pub(super) output: Vec<Item>,
    parallel_tool_calls: Value,
    presence_penalty: f64,
    previous_response_id: Value,
    prompt_cache_key: Value,
    prompt_cache_retention: Value,
    reasoning: Reasoning,
    safety_identifier: Value,
    pub(super) service_tier: Value,
    store: bool,
    temperature: Value,
    text: Value,
    tool_choice: Value,
    tools: Value,
    top_logprobs: Value,
    top_p: Value,
    truncation: Value,
    pub(super) usage: Option<Value>,
    user: Value,
    metadata: Value,
}

#[derive(Clone, Debug, Serialize)]
struct Reasoning {
    effort: Value,
    summary: Value,
}

impl ResponseObject {
    /// The response to a request, before it has any output.
    pub(super) fn new(body: &ResponsesBody) -> Self {
        let field = |name: &str, default: Value| match body.fields.get(name) {
            None | Some(Value::Null) => default,
            Some(value) => value.clone(),
        };
        let reasoning = field("reasoning", json!({}));
        let mut text = json!({"format": {"type": "text"}, "verbosity": "medium"});
        if let Some(sent) = body.fields.get("text").and_then(Value::as_object) {
            for (name, value) in sent {
                text[name] = value.clone();
            }
        }
        Self {
            id: id("resp", &hex(16)),
            object: "response",
            created_at: stamp::unix_time(),
            status: Status::InProgress,
            background: body.background,
            completed_at: None,
            content_filters: None,
            error: None,
            frequency_penalty: 0.0,
            incomplete_details: None,
            instructions: field("instructions", Value::Null),
            max_output_tokens: field("max_output_tokens", Value::Null),
            max_tool_calls: field("max_tool_calls", Value::Null),
            model: MODEL,
            output: Vec::new(),
            parallel_tool_calls: field("parallel_tool_calls", json!(true)),
            presence_penalty: 0.0,
            previous_response_id: field("previous_response_id", Value::Null),
            prompt_cache_key: field("prompt_cache_key", Value::Null),
            prompt_cache_retention: field("prompt_cache_retention", Value::Null),
            reasoning: Reasoning {
                effort: reasoning.get("effort").cloned().unwrap_or(json!("none")),
                summary: reasoning.get("summary").cloned().unwrap_or_default(),
            },
            safety_identifier: field("safety_identifier", Value::Null),
            service_tier: field("service_tier", json!("auto")),
            store: body.store,
            temperature: field("temperature", json!(1)),
            text,
            tool_choice: field("tool_choice", json!("auto")),
            tools: field("tools", json!([])),
            top_logprobs: field("top_logprobs", json!(0)),
            top_p: field("top_p", json!(1)),
            truncation: field("truncation", json!("disabled")),
            usage: None,
            user: field("user", Value::Null),
            metadata: field("metadata", Value::Object(Map::new())),
        }
    }

    /// The id of a new item. Azure's begins like its response's.
    pub(super) fn item_id(&self, kind: &str) -> String {
        let family = self.id.split('_').nth(1).and_then(|id| id.get(..16));
        id(kind, family.unwrap_or_default())
    }
}

/// An id of 50 hexadecimal digits: the family, the time, and a number of its own.
fn id(kind: &str, family: &str) -> String {
    format!("{kind}_{family}00{:08x}{}", stamp::unix_time(), hex(24))
}

/// Random hexadecimal digits, at most 32.
fn hex(length: usize) -> String {
    let mut digits = uuid::Uuid::new_v4().simple().to_string();
    digits.truncate(length);
    digits
}

/// An output item.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    Message(Message),
    Reasoning(ReasoningItem),
    FunctionCall(FunctionCall),
}

/// A message of the model.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    r#type: &'static str,
    pub(super) status: Status,
    pub(super) content: Vec<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<&'static str>,
    role: &'static str,
}

impl Message {
    /// A message that has just begun.
    pub(super) fn new(id: String, phase: Option<&'static str>) -> Self {
        Self {
            id,
            r#type: "message",
            status: Status::InProgress,
            content: Vec::new(),
            phase,
            role: "assistant",
        }
    }
}

/// What the model has thought; summarized, if the request asks for it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReasoningItem {
    pub(super) id: String,
    r#type: &'static str,
    pub(super) summary: Vec<Part>,
}

impl ReasoningItem {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            r#type: "reasoning",
            summary: Vec::new(),
        }
    }
}

/// The call of a tool.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FunctionCall {
    pub(super) id: String,
    r#type: &'static str,
    status: Status,
    pub(super) arguments: String,
    call_id: &'static str,
    name: &'static str,
}

impl FunctionCall {
    /// A call whose arguments are still to come.
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            r#type: "function_call",
            status: Status::InProgress,
            arguments: String::new(),
            call_id: "call_0",
            name: "play_riddim",
        }
    }

    pub(super) fn complete(&mut self, arguments: String) {
        self.arguments = arguments;
        self.status = Status::Completed;
    }
}

/// A part of an item.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText {
        annotations: [(); 0],
        logprobs: [(); 0],
        text: String,
    },
    Refusal {
        refusal: String,
    },
    SummaryText {
        text: String,
    },
}

/// The content filter's word on the prompt or on the reply.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) blocked: bool,
    source_type: &'static str,
    content_filter_raw: (),
    content_filter_results: Value,
    content_filter_offsets: Offsets,
}

#[derive(Clone, Debug, Serialize)]
struct Offsets {
    start_offset: usize,
    end_offset: usize,
    check_offset: usize,
}

impl Verdict {
    /// The verdict on a prompt of so many characters.
    pub(super) fn on_prompt(characters: usize) -> Self {
        let mut results = results(false);
        results["jailbreak"] = json!({"detected": false, "filtered": false});
        Self::new(false, "prompt", results, characters)
    }

    /// The verdict on a reply of so many characters.
    pub(super) fn on_reply(blocked: bool, characters: usize) -> Self {
        let mut results = results(blocked);
        for name in ["protected_material_code", "protected_material_text"] {
            results[name] = json!({"detected": false, "filtered": false});
        }
        Self::new(blocked, "completion", results, characters)
    }

    fn new(blocked: bool, source_type: &'static str, results: Value, end_offset: usize) -> Self {
        Self {
            blocked,
            source_type,
            content_filter_raw: (),
            content_filter_results: results,
            content_filter_offsets: Offsets {
                start_offset: 0,
                end_offset,
                check_offset: 0,
            },
        }
    }
}

fn results(filtered: bool) -> Value {
    let severity = if filtered { "medium" } else { "safe" };
    json!({
        "hate": {"filtered": false, "severity": "safe"},
        "self_harm": {"filtered": false, "severity": "safe"},
        "sexual": {"filtered": false, "severity": "safe"},
        "violence": {"filtered": filtered, "severity": severity},
    })
}
