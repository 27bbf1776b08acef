//! What a format makes of one event. This file knows no format.

use bytes::Bytes;

/// An event in some format.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::viewer) struct Encoded {
    /// Empty if the format has no word for the event.
    pub(in crate::viewer) bytes: Bytes,
    /// What happens to the body after it.
    pub(in crate::viewer) then: Then,
}

/// What happens to the body after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Then {
    /// More events may follow.
    GoOn,
    /// It ends.
    Close,
    /// It breaks off, so that its client sees that it is not the whole reply.
    Abort,
}

impl Encoded {
    pub(super) fn more(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            then: Then::GoOn,
        }
    }

    pub(super) fn last(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            then: Then::Close,
        }
    }

    pub(super) const fn nothing() -> Self {
        Self {
            bytes: Bytes::new(),
            then: Then::GoOn,
        }
    }
}
