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

    /// Whether a later moment or another deployment may succeed: the deployment is busy, or the
    /// connection failed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.error.code,
            ErrorCode::RateLimited | ErrorCode::UpstreamUnavailable
        )
    }
}
