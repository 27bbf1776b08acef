//! Events into the bytes of server-sent events.

use std::io::Write as _;

use serde::Serialize;

use super::{
    created::Created,
    id::{ReplyId, Seq},
    pad::Pad,
    reply_event::{ReplyEvent, Why},
};

#[derive(Serialize)]
struct StartData {
    reply: ReplyId,
    created: Created,
}

/// The data of a `delta` or a `reasoning`.
#[derive(Serialize)]
struct TextData<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pad: Option<&'a str>,
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
    /// Appends the encoded event to `out`. Only the model's own words, a `delta` or a `reasoning`,
    /// carry the `pad`.
    pub fn encode(&self, seq: Seq, pad: Option<&Pad>, out: &mut Vec<u8>) {
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
            Self::Delta { text } | Self::Reasoning { text } => write_json(
                &TextData {
                    text,
                    pad: pad.map(Pad::as_str),
                },
                out,
            ),
            Self::Replace { text, why } => write_json(&ReplaceData { text, why: *why }, out),
            Self::Notice(notice) => write_json(notice, out),
            Self::End(end) => write_json(end, out),
        }
        out.extend_from_slice(b"\n\n");
    }
}

/// Appends a `ping` to `out`: the one event that is not in the log.
///
/// Its id is the connection's own cursor, so that a client that reconnects after a ping resumes at
/// the right place.
pub fn encode_ping(cursor: Seq, out: &mut Vec<u8>) {
    write_fields(cursor, "ping", out);
    write_json(&PingData { last: cursor }, out);
    out.extend_from_slice(b"\n\n");
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
