//! The formats in which a viewer can send a reply.
//!
//! The log holds native events. A native viewer sends their very bytes; every other format re-encodes
//! each event as it is sent. A format knows events and nothing of logs, cursors or connections.

mod encoded;
mod chat_completions;
mod json_lines;
mod plain_text;

use std::ops::RangeInclusive;

use bytes::Bytes;
use rand::RngExt as _;

pub use self::chat_completions::{
    ChatCompletions, MODEL, Unfinished, UsageChunk, completion, finish_reason,
};
pub(super) use self::encoded::{Encoded, Then};
use crate::event::{self, Seq};

/// How the events of a reply are written.
#[derive(Debug)]
pub enum Format {
    /// The server-sent events of this server's contract, as they are stored.
    Native,
    /// A JSON object a line: `{"id", "event", "data"}`.
    JsonLines,
    /// The text alone, as UTF-8. What cannot be told in text breaks the body off.
    PlainText,
    /// The chunks of OpenAI's Chat Completions API.
    ChatCompletions(Box<ChatCompletions>),
}

impl Format {
    /// The `Content-Type` of a body in this format.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Native | Self::ChatCompletions(_) => "text/event-stream; charset=utf-8",
            Self::JsonLines => "application/x-ndjson; charset=utf-8",
            Self::PlainText => "text/plain; charset=utf-8",
        }
    }

    /// Encodes a stored event.
    #[inline]
    pub(super) fn encode(&self, seq: Seq, stored: Bytes) -> Encoded {
        match self {
            Self::Native => Encoded::more(stored),
            Self::JsonLines => json_lines::encode(seq, &stored),
            Self::PlainText => plain_text::encode(&stored),
            Self::ChatCompletions(format) => format.encode(seq, &stored),
        }
    }

    /// What is sent when the log can no longer be read, before the body ends. Clients of the native
    /// format reconnect, since they have not seen the `end`; all others would take what they have for
    /// the whole reply.
    pub(super) fn encode_lost(&self) -> Encoded {
        match self {
            Self::Native | Self::JsonLines => Encoded::last(Bytes::new()),
            Self::PlainText => plain_text::ABORT,
            Self::ChatCompletions(_) => chat_completions::lost(),
        }
    }

    /// What is sent after a silence, so that every hop sees that the stream is alive; empty if the
    /// format has no word for it.
    pub(super) fn ping(&self, cursor: Seq) -> Bytes {
        match self {
            Self::Native => {
                let mut ping = Vec::with_capacity(64);
                event::encode_ping(cursor, &mut ping);
                ping.into()
            }
            Self::JsonLines => json_lines::ping(cursor),
            Self::PlainText => Bytes::new(),
            Self::ChatCompletions(_) => Bytes::from_static(b": ping\n"),
        }
    }

    /// The first piece of a body: it carries the time, in milliseconds, after which a client that is
    /// disconnected returns.
    pub(super) fn with_retry(&self, milliseconds: &RangeInclusive<u16>, piece: &Bytes) -> Bytes {
        match self {
            Self::JsonLines | Self::PlainText => return piece.clone(),
            Self::Native | Self::ChatCompletions(_) => {}
        }
        let retry = rand::rng().random_range(milliseconds.clone());
        // Inside the event: some clients turn a separate `retry:` into an empty event.
        let mut whole = format!("retry: {retry}\n").into_bytes();
        whole.extend_from_slice(piece);
        whole.into()
    }
}

#[cfg(test)]
mod tests;
