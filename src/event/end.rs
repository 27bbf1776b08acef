//! The last event of a reply: how it ended, and what a client needs to prove that it has all of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::ReplyError;

/// How a reply ended, with what a client needs to prove that it has all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Completed, failed or stopped.
    pub status: Status,
    /// The model's own reason to finish; `None` where it never gave one.
    pub finish_reason: Option<FinishReason>,
    /// Why it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StopReason>,
    /// The model's version as upstream names it; `None` where nobody answered.
    pub model: Option<String>,
    /// Upstream's count of tokens; `None` where it never came.
    pub usage: Option<Usage>,
    /// Length of the text after the last `replace`, in bytes of UTF-8.
    pub bytes: u64,
    /// SHA-256 of the same text, in lower-case hexadecimal.
    pub sha256: String,
    /// How long it took.
    pub ms: Timing,
    /// What went wrong, where the status is failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
}

/// The three ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The model finished and all of its text is there.
    Completed,
    /// It broke off; `error` says why.
    Failed,
    /// Somebody, or nobody's reading, stopped it.
    Stopped,
}

/// Why the model finished, in the words of the Chat Completions API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It had said all.
    Stop,
    /// It met the limit of output tokens.
    Length,
    /// It wants to call tools.
    ToolCalls,
    /// The same, in the old form.
    FunctionCall,
    /// The content filter cut it off.
    ContentFilter,
}

/// Why a reply was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A `DELETE`.
    Viewer,
    /// Nobody read it for `IDLE_READER_SECONDS`.
    Unread,
}

/// Token counts as upstream sent them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of everything that was sent.
    pub prompt_tokens: u64,
    /// Tokens of everything that came back, hidden reasoning included.
    pub completion_tokens: u64,
    /// The sum, as upstream gave it.
    pub total_tokens: u64,
    /// Parts of the prompt's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Parts of the completion's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

/// Parts of [`Usage::prompt_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that came from upstream's prompt cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
}

/// Parts of [`Usage::completion_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning that is not part of the text.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}

/// Milliseconds since the POST was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// To the first delta; `None` where there was none.
    pub first: Option<u64>,
    /// To the end.
    pub total: u64,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
