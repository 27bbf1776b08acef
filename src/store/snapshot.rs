//! What a reply says, read back from its events.

use bytes::Bytes;

use super::batch::Batch;
use crate::event::{Content, End, Seq};

/// A reply at one moment.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    /// Its text, its reasoning, and its end.
    pub content: Content,
    /// The number of the last event that is part of this snapshot.
    pub last: Seq,
}

impl Snapshot {
    /// Reads the events of a log, from the first one on.
    pub(super) fn read(log: &Batch) -> Self {
        Self {
            content: Content::decode(log.events.iter().map(Bytes::as_ref)),
            last: log.position().seq,
        }
    }
}

/// Decodes the `end` of a log.
pub(super) fn decode_end(end: &Bytes) -> Option<End> {
    Content::decode([end.as_ref()]).end
}
