//! The text of a reply, read back from its events.

use bytes::Bytes;

use super::batch::Position;
use crate::event::{self, End, Seq};

/// A reply at one moment.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    /// The text after the last `replace`.
    pub text: String,
    /// The number of the last event that is part of this snapshot.
    pub last: Seq,
    /// The `end`, if the reply has ended.
    pub end: Option<End>,
}

impl Snapshot {
    /// Reads `events`, which are all events of a log up to `last`.
    pub(super) fn read(events: &[Bytes], last: Seq) -> Self {
        let (text, end) = event::decode_text(events.iter().map(Bytes::as_ref));
        Self { text, last, end }
    }
}

/// Decodes a log's last event; `None` if the log has not ended.
pub(super) fn end_of(position: Position, last: Option<Bytes>) -> Option<End> {
    let last = last.filter(|_| position.ended)?;
    event::decode_text([last.as_ref()]).1
}
