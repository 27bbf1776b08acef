//! The contract: the events of a reply, their numbers, names and bytes on the wire.
//!
//! A generation makes [`ReplyEvent`]s, the store numbers and encodes them once, and every viewer
//! sends those very bytes. Each event is one SSE block of exactly three lines, `id`, `event` and
//! `data`, the form on which all SSE clients agree.
//!
//! This module knows nothing of HTTP, of Azure or of where events are kept.

mod end;
mod error;
mod pad;
mod transcript;

#[cfg(test)]
mod tests;

use std::{fmt, io::Write as _, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    end::{
        CompletionTokensDetails, End, FinishReason, PromptTokensDetails, Status, StopReason,
        Timing, Usage,
    },
    error::{ErrorCode, ReplyError},
    pad::Pad,
    transcript::{Transcript, created_of, hex, read_back},
};

/// The name of a reply, and the right to read it: 122 random bits in a version 4 UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplyId(Uuid);

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
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// An event's number in its reply: 1, 2, 3 … without gaps. It is the SSE `id`, and a viewer's
/// cursor; as a cursor it may be 0, "nothing seen yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The cursor of a viewer that has seen nothing.
    pub const ZERO: Self = Self(0);

    /// The number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a reply was accepted. Written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created(jiff::Timestamp);

impl Created {
    /// The system clock's present time.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Milliseconds since then by the system clock; 0 if the clock was set back.
    #[must_use]
    pub fn elapsed_ms(self) -> u64 {
        let elapsed = jiff::Timestamp::now().as_millisecond() - self.0.as_millisecond();
        u64::try_from(elapsed).unwrap_or_default()
    }
}

impl FromStr for Created {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Created {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One entry of a reply's log.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyEvent {
    /// Always number 1, written before the POST is answered.
    Start {
        /// The reply's id.
        reply: ReplyId,
        /// When the POST was accepted.
        created: Created,
    },
    /// More text: what one upstream chunk held.
    Delta {
        /// Never empty.
        text: String,
    },
    /// The whole text so far is replaced; later deltas append to this one.
    Replace {
        /// What stands instead; may be empty.
        text: String,
        /// Why it was replaced.
        why: Why,
    },
    /// Something that the person waiting should know.
    Notice(Notice),
    /// Exactly once, always last.
    End(End),
}

/// Why shown text was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Azure's asynchronous content filter condemned it after it was shown.
    ContentFilter,
}

/// A message of ours beside the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What it is about.
    pub code: NoticeCode,
    /// One sentence for people.
    pub message: String,
    /// How long the wait is that it announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Which attempt follows, the first retry being 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

impl Notice {
    /// A notice that announces no wait.
    #[must_use]
    pub fn new(code: NoticeCode, message: String) -> Self {
        Self {
            code,
            message,
            retry_after_ms: None,
            attempt: None,
        }
    }
}

/// What a [`Notice`] can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCode {
    /// The oldest messages were not sent, since the history is longer than `MAX_HISTORY_CHARS`.
    HistoryTrimmed,
    /// Upstream is asked again after a wait.
    Retrying,
    /// Another deployment is asked, since one is busy or cannot be reached.
    OtherDeployment,
}

#[derive(Serialize)]
struct StartData {
    reply: ReplyId,
    created: Created,
}

#[derive(Serialize)]
struct DeltaData<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pad: Option<&'a str>,
}

#[derive(Serialize)]
struct ReplaceData<'a> {
    text: &'a str,
    why: Why,
}

impl ReplyEvent {
    /// The SSE event name. Never `error`, `open` or `message`: `EventSource` fires those itself.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Delta { .. } => "delta",
            Self::Replace { .. } => "replace",
            Self::Notice(_) => "notice",
            Self::End(_) => "end",
        }
    }

    /// Appends the whole SSE block to `out`; `pad` is written into deltas only.
    pub fn encode(&self, seq: Seq, pad: Option<&Pad>, out: &mut Vec<u8>) {
        open_block(seq, self.name(), out);
        match self {
            Self::Start { reply, created } => {
                json(
                    &StartData {
                        reply: *reply,
                        created: *created,
                    },
                    out,
                );
            }
            Self::Delta { text } => json(
                &DeltaData {
                    text,
                    pad: pad.map(Pad::as_str),
                },
                out,
            ),
            Self::Replace { text, why } => json(&ReplaceData { text, why: *why }, out),
            Self::Notice(notice) => json(notice, out),
            Self::End(end) => json(end, out),
        }
        out.extend_from_slice(b"\n\n");
    }
}

/// A `ping`: the one event that is not in the log. Its id is the connection's own cursor, so that
/// a client that reconnects after it resumes where it was.
pub fn encode_ping(cursor: Seq, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct PingData {
        last: Seq,
    }
    open_block(cursor, "ping", out);
    json(&PingData { last: cursor }, out);
    out.extend_from_slice(b"\n\n");
}

fn open_block(seq: Seq, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    json(&seq, out);
    out.extend_from_slice(b"\nevent: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}

#[expect(
    clippy::expect_used,
    reason = "writing to a Vec cannot fail, and no type of this module has a key that is not a string"
)]
fn json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out.by_ref(), value).expect("plain data serialises into memory");
}
