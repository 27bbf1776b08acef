//! The text of a reply, read back from its events.

use bytes::Bytes;

use super::batch::Batch;
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
    /// Reads the events of a log, from the first one on.
    pub(super) fn read(log: &Batch) -> Self {
        let (text, end) = event::decode_text(log.events.iter().map(Bytes::as_ref));
        let last = log.position().seq;
        Self { text, last, end }
    }
}

/// Decodes the `end` of a log.
pub(super) fn decode_end(end: &Bytes) -> Option<End> {
    event::decode_text([end.as_ref()]).1
}
