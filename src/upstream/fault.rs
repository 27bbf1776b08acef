//! One failure of a request or of its response.
//!
//! A fault has three faces. Its `error` is for clients and holds this program's words only; its
//! `cause` is for the log and cannot hold upstream's words either; its `diagnosis` is for whoever can
//! fix it. This module reads no response and retries nothing.

use super::{cause::Cause, diagnosis::Diagnosis, secrets::RequestId};
use crate::event::{ErrorCode, ReplyError};

/// One failure of upstream, or on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What clients are told.
    pub error: ReplyError,
    /// What the log is told.
    pub cause: Cause,
    /// What somebody could fix.
    pub diagnosis: Diagnosis,
}

impl Fault {
    /// Makes a fault that no error of upstream's reports.
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
