//! What callers ask for: the body of `POST /v1/replies`, parsed and validated.
//!
//! A [`ChatRequest`] exists only if it is valid: at least one message, none blank, the last one the
//! user's. It never holds a system prompt, so no caller can replace ours. This module knows nothing
//! of HTTP or of the format that upstream expects.

pub mod completions;
mod strict_json;

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::strict_json::Strict;

/// The most messages in one request. Stops a body of a hundred thousand tiny messages, each of
/// which would cost tokens upstream.
pub const MESSAGE_LIMIT: usize = 64;

/// The author of a message. There is no system role: the system prompt belongs to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person who asks.
    User,
    /// The model, in an earlier reply.
    Assistant,
}

/// One message of the conversation.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// The text; not blank.
    pub content: String,
}

/// Shows only the length: prompts never reach a log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.role, self.content.len())
    }
}

/// A valid request for a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    messages: Vec<Message>,
    idle_reader: Option<Duration>,
}

/// Why a body is not a valid request. Callers see these texts; none of them repeats the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// Not JSON.
    #[error("The body is not valid JSON: see line {line}, column {column}.")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON in which an object has a field twice.
    #[error("The body has a field twice: see line {line}, column {column}.")]
    RepeatedField {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("The body must be a JSON object.")]
    NotAnObject,
    /// Both `prompt` and `messages`, or neither.
    #[error("Send either \"prompt\" or \"messages\", not both.")]
    NotOneOfPromptAndMessages,
    /// A field that is not part of the contract.
    #[error("{0} has an unknown field; only {1} are allowed.")]
    UnknownField(Place, &'static str),
    /// A value of the wrong type.
    #[error("{0} must be {1}.")]
    WrongType(Place, &'static str),
    /// Nothing but white space.
    #[error("{0} must not be blank.")]
    Blank(Place),
    /// `messages` is `[]`.
    #[error("\"messages\" must hold at least one message.")]
    NoMessages,
    /// The last message is the assistant's.
    #[error("The last message must be the user's.")]
    LastIsNotTheUsers,
    /// More than [`MESSAGE_LIMIT`].
    #[error("\"messages\" holds {0} messages; the most is {MESSAGE_LIMIT}.")]
    TooManyMessages(usize),
    /// A field of another API that asks for what this server does not have.
    #[error("{0} is not supported here.")]
    Unsupported(Place),
}

impl ChatError {
    /// The part of the body that is wrong, such as `messages[2].content`, where it has a name.
    #[must_use]
    pub fn param(&self) -> Option<String> {
        let place = match self {
            Self::NotJson { .. }
            | Self::RepeatedField { .. }
            | Self::NotAnObject
            | Self::NotOneOfPromptAndMessages => return None,
            Self::NoMessages | Self::LastIsNotTheUsers | Self::TooManyMessages(_) => {
                &Place::Messages
            }
            Self::UnknownField(place, _)
            | Self::WrongType(place, _)
            | Self::Blank(place)
            | Self::Unsupported(place) => place,
        };
        let name = place.to_string();
        Some(name.trim_matches('"').to_owned()).filter(|_| *place != Place::Body)
    }
}

/// The part of the body that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The body itself.
    Body,
    /// The field `prompt`.
    Prompt,
    /// The field `messages`.
    Messages,
    /// The field `idle_reader_seconds`.
    IdleReader,
    /// One message.
    Message(usize),
    /// One message's role.
    Role(usize),
    /// One message's content.
    Content(usize),
    /// Another field of the body.
    Field(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("The body"),
            Self::Prompt => f.write_str("\"prompt\""),
            Self::Messages => f.write_str("\"messages\""),
            Self::IdleReader => f.write_str("\"idle_reader_seconds\""),
            Self::Message(n) => write!(f, "\"messages[{n}]\""),
            Self::Role(n) => write!(f, "\"messages[{n}].role\""),
            Self::Content(n) => write!(f, "\"messages[{n}].content\""),
            Self::Field(name) => write!(f, "\"{name}\""),
        }
    }
}

