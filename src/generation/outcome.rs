//! How a reply ends.

use crate::event::{ErrorCode, ReplyError, StopReason};

/// How a reply ends.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The model has finished.
    Completed,
    /// A viewer stopped it, or it had no readers.
    Stopped(StopReason),
    /// The text is incomplete, or must not be shown.
    Failed(ReplyError),
}

impl Outcome {
    pub(super) fn failed(code: ErrorCode) -> Self {
        Self::Failed(ReplyError::new(code))
    }
}
