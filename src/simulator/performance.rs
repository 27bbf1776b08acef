//! A performance: a response as a row of acts, to be played by a connection.
//!
//! It says what is sent and where it stops, not when: that is the pace's. Nothing here
//! knows why a response is what it is.

use std::{fmt, time::Duration};

use super::{http::Head, pace::Beat, refusal::Refusal};

/// One thing that a connection does after the response head.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends an SSE frame.
    Frame { bytes: Vec<u8>, beat: Beat },
    /// Sends several frames in one write.
    Burst(Vec<Vec<u8>>),
    /// Announces a whole frame and sends half of it.
    Half(Vec<u8>),
    /// Sends a piece of body that is no frame, such as a comment.
    Loose(Vec<u8>),
    /// Sends bytes outside of the body's framing.
    Raw(Vec<u8>),
    /// Waits, if the pace is a real model's.
    Pause(Duration),
    /// Sends nothing more and keeps the connection.
    Silence,
    /// Ends the body properly.
    End,
    /// Ends the connection with a FIN, wherever the body stands.
    Cut,
    /// Ends the connection with an RST.
    Reset,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Chunked,
    /// By a Content-Length in the head, or by the connection's end.
    Plain,
}

impl Framing {
    /// Encodes a piece of body.
    pub(super) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Chunked => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                chunk
            }
        }
    }

    /// Returns what ends the body.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"0\r\n\r\n",
            Self::Plain => b"",
        }
    }
}

/// How bytes are cut into TCP writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// A frame a write.
    Whole,
    /// A byte a write.
    Bytes,
    /// A write, and a chunk, ends inside each multi-byte character.
    InsideCharacters,
}

impl Writing {
    /// Cuts a piece of body where a write has to end.
    pub(super) fn cut(self, bytes: &[u8]) -> Vec<&[u8]> {
        if self != Self::InsideCharacters {
            return vec![bytes];
        }
        // Right after each byte that leads a multi-byte character.
        bytes.split_inclusive(|byte| *byte >= 0xc0).collect()
    }
}

/// A response to be played.
pub(super) struct Performance {
    /// The status, for the log.
    pub(super) status: u16,
    /// What a real model takes before it answers at all.
    pub(super) delay: Duration,
    /// All that is sent at once: the head, and a body that is not streamed.
    pub(super) opening: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) writing: Writing,
    /// A row without `End`, `Cut`, `Reset` or `Silence` ends as if cut.
    pub(super) acts: Box<dyn Iterator<Item = Act> + Send>,
}

impl fmt::Debug for Performance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Performance")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Performance {
    /// A response whose body is streamed in chunks.
    pub(super) fn stream(head: &Head, acts: impl Iterator<Item = Act> + Send + 'static) -> Self {
        let head = head.clone().with("Transfer-Encoding", "chunked");
        Self {
            status: head.status(),
            delay: Duration::ZERO,
            opening: head.bytes(),
            framing: Framing::Chunked,
            writing: Writing::Whole,
            acts: Box::new(acts),
        }
    }

    /// A response of known length, sent at once.
    pub(super) fn whole(head: &Head, body: &[u8]) -> Self {
        let mut opening = head
            .clone()
            .with("Content-Length", body.len().to_string())
            .bytes();
        opening.extend_from_slice(body);
        Self::bare(head.status(), opening, vec![Act::End])
    }

    /// Bytes as they stand, and what to do after them.
    pub(super) fn bare(status: u16, opening: Vec<u8>, acts: Vec<Act>) -> Self {
        Self {
            status,
            delay: Duration::ZERO,
            opening,
            framing: Framing::Plain,
            writing: Writing::Whole,
            acts: Box::new(acts.into_iter()),
        }
    }
}

impl From<Refusal> for Performance {
    fn from(refusal: Refusal) -> Self {
        Self::whole(&refusal.head, &refusal.body)
    }
}
