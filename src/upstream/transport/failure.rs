//! Why there is no connection: the cause for the log, and the diagnosis for the operator.

use std::{fmt, io};

use crate::upstream::{cause::Cause, diagnosis::Diagnosis};

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct ConnectFailure {
    pub(in crate::upstream) cause: Cause,
    pub(in crate::upstream) diagnosis: Diagnosis,
}

impl ConnectFailure {
    /// A failure with a name.
    pub(super) const fn new(
        stage: &'static str,
        reason: &'static str,
        diagnosis: Diagnosis,
    ) -> Self {
        Self {
            cause: Cause::Connection { stage, reason },
            diagnosis,
        }
    }

    /// An error of the operating system.
    pub(super) fn io(stage: &'static str, error: &io::Error, diagnosis: Diagnosis) -> Self {
        Self {
            cause: Cause::io(stage, error),
            diagnosis,
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for ConnectFailure {}
