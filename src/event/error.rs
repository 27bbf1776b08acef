//! The closed list of ways in which a reply can fail, each with its sentence for people.
//!
//! Upstream's own error text is never part of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure as clients see it. It never contains upstream's own text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyError {
    /// The kind of failure, from a closed list.
    pub code: ErrorCode,
    /// [`ErrorCode::message`] of the code.
    pub message: String,
    /// Whether the same prompt may succeed later.
    pub retryable: bool,
    /// How long upstream asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Upstream's request id, to quote in a support case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ReplyError {
    /// Makes the error for `code`, with its message.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: code.message().to_owned(),
            retryable: code.retryable(),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

/// Every way in which a reply can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`message` explains each one in a sentence")]
pub enum ErrorCode {
    PromptFiltered,
    ReplyFiltered,
    ContextTooLong,
    UpstreamRejected,
    UpstreamAuth,
    DeploymentNotFound,
    RateLimited,
    UpstreamUnavailable,
    UpstreamTimeout,
    UpstreamStalled,
    UpstreamTruncated,
    UpstreamError,
    UpstreamProtocol,
    ReplyTimeout,
    TooLong,
    ServerShutdown,
    ProducerLost,
    Internal,
}

impl ErrorCode {
    /// What happened, in one sentence for the person who waits for the reply.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::PromptFiltered => "The content filter refused the prompt; please reword it.",
            Self::ReplyFiltered => "The content filter cut the reply off.",
            Self::ContextTooLong => {
                "The conversation is longer than the model can read; please start a new one."
            }
            Self::UpstreamRejected => "The model's service refused the request.",
            Self::UpstreamAuth => "The model's service did not accept this server's credentials.",
            Self::DeploymentNotFound => {
                "The model's service has no deployment of the configured name."
            }
            Self::RateLimited => "The model's service is at its rate limit; please try again.",
            Self::UpstreamUnavailable => {
                "The model's service could not be reached; please try again."
            }
            Self::UpstreamTimeout => "The model's service did not answer in time.",
            Self::UpstreamStalled => {
                "The model's service stopped responding in the middle of the reply."
            }
            Self::UpstreamTruncated => {
                "The connection to the model's service ended before the reply did."
            }
            Self::UpstreamError => {
                "The model's service reported an error in the middle of the reply."
            }
            Self::UpstreamProtocol => {
                "The model's service sent a response that this server does not understand."
            }
            Self::ReplyTimeout => "The reply took longer than this server allows.",
            Self::TooLong => "The reply grew longer than this server allows.",
            Self::ServerShutdown => {
                "The server shut down before the reply was complete; please try again."
            }
            Self::ProducerLost => "The server that was writing the reply failed; please try again.",
            Self::Internal => "The server had an internal error; please try again.",
        }
    }

    /// Whether the same prompt may succeed later, with nothing changed.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::PromptFiltered
            | Self::ReplyFiltered
            | Self::ContextTooLong
            | Self::UpstreamRejected
            | Self::UpstreamAuth
            | Self::DeploymentNotFound
            | Self::ReplyTimeout
            | Self::TooLong => false,
            Self::RateLimited
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::UpstreamStalled
            | Self::UpstreamTruncated
            | Self::UpstreamError
            | Self::UpstreamProtocol
            | Self::ServerShutdown
            | Self::ProducerLost
            | Self::Internal => true,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
