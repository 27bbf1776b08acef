//! What can happen in a reply.

use serde::{Deserialize, Serialize};

use super::{created::Created, end::End, id::ReplyId};

/// One event of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyEvent {
    /// Always number 1, written before the POST is answered.
    Start {
        /// The reply's id.
        reply: ReplyId,
        /// When the POST was accepted.
        created: Created,
    },
    /// More text: the text of one upstream chunk.
    Delta {
        /// Never empty.
        text: String,
    },
    /// Replaces the whole text so far; later deltas append to the new text.
    Replace {
        /// The new text; may be empty.
        text: String,
        /// Why it was replaced.
        why: Why,
    },
    /// What the model reports of its reasoning, with `REASONING_SUMMARY` only. Never part of the text.
    Reasoning {
        /// Never empty.
        text: String,
    },
    /// A message to the person who waits.
    Notice(Notice),
    /// Exactly once, always last.
    End(End),
}

impl ReplyEvent {
    /// The SSE event name. Never `error`, `open` or `message`: `EventSource` fires those itself.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Delta { .. } => "delta",
            Self::Replace { .. } => "replace",
            Self::Reasoning { .. } => "reasoning",
            Self::Notice(_) => "notice",
            Self::End(_) => "end",
        }
    }
}

/// Why shown text was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Azure's asynchronous content filter objected after the text was shown.
    ContentFilter,
    /// Upstream's own copy of the whole text differs from the deltas that it sent.
    Correction,
}

/// A message of ours beside the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What it is about.
    pub code: NoticeCode,
    /// One sentence for people.
    pub message: String,
    /// The length of the wait that it announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The number of the attempt that follows; the first retry is 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

impl Notice {
    /// A notice that announces no wait.
    #[must_use]
    pub fn new(code: NoticeCode, message: String) -> Self {
        Self {
            code,
            message,
            retry_after_ms: None,
            attempt: None,
        }
    }
}

/// The subject of a [`Notice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCode {
    /// The oldest messages were not sent: the history is longer than `MAX_HISTORY_CHARS`.
    HistoryTrimmed,
    /// The request is sent again after a wait.
    Retrying,
    /// The request goes to another deployment: one is busy or unreachable.
    OtherDeployment,
    /// The model has finished, and there is no text.
    EmptyReply,
    /// The rest of the model's reasoning is left out: it is longer than `MAX_REPLY_BYTES`.
    ReasoningTrimmed,
}
