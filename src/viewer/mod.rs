//! One viewer's response body: replays a log after a cursor, then follows it.
//!
//! A viewer has a cursor and no queue; whatever it has not sent yet is in the log. It sends the
//! stored bytes themselves, each event as one piece, so that the server can join the events that
//! are ready into one write. It never yields an error, since the server would then discard what it
//! has not flushed.
//!
//! ```text
//! Opening ──first event──▶ Following ──▶ Closing
//! ```
//!
//! A viewer closes after the `end`, or, when it has to leave during a drain, after a ping that
//! tells its client to reconnect; the client then resumes on another replica. This module knows
//! nothing of generations.

use std::{
    convert::Infallible,
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use rand::RngExt as _;

use crate::{
    event::{self, Seq},
    idle_timer::IdleTimer,
    metrics::OpenViewer,
    shutdown::{DrainGuard, DrainWatch},
    store::{Next, Reader},
};

/// The largest piece. The server copies each piece into its write buffer; this bounds how much of a
/// large event it copies for a connection that does not read.
const PIECE_BYTES: usize = 16 * 1024;

/// How long a client waits before it reconnects, in milliseconds. Random for each connection, so
/// that the viewers of a server that restarts do not return all at once.
const RETRY_MS: RangeInclusive<u16> = 1000..=4000;

/// The same for clients that move to another replica. It is already running, so they may reconnect
/// sooner.
const MOVE_RETRY_MS: RangeInclusive<u16> = 200..=3000;

/// The body of an event stream.
#[derive(Debug)]
pub struct Viewer {
    phase: Phase,
    reader: Reader,
    /// The number of the last event that was sent; at first, the client's own cursor.
    cursor: Seq,
    /// The rest of an event that is larger than one piece.
    unsent: Bytes,
    ping: IdleTimer,
    on_drain: OnDrain,
    _counted: OpenViewer,
}

/// What a viewer does when its replica drains.
#[derive(Debug)]
pub enum OnDrain {
    /// It tells its client to reconnect. For clients that resume by themselves.
    Leave(DrainWatch),
    /// It reads to the end, and the drain waits for it. For clients that do not reconnect.
    Stay(DrainGuard),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has been sent. The first event also carries `retry:`.
    Opening,
    /// Events are sent as they are committed, with pings in between.
    Following,
    /// The last event is on its way; the body ends after its last piece.
    Closing,
}

/// The only event for a client that is to reconnect: a ping at its cursor, with a random time to
/// wait. The body ends after it.
#[must_use]
pub fn reconnect_hint(cursor: Seq) -> Bytes {
    with_retry(&MOVE_RETRY_MS, &ping_at(cursor))
}

impl Viewer {
    /// Sends the events after `cursor`, and a ping after each silence of `ping`.
    #[must_use]
    pub fn new(reader: Reader, cursor: Seq, ping: Duration, on_drain: OnDrain) -> Self {
        Self {
            phase: Phase::Opening,
            reader,
            cursor,
            unsent: Bytes::new(),
            ping: IdleTimer::new(ping),
            on_drain,
            _counted: OpenViewer::count(),
        }
    }

    /// The next event; `None` if there will be none.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.phase == Phase::Closing {
            return Poll::Ready(None);
        }
        let must_leave = self.on_drain.must_leave(cx);
        match self.reader.poll_next(self.cursor, cx) {
            // If the terminal event is ready, it is sent instead of a reconnect hint.
            Poll::Pending | Poll::Ready(Next::Event { last: false, .. }) if must_leave => {
                self.phase = Phase::Closing;
                Poll::Ready(Some(reconnect_hint(self.cursor)))
            }
            Poll::Ready(Next::Event { seq, bytes, last }) => {
                self.cursor = seq;
                let event = self.opened(bytes);
                if last {
                    self.phase = Phase::Closing;
                }
                Poll::Ready(Some(event))
            }
            Poll::Ready(Next::Closed) => {
                self.phase = Phase::Closing;
                Poll::Ready(None)
            }
            Poll::Pending => {
                // The first bytes go out at once, so that every hop sees that the stream is alive.
                if self.phase == Phase::Following {
                    ready!(self.ping.poll_elapsed(cx));
                }
                let ping = ping_at(self.cursor);
                Poll::Ready(Some(self.opened(ping)))
            }
        }
    }

    /// The event as it is sent; the first one carries `retry:`.
    fn opened(&mut self, event: Bytes) -> Bytes {
        if self.phase != Phase::Opening {
            return event;
        }
        self.phase = Phase::Following;
        with_retry(&RETRY_MS, &event)
    }
}

impl OnDrain {
    /// Whether it is time to leave. If not, the task is woken when it is.
    fn must_leave(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Leave(watch) => watch.poll_leave(cx).is_ready(),
            Self::Stay(_) => false,
        }
    }
}

fn ping_at(cursor: Seq) -> Bytes {
    let mut ping = Vec::with_capacity(64);
    event::encode_ping(cursor, &mut ping);
    ping.into()
}

/// Puts the `retry:` line inside the event: some clients turn a separate `retry:` into an empty event.
fn with_retry(milliseconds: &RangeInclusive<u16>, event: &Bytes) -> Bytes {
    let retry = rand::rng().random_range(milliseconds.clone());
    let retry = format!("retry: {retry}\n");
    let mut whole = BytesMut::with_capacity(retry.len() + event.len());
    whole.extend_from_slice(retry.as_bytes());
    whole.extend_from_slice(event);
    whole.freeze()
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
        if this.unsent.is_empty() {
            let Some(event) = ready!(this.poll_event(cx)) else {
                return Poll::Ready(None);
            };
            this.ping.touch();
            if event.len() <= PIECE_BYTES {
                return Poll::Ready(Some(Ok(event)));
            }
            this.unsent = event;
        }
        let piece = this.unsent.split_to(this.unsent.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests;
