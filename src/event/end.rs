//! The terminal event of a reply: how it ended, and the proof that its text is complete.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::ReplyError;

/// How a reply ended, with the length and hash by which a client can prove its text complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Completed, failed or stopped.
    pub status: Status,
    /// The model's own reason to finish; `None` if it gave none.
    pub finish_reason: Option<FinishReason>,
    /// Why it was stopped, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StopReason>,
    /// The model's version as upstream names it; `None` if no model answered.
    pub model: Option<String>,
    /// The tokens that it took; `None` if upstream failed before a word.
    pub usage: Option<TokenUsage>,
    /// Length of the text after the last `replace`, in bytes of UTF-8.
    pub bytes: u64,
    /// SHA-256 of the same text, in lower-case hexadecimal.
    pub sha256: String,
    /// How long it took.
    pub ms: Timing,
    /// What went wrong, if the reply failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
}

/// The three ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The model finished, and its text is complete.
    Completed,
    /// The reply broke off; `error` says why.
    Failed,
    /// A viewer stopped it, or the server did because it had no readers.
    Stopped,
}

/// Why the model finished, in the words of the Chat Completions API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The reply is complete.
    Stop,
    /// It reached the limit of output tokens.
    Length,
    /// It asks for tool calls.
    ToolCalls,
    /// It asks for a function call, the older form of a tool call.
    FunctionCall,
    /// The content filter cut it off.
    ContentFilter,
    /// Something that this program does not know; the log has the word if it is a known one.
    Other,
}

/// Why a reply was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A viewer sent `DELETE`.
    Viewer,
    /// It had no reader for `IDLE_READER_SECONDS`.
    Unread,
}

/// The tokens that a reply took, and who counted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenUsage {
    /// This server has estimated them: upstream sent no counts.
    Estimated(Estimate),
    /// Upstream has counted them.
    Reported(Usage),
}

impl TokenUsage {
    /// Tokens of the request.
    #[must_use]
    pub const fn prompt_tokens(&self) -> u64 {
        match self {
            Self::Estimated(estimate) => estimate.prompt_tokens,
            Self::Reported(usage) => usage.prompt_tokens,
        }
    }

    /// Tokens of the answer.
    #[must_use]
    pub const fn completion_tokens(&self) -> u64 {
        match self {
            Self::Estimated(estimate) => estimate.completion_tokens,
            Self::Reported(usage) => usage.completion_tokens,
        }
    }
}

/// Token counts that this server has estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    estimated: True,
}

impl Estimate {
    /// An estimate of the tokens of the request and of the answer.
    #[must_use]
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            estimated: True,
        }
    }
}

/// `true`, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "bool", try_from = "bool")]
struct True;

impl From<True> for bool {
    fn from(True: True) -> Self {
        true
    }
}

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        value.then_some(Self).ok_or("not an estimate")
    }
}

/// Token counts as upstream sent them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer, hidden reasoning included.
    pub completion_tokens: u64,
    /// The sum, as upstream reported it.
    pub total_tokens: u64,
    /// Details of `prompt_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Details of `completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

/// Details of [`Usage::prompt_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that came from upstream's prompt cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
}

/// Details of [`Usage::completion_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning that is not part of the text.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}

/// Milliseconds since the POST was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Until the first delta; `None` if there was none.
    pub first: Option<u64>,
    /// Until the end.
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
