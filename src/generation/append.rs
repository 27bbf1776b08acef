//! Appends a reply's events to its log, and names the fault if the log takes no more.

use crate::{
    event::{ErrorCode, ReplyEvent},
    store::{AppendError, Writer},
    upstream::Fault,
};

/// Appends `events` in one batch; none is no batch.
///
/// # Errors
///
/// A [`Fault`] with `too_long` if the log is full, `internal` if it has its end already.
pub(super) fn append(writer: &mut Writer, events: &[ReplyEvent]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    writer.append(events).map_err(|error| match error {
        AppendError::Full => Fault::new(ErrorCode::TooLong, "the log of the reply is full"),
        AppendError::Ended => Fault::new(ErrorCode::Internal, "the log of the reply has its end"),
    })
}
