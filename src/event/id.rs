//! Names: of a reply, and of an event in it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of a reply, and the right to read it: 122 random bits in a version 4 UUID.
///
/// It has one spelling, so that what is in front of the server can compare, count and mask ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ReplyId(Uuid);

/// Not a reply's id, or not in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a reply: 32 lower-case hexadecimal digits with hyphens")]
pub struct NotAnId;

impl ReplyId {
    /// Draws a new id from the operating system's random source.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The first eight hexadecimal digits: enough to find a reply in a log, not enough to read it.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyId({}…)", self.short())
    }
}

impl FromStr for ReplyId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)?;
        let spelling = id.0.hyphenated();
        let is_spelled_so = spelling.encode_lower(&mut Uuid::encode_buffer()) == text;
        is_spelled_so.then_some(id).ok_or(NotAnId)
    }
}

impl TryFrom<String> for ReplyId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<ReplyId> for String {
    fn from(id: ReplyId) -> Self {
        id.to_string()
    }
}

/// The number of an event in its reply: 1, 2, 3 … without gaps.
///
/// It is the SSE `id`, and therefore also a viewer's cursor. A cursor of 0 means that the viewer has
/// seen nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The cursor of a viewer that has seen nothing.
    pub const ZERO: Self = Self(0);

    /// The number that follows. The largest number, which a client may send as its cursor, follows
    /// itself; no log is that long.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
