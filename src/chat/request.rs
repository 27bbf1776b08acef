//! The body of `POST /v1/replies`, parsed and validated.
//!
//! A [`ChatRequest`] exists only if it is valid: at least one message, none blank, the last one the
//! user's. It never holds a system prompt, so no caller can replace ours. This module knows nothing
//! of HTTP or of the format that upstream expects.

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    error::{ChatError, Place},
    message::{MESSAGE_LIMIT, Message, Role},
    object::object,
};

/// A valid request for a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    messages: Vec<Message>,
    idle_reader: Option<Duration>,
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
    pub(super) fn of(
        messages: Vec<Message>,
        idle_reader: Option<Duration>,
    ) -> Result<Self, ChatError> {
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
