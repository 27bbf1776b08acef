//! How a reply ends.

use crate::event::{ErrorCode, ReplyError, StopReason};

/// How a reply ends.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The model has finished.
    Completed,
    /// Nobody wants the rest.
    Stopped(StopReason),
    /// The text is not whole, or must not be shown.
    Failed(ReplyError),
}

impl Outcome {
    pub(super) fn failed(code: ErrorCode) -> Self {
        Self::Failed(ReplyError::new(code))
    }
}
