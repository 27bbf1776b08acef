//! The body of OpenAI's Chat Completions API as a [`ChatRequest`].
//!
//! Its clients send fields that this server cannot honor. Those without which the answer would be wrong
//! are refused by name. The others, a caller's system prompt among them, are left out, and the caller is
//! told which. Fields that this module does not know are left out as well, since clients get new ones
//! every month.

use serde_json::{Map, Value};

use super::{
    error::{ChatError, Place},
    message::{MESSAGE_LIMIT, Message, Role},
    object::object,
    request::ChatRequest,
};

/// Fields whose absence changes the answer, but not its meaning.
const LEFT_OUT: [&str; 18] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "top_logprobs",
    "top_p",
    "verbosity",
    "web_search_options",
];

/// A request in OpenAI's form.
#[derive(Debug, PartialEq, Eq)]
pub struct CompletionRequest {
    /// The conversation.
    pub chat: ChatRequest,
    /// How the caller wants the answer.
    pub delivery: Delivery,
    /// The parts of the request that have no effect here, in order of their names.
    pub left_out: Vec<&'static str>,
}

/// How a caller wants the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece.
    Whole,
    /// In chunks.
    Chunks,
    /// In chunks, of which the last one has the usage.
    ChunksAndUsage,
}

impl CompletionRequest {
    /// Parses a request body.
    ///
    /// # Errors
    ///
    /// The first part of the body that cannot be read, or that asks for what this server does not have.
    pub fn from_json(body: &[u8]) -> Result<Self, ChatError> {
        let mut fields = object(body)?;
        refuse_unsupported(&fields)?;
        let delivery = delivery(&fields)?;
        let mut left_out: Vec<&'static str> = LEFT_OUT
            .into_iter()
            .filter(|name| fields.get(*name).is_some_and(asks_for_something))
            .collect();
        let Some(Value::Array(list)) = fields.remove("messages") else {
            return Err(ChatError::WrongType(Place::Messages, "an array"));
        };
        let mut messages = Vec::new();
        for (n, value) in list.into_iter().enumerate() {
            let Value::Object(fields) = value else {
                return Err(ChatError::WrongType(Place::Message(n), "an object"));
            };
            match message(n, &fields)? {
                Some(message) => messages.push(message),
                None if !left_out.contains(&"system") => left_out.push("system"),
                None => {}
            }
        }
        if messages.len() > MESSAGE_LIMIT {
            return Err(ChatError::TooManyMessages(messages.len()));
        }
        // Some clients keep the empty answers of replies that failed.
        messages.retain(|message| message.role == Role::User || !message.content.trim().is_empty());
        left_out.sort_unstable();
        Ok(Self {
            chat: ChatRequest::of(messages, None)?,
            delivery,
            left_out,
        })
    }
}

/// Whether a field is more than a default that clients write out.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}

fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), ChatError> {
    for name in ["tools", "functions", "audio"] {
        if fields.get(name).is_some_and(asks_for_something) {
            return Err(ChatError::Unsupported(Place::Field(name)));
        }
    }
    let is = |name: &str, allowed: &[Value]| {
        let value = fields.get(name).unwrap_or(&Value::Null);
        value.is_null() || allowed.contains(value)
    };
    if !is("n", &[1.into()]) {
        return Err(ChatError::Unsupported(Place::Field("n")));
    }
    if !is("modalities", &[serde_json::json!(["text"])]) {
        return Err(ChatError::Unsupported(Place::Field("modalities")));
    }
    // A caller that asks for JSON could not parse a rhyme.
    let format = fields.get("response_format").map(|format| &format["type"]);
    match format {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(kind)) if kind == "text" => Ok(()),
        Some(_) => Err(ChatError::Unsupported(Place::Field("response_format"))),
    }
}

fn delivery(fields: &Map<String, Value>) -> Result<Delivery, ChatError> {
    match fields.get("stream") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Delivery::Whole),
        Some(Value::Bool(true)) => {
            let usage = fields
                .get("stream_options")
                .map(|options| &options["include_usage"]);
            Ok(match usage {
                Some(Value::Bool(true)) => Delivery::ChunksAndUsage,
                _ => Delivery::Chunks,
            })
        }
        Some(_) => Err(ChatError::WrongType(
            Place::Field("stream"),
            "true or false",
        )),
    }
}

/// A message; `None` for a system prompt, since the persona is the server's.
fn message(n: usize, fields: &Map<String, Value>) -> Result<Option<Message>, ChatError> {
    let role = match fields.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => return Ok(None),
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => return Err(ChatError::Unsupported(Place::Message(n))),
        _ => {
            return Err(ChatError::WrongType(
                Place::Role(n),
                "\"user\", \"assistant\", \"system\" or \"developer\"",
            ));
        }
    };
    let content = match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => text_of(n, parts)?,
        // An answer that called a tool has none.
        None | Some(Value::Null) if role == Role::Assistant => String::new(),
        _ => {
            return Err(ChatError::WrongType(
                Place::Content(n),
                "a string, or an array of text parts",
            ));
        }
    };
    if role == Role::User && content.trim().is_empty() {
        return Err(ChatError::Blank(Place::Content(n)));
    }
    Ok(Some(Message { role, content }))
}

/// The text of all parts, each on lines of its own.
fn text_of(n: usize, parts: &[Value]) -> Result<String, ChatError> {
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match part["type"].as_str() {
            Some("text") => part["text"].as_str(),
            Some("refusal") => part["refusal"].as_str(),
            _ => None,
        })
        .collect();
    texts
        .map(|texts| texts.join("\n"))
        .ok_or(ChatError::Unsupported(Place::Content(n)))
}

#[cfg(test)]
mod tests;
