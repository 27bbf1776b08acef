//! One viewer's response body: replays a log after a cursor, then follows it.
//!
//! A viewer has a cursor and no queue; what it has not been sent is in the log. It sends the very
//! bytes that are stored there, each event as one piece so that the server can join what is ready
//! into one write. It never yields an error, since that would discard what was not yet flushed.
//! This module knows nothing of generations.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use rand::RngExt as _;
use tokio::time::{Instant, Sleep};

use crate::{
    event::{self, Seq},
    store::{Next, Reader},
};

/// The largest piece. The server copies a piece whole into its write buffer; this bounds what one
/// connection that does not read can hold of a large event.
const MAX_PIECE: usize = 16 * 1024;

/// How long a client should wait before it reconnects, in milliseconds: random for each connection,
/// so that all the viewers of a server that was restarted do not return in one moment.
const RETRY_MS: std::ops::RangeInclusive<u16> = 1000..=4000;

/// The body of an event stream.
#[derive(Debug)]
pub struct Viewer {
    reader: Reader,
    cursor: Seq,
    ping: Duration,
    /// When something was last sent; the timer is looked at only when it fires.
    sent: Instant,
    timer: Pin<Box<Sleep>>,
    /// The rest of an event that is sent in pieces.
    rest: Bytes,
    opened: bool,
    done: bool,
}

impl Viewer {
    /// Sends what follows `cursor`, and a ping after each `ping` of silence.
    #[must_use]
    pub fn new(reader: Reader, cursor: Seq, ping: Duration) -> Self {
        let sent = Instant::now();
        Self {
            reader,
            cursor,
            ping,
            sent,
            timer: Box::pin(tokio::time::sleep_until(sent + ping)),
            rest: Bytes::new(),
            opened: false,
            done: false,
        }
    }

    fn send(&mut self, block: Bytes) -> Bytes {
        self.sent = Instant::now();
        let mut block = block;
        if !self.opened {
            self.opened = true;
            // Inside the first event: clients exist that make an empty event of a lone `retry`.
            let retry = format!("retry: {}\n", rand::rng().random_range(RETRY_MS));
            let mut first = BytesMut::with_capacity(retry.len() + block.len());
            first.extend_from_slice(retry.as_bytes());
            first.extend_from_slice(&block);
            block = first.freeze();
        }
        self.rest = block.split_off(block.len().min(MAX_PIECE));
        block
    }

    fn send_ping(&mut self) -> Bytes {
        let mut block = Vec::with_capacity(64);
        event::encode_ping(self.cursor, &mut block);
        self.send(block.into())
    }

    /// Whether the silence has lasted long enough for a ping; leaves a wake-up if not.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.sent + self.ping;
            if due <= Instant::now() {
                self.timer.as_mut().reset(Instant::now() + self.ping);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl MessageBody for Viewer {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE));
            return Poll::Ready(Some(Ok(piece)));
        }
        if this.done {
            return Poll::Ready(None);
        }
        match this.reader.poll_next(this.cursor, cx) {
            Poll::Ready(Next::Block { seq, block, last }) => {
                this.cursor = seq;
                this.done = last;
                Poll::Ready(Some(Ok(this.send(block))))
            }
            Poll::Ready(Next::Nothing) => Poll::Ready(None),
            // The first bytes go out at once, so that everything on the way sees a live stream.
            Poll::Pending if !this.opened => Poll::Ready(Some(Ok(this.send_ping()))),
            Poll::Pending => match this.poll_silence(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Ok(this.send_ping()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
