//! The results of reading a log: a position, one event, or several consecutive ones.
//!
//! Events are encoded bytes. This module does not know where they come from.

use bytes::Bytes;

use crate::event::Seq;

/// The most events that one reply may have. Stops an upstream that sends a byte per chunk from
/// turning the limit on the text into a log that is a hundred times as large.
pub(super) const EVENTS_LIMIT: u64 = 1 << 18;

/// How far a log extends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the last event; 0 if there is none.
    pub seq: Seq,
    /// Whether that event is the `end`, after which there is no other.
    pub ended: bool,
}

/// What a reader finds after its cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The event that follows.
    Event {
        /// Its number.
        seq: Seq,
        /// Its bytes on the wire.
        bytes: Bytes,
        /// Whether it is the `end`.
        last: bool,
    },
    /// Nothing will follow: the cursor is at or beyond the `end`, or the log can no longer be read.
    Closed,
}

/// Consecutive events: a whole log, a part of it, or a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// The number of the event before the first one here.
    pub(super) after: Seq,
    /// The encoded events; may be empty.
    pub(super) events: Vec<Bytes>,
    /// Whether the last event is the `end`; of an empty batch, whether `after` is.
    pub(super) ended: bool,
}

impl Batch {
    /// The position of a log that goes as far as this batch.
    pub(super) fn position(&self) -> Position {
        Position {
            seq: Seq(self.after.0 + self.events.len() as u64),
            ended: self.ended,
        }
    }

    /// The events after `cursor`; all of them if `cursor` is before the first.
    pub(super) fn events_after(&self, cursor: Seq) -> &[Bytes] {
        let skip = cursor.0.saturating_sub(self.after.0);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.events.get(skip..).unwrap_or_default()
    }

    /// At most `limit` of the events after `cursor`, which is not before this batch.
    pub(super) fn part(&self, cursor: Seq, limit: usize) -> Self {
        let rest = self.events_after(cursor);
        let events = rest.get(..limit).unwrap_or(rest).to_vec();
        Self {
            after: cursor,
            ended: self.ended && events.len() == rest.len(),
            events,
        }
    }

    /// The `end`, if the batch reaches to it.
    pub(super) fn end(&self) -> Option<Bytes> {
        let last = self.events.last().filter(|_| self.ended)?;
        Some(last.clone())
    }

    /// The event that follows `cursor`; `None` if it is not in this batch.
    #[inline]
    pub(super) fn next(&self, cursor: Seq) -> Option<Next> {
        let index = usize::try_from(cursor.0.checked_sub(self.after.0)?).ok()?;
        let bytes = self.events.get(index)?.clone();
        Some(Next::Event {
            seq: cursor.next(),
            bytes,
            last: self.ended && index + 1 == self.events.len(),
        })
    }
}
