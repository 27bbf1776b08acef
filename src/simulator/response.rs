//! The plan of a response: a list of steps that a connection executes.
//!
//! A plan says what is sent and where it stops. When it is sent is the business of
//! [`pace`](super::pace). Nothing here knows of scenarios.

use std::{fmt, time::Duration};

use tokio::sync::watch;

use super::{http::Head, pace::FrameKind, refusal::Refusal};

/// One thing that a connection does after it has sent the response head.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sends an SSE frame.
    Frame { bytes: Vec<u8>, kind: FrameKind },
    /// Sends several frames in one write.
    Burst(Vec<Vec<u8>>),
    /// Sends the chunk header of a whole frame, and then half of the frame.
    HalfFrame(Vec<u8>),
    /// Sends a part of the body that is not a frame, such as a comment.
    Body(Vec<u8>),
    /// Sends bytes as they are, without the body's framing.
    Raw(Vec<u8>),
    /// Waits, at [`Pace::Real`](super::pace::Pace::Real) only.
    Pause(Duration),
    /// Waits for more frames than this many of a stored stream.
    Await(watch::Receiver<usize>, usize),
    /// Sends nothing more and keeps the connection open.
    Hang,
    /// Ends the body properly.
    End,
    /// Closes the connection with a FIN, whether or not the body is complete.
    Cut,
    /// Closes the connection with an RST.
    Reset,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Chunked,
    /// By a `Content-Length` in the head, or by the end of the connection.
    Identity,
}

impl Framing {
    /// Encodes a part of the body.
    pub(super) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Identity => bytes.to_vec(),
            Self::Chunked => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                chunk
            }
        }
    }

    /// The bytes that end the body.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"0\r\n\r\n",
            Self::Identity => b"",
        }
    }
}

/// How bytes are divided into TCP writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteMode {
    /// One write per frame.
    PerFrame,
    /// One write per byte.
    PerByte,
    /// A write, and a chunk, ends inside each multi-byte character.
    SplitCharacters,
}

impl WriteMode {
    /// Splits a part of the body where a write has to end.
    pub(super) fn split(self, bytes: &[u8]) -> Vec<&[u8]> {
        if self != Self::SplitCharacters {
            return vec![bytes];
        }
        // After the leading byte of each multi-byte character.
        bytes.split_inclusive(|byte| *byte >= 0xc0).collect()
    }
}

/// What a connection sends in answer to a request.
pub(super) struct ResponsePlan {
    /// The status, for the log.
    pub(super) status: u16,
    /// The time that a real model takes before it answers.
    pub(super) delay: Duration,
    /// The bytes that are sent at once: the head, and a body that is not streamed.
    pub(super) first_bytes: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) write_mode: WriteMode,
    /// Steps that end without `End`, `Cut`, `Reset` or `Hang` end like `Cut`.
    pub(super) steps: Box<dyn Iterator<Item = Step> + Send>,
}

impl fmt::Debug for ResponsePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePlan")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl ResponsePlan {
    /// A response whose body is streamed in chunks.
    pub(super) fn stream(head: &Head, steps: impl Iterator<Item = Step> + Send + 'static) -> Self {
        let head = head.clone().with("Transfer-Encoding", "chunked");
        Self {
            status: head.status(),
            delay: Duration::ZERO,
            first_bytes: head.bytes(),
            framing: Framing::Chunked,
            write_mode: WriteMode::PerFrame,
            steps: Box::new(steps),
        }
    }

    /// A response of known length, sent at once.
    pub(super) fn complete(head: &Head, body: &[u8]) -> Self {
        let mut first_bytes = head
            .clone()
            .with("Content-Length", body.len().to_string())
            .bytes();
        first_bytes.extend_from_slice(body);
        Self::raw(head.status(), first_bytes, vec![Step::End])
    }

    /// Bytes as they are, and the steps after them.
    pub(super) fn raw(status: u16, first_bytes: Vec<u8>, steps: Vec<Step>) -> Self {
        Self {
            status,
            delay: Duration::ZERO,
            first_bytes,
            framing: Framing::Identity,
            write_mode: WriteMode::PerFrame,
            steps: Box::new(steps.into_iter()),
        }
    }
}

impl From<Refusal> for ResponsePlan {
    fn from(refusal: Refusal) -> Self {
        Self::complete(&refusal.head, &refusal.body)
    }
}
