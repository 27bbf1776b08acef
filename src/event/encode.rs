//! Events into the bytes of server-sent events.

use std::io::Write as _;

use serde::Serialize;

use super::{
    created::Created,
    id::{ReplyId, Seq},
    pad::{self, Padding},
    reply_event::{ReplyEvent, Why},
};

#[derive(Serialize)]
struct StartData {
    reply: ReplyId,
    created: Created,
}

/// The data of a `delta` or a `reasoning` that is not padded.
#[derive(Serialize)]
struct TextData<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct ReplaceData<'a> {
    text: &'a str,
    why: Why,
}

#[derive(Serialize)]
struct PingData {
    last: Seq,
}

impl ReplyEvent {
    /// Appends the encoded event to `out`. Padded are the model's own words: a `delta` or a
    /// `reasoning`.
    pub fn encode(&self, seq: Seq, padding: Padding, out: &mut Vec<u8>) {
        let begin = out.len();
        write_fields(seq, self.name(), out);
        match self {
            Self::Start { reply, created } => {
                write_json(
                    &StartData {
                        reply: *reply,
                        created: *created,
                    },
                    out,
                );
            }
            Self::Delta { text } | Self::Reasoning { text } => match padding {
                Padding::Off => write_json(&TextData { text }, out),
                Padding::ToClass => write_padded(text, begin, out),
            },
            Self::Replace { text, why } => write_json(&ReplaceData { text, why: *why }, out),
            Self::Notice(notice) => write_json(notice, out),
            Self::End(end) => write_json(end, out),
        }
        out.extend_from_slice(END_OF_EVENT);
    }
}

/// What ends every event.
const END_OF_EVENT: &[u8] = b"\n\n";

/// Writes the data of an event that begins at `begin`, with a pad that brings it to its class.
fn write_padded(text: &str, begin: usize, out: &mut Vec<u8>) {
    const END_OF_PAD: &[u8] = b"\"}";
    out.extend_from_slice(b"{\"text\":");
    write_json(&text, out);
    out.extend_from_slice(b",\"pad\":\"");
    pad::append(
        out.len() - begin + END_OF_PAD.len() + END_OF_EVENT.len(),
        out,
    );
    out.extend_from_slice(END_OF_PAD);
}

/// Appends a `ping` to `out`: the one event that is not in the log.
///
/// Its id is the connection's own cursor, so that a client that reconnects after a ping resumes at
/// the right place.
pub fn encode_ping(cursor: Seq, out: &mut Vec<u8>) {
    write_fields(cursor, "ping", out);
    write_json(&PingData { last: cursor }, out);
    out.extend_from_slice(END_OF_EVENT);
}

/// Writes the fields up to the value of `data`.
fn write_fields(seq: Seq, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    write_json(&seq, out);
    out.extend_from_slice(b"\nevent: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}

#[expect(
    clippy::expect_used,
    reason = "writing to a Vec cannot fail, and no type of this module has a key that is not a string"
)]
fn write_json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out.by_ref(), value).expect("plain data serializes into memory");
}