impl ChatRequest {
    /// Parses a request body.
    ///
    /// # Errors
    ///
    /// The first violation of the contract. [`ChatError::TooManyMessages`] is about size, every
    /// other one about form.
    pub fn from_json(body: &[u8]) -> Result<Self, ChatError> {
        let mut fields = object(body)?;
        let prompt = fields.remove("prompt");
        let messages = fields.remove("messages");
        let idle_reader = fields
            .remove("idle_reader_seconds")
            .map(|value| positive_seconds(&value))
            .transpose()?;
        if !fields.is_empty() {
            return Err(ChatError::UnknownField(
                Place::Body,
                "\"prompt\", \"messages\" and \"idle_reader_seconds\"",
            ));
        }
        let messages = match (prompt, messages) {
            (Some(prompt), None) => {
                vec![Message {
                    role: Role::User,
                    content: non_blank_text(prompt, Place::Prompt)?,
                }]
            }
            (None, Some(Value::Array(list))) => messages_from(list)?,
            (None, Some(_)) => return Err(ChatError::WrongType(Place::Messages, "an array")),
            (Some(_), Some(_)) | (None, None) => {
                return Err(ChatError::NotOneOfPromptAndMessages);
            }
        };
        Self::of(messages, idle_reader)
    }

    /// A request of messages that are each valid.
    fn of(messages: Vec<Message>, idle_reader: Option<Duration>) -> Result<Self, ChatError> {
        match messages.last() {
            None => Err(ChatError::NoMessages),
            Some(Message {
                role: Role::Assistant,
                ..
            }) => Err(ChatError::LastIsNotTheUsers),
            Some(_) => Ok(Self {
                messages,
                idle_reader,
            }),
        }
    }

    /// The messages, oldest first. Never empty; the last one is the user's.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How long the reply should run without readers, if the caller says so.
    #[must_use]
    pub const fn idle_reader(&self) -> Option<Duration> {
        self.idle_reader
    }

    /// Drops the oldest messages until at most `max_chars` characters (Unicode scalar values) are
    /// left, and then a leading assistant message, whose question is gone. Returns the number of
    /// dropped messages.
    ///
    /// The newest message always stays whole: the model would answer a truncated prompt as if it
    /// were complete.
    pub fn trim_history(&mut self, max_chars: usize) -> usize {
        let mut chars = 0_usize;
        let fitting = self
            .messages
            .iter()
            .rev()
            .take_while(|message| {
                chars = chars.saturating_add(message.content.chars().count());
                chars <= max_chars
            })
            .count();
        let newest = self.messages.len() - 1;
        let mut first = (self.messages.len() - fitting).min(newest);
        if first > 0 && self.messages[first].role == Role::Assistant {
            first += 1;
        }
        self.messages.drain(..first);
        first
    }

    /// A SHA-256 digest of the conversation, by which a repeated request is recognized.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for message in &self.messages {
            hash.update([message.role as u8]);
            hash.update((message.content.len() as u64).to_le_bytes());
            hash.update(message.content.as_bytes());
        }
        hash.finalize().into()
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ChatError> {
    let Strict(value) = serde_json::from_slice(body).map_err(|error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        // Any value will do, so this is the only thing that can be wrong with the data itself.
        if error.is_data() {
            ChatError::RepeatedField { line, column }
        } else {
            ChatError::NotJson { line, column }
        }
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(ChatError::NotAnObject),
    }
}

fn positive_seconds(value: &Value) -> Result<Duration, ChatError> {
    value
        .as_f64()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or(ChatError::WrongType(
            Place::IdleReader,
            "a positive number of seconds",
        ))
}

fn messages_from(list: Vec<Value>) -> Result<Vec<Message>, ChatError> {
    if list.len() > MESSAGE_LIMIT {
        return Err(ChatError::TooManyMessages(list.len()));
    }
    list.into_iter()
        .enumerate()
        .map(|(n, value)| match value {
            Value::Object(fields) => message_from(n, fields),
            _ => Err(ChatError::WrongType(Place::Message(n), "an object")),
        })
        .collect()
}

fn message_from(n: usize, mut fields: Map<String, Value>) -> Result<Message, ChatError> {
    let role = match fields.remove("role").as_ref().and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            return Err(ChatError::WrongType(
                Place::Role(n),
                "\"user\" or \"assistant\"",
            ));
        }
    };
    let content = non_blank_text(
        fields.remove("content").unwrap_or_default(),
        Place::Content(n),
    )?;
    if !fields.is_empty() {
        return Err(ChatError::UnknownField(
            Place::Message(n),
            "\"role\" and \"content\"",
        ));
    }
    Ok(Message { role, content })
}

fn non_blank_text(value: Value, place: Place) -> Result<String, ChatError> {
    let Value::String(text) = value else {
        return Err(ChatError::WrongType(place, "a string"));
    };
    if text.trim().is_empty() {
        return Err(ChatError::Blank(place));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
