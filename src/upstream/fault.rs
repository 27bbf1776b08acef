//! One failure of a request or of its response.
//!
//! A fault has three parts: its `error` is for clients, its `cause` is for the log, and its `diagnosis`
//! is for the operator. None of them contains text from upstream. This module reads no response and
//! retries nothing.

use super::{cause::Cause, diagnosis::Diagnosis, secrets::RequestId};
use crate::event::{ErrorCode, ReplyError};

/// One failure of upstream, or on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What clients receive.
    pub error: ReplyError,
    /// What the log contains.
    pub cause: Cause,
    /// What an operator could fix.
    pub diagnosis: Diagnosis,
}

impl Fault {
    /// Makes a fault that upstream did not report itself.
    #[must_use]
    pub fn new(code: ErrorCode, cause: impl Into<Cause>) -> Self {
        Self {
            error: ReplyError::new(code),
            cause: cause.into(),
            diagnosis: Diagnosis::Other,
        }
    }

    /// Adds upstream's id for the request.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<&RequestId>) -> Self {
        self.error.request_id = id.map(ToString::to_string);
        self
    }

    /// Adds the wait that the head of the response asks for, if a later request may succeed. It counts
    /// before the one that the error itself names.
    #[must_use]
    pub const fn with_wait(mut self, retry_after_ms: Option<u64>) -> Self {
        if self.is_retryable() && retry_after_ms.is_some() {
            self.error.retry_after_ms = retry_after_ms;
        }
        self
    }

    /// The fault as it is once some of the reply has come: the content filter then objects to the reply.
    #[must_use]
    pub fn after_text(mut self) -> Self {
        if self.error.code == ErrorCode::PromptFiltered {
            self.error = ReplyError {
                request_id: self.error.request_id,
                ..ReplyError::new(ErrorCode::ReplyFiltered)
            };
        }
        self
    }

    /// Whether it is a refusal of the API: the model lacks it, or the server has no such path.
    #[must_use]
    pub const fn refuses_api(&self) -> bool {
        match self.diagnosis {
            Diagnosis::Api => true,
            Diagnosis::PathOrVersion => matches!(
                self.cause,
                Cause::Refused {
                    status: 404 | 405,
                    ..
                }
            ),
            _ => false,
        }
    }

    /// Whether a later moment or another deployment may succeed: the deployment is busy or fails by
    /// itself, or the connection failed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.error.code,
            ErrorCode::RateLimited | ErrorCode::UpstreamUnavailable
        ) || matches!(self.diagnosis, Diagnosis::Outage)
    }
}
