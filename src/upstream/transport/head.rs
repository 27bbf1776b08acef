//! The head of a response, in the form that awc reads rightly.
//!
//! awc treats the first head that it receives as the final one, also that of an interim response (`100`, `103`),
//! and it decides by the version alone what a response without a length means: under HTTP/1.0 that its
//! body ends with the connection, under HTTP/1.1 that it has none. And under HTTP/1.0 it takes the
//! chunks of a body for its content. So interim heads are removed, and one digit of the version is set
//! to what the framing of the body means in awc. All other bytes pass unchanged, and after the head
//! without a copy.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of a response is looked at for its head, interim ones included. Stops a server that never
/// ends it. awc then reads the bytes unchanged, and has a limit of its own.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// awc's own limit. More are for awc to refuse.
const HEADERS: usize = 96;
/// How much is read at once.
const READ: usize = 4096;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// It is not complete.
    Partial,
    Head {
        status: u16,
        /// With the empty line after it.
        length: usize,
        framing: Framing,
    },
    /// It is not HTTP/1.
    Malformed,
}

/// What delimits the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`, or a status that has no body.
    Length,
    /// `Transfer-Encoding`.
    Chunks,
    /// The end of the connection.
    Connection,
}

/// Reads the head at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    // As awc does.
    parser.allow_spaces_after_header_name_in_responses(true);
    let length = match parser.parse_response(&mut head, bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Malformed,
    };
    let status = head.code.unwrap_or_default();
    let has = |name: &str| {
        head.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case(name)
                && !header.value.trim_ascii().eq_ignore_ascii_case(b"identity")
        })
    };
    let framing = if has("transfer-encoding") {
        Framing::Chunks
    } else if has("content-length") || matches!(status, 100..=199 | 204 | 304) {
        Framing::Length
    } else {
        Framing::Connection
    };
    Parsed::Head {
        status,
        length,
        framing,
    }
}

/// A connection on which one response is read.
pub(in crate::upstream) struct ResponseStream<S> {
    stream: S,
    phase: Phase,
}

enum Phase {
    /// The head is coming in.
    Head(Received),
    /// The head, and what came with it, is on its way to awc.
    Handover(Bytes),
    Body,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    /// How many bytes there were in all.
    total: usize,
    /// No head ends before this position.
    searched: usize,
}

impl<S> ResponseStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            phase: Phase::Head(Received::default()),
        }
    }
}

impl<S> fmt::Debug for ResponseStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseStream")
    }
}

impl Received {
    /// Adds bytes. Returns what awc is to read, once that is clear.
    fn push(&mut self, piece: &[u8]) -> Option<Bytes> {
        self.bytes.extend_from_slice(piece);
        self.total += piece.len();
        while self.has_empty_line() {
            match parse(&self.bytes) {
                // An empty line before the head.
                Parsed::Partial => break,
                // An upgrade is no interim response, and awc refuses it.
                Parsed::Head { status, length, .. } if status / 100 == 1 && status != 101 => {
                    self.bytes.drain(..length);
                    self.searched = 0;
                }
                Parsed::Head { framing, .. } => {
                    self.set_version(framing);
                    return Some(self.take());
                }
                Parsed::Malformed => return Some(self.take()),
            }
        }
        (self.total > MAX_HEAD_BYTES).then(|| self.take())
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }

    /// Whether a head may be complete. Each byte is looked at once, however small the pieces are.
    fn has_empty_line(&mut self) -> bool {
        let from = self.searched.saturating_sub(2);
        let unseen = &self.bytes[from..];
        let found = [&b"\n\n"[..], b"\n\r\n"]
            .iter()
            .any(|end| memmem::find(unseen, end).is_some());
        self.searched = self.bytes.len();
        found
    }

    fn set_version(&mut self, framing: Framing) {
        const VERSION: &[u8] = b"HTTP/1.";
        let minor = match framing {
            Framing::Length => return,
            Framing::Chunks => b'1',
            Framing::Connection => b'0',
        };
        if let Some(at) = memmem::find(&self.bytes, VERSION)
            && let Some(digit) = self.bytes.get_mut(at + VERSION.len())
        {
            *digit = minor;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ResponseStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.phase {
                Phase::Head(received) => {
                    let mut piece = [0; READ];
                    let mut piece = ReadBuf::new(&mut piece);
                    ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
                    let handover = match piece.filled() {
                        // The end of the connection: awc decides what it means.
                        [] => Some(received.take()),
                        piece => received.push(piece),
                    };
                    if let Some(bytes) = handover {
                        this.phase = Phase::Handover(bytes);
                    }
                }
                Phase::Handover(bytes) if bytes.is_empty() => this.phase = Phase::Body,
                Phase::Handover(bytes) => {
                    let length = bytes.len().min(buffer.remaining());
                    buffer.put_slice(&bytes[..length]);
                    bytes.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Phase::Body => return Pin::new(&mut this.stream).poll_read(cx, buffer),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ResponseStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
