//! One viewer's response body: replays a log after a cursor, then follows it.
//!
//! A viewer has a cursor and no queue; whatever it has not sent yet is in the log. It sends each event
//! as one piece, so that the server can join the events that are ready into one write: the stored bytes
//! themselves, or what its [`Format`] makes of them.
//!
//! ```text
//! Opening ──first event──▶ Following ──▶ Closing
//!                              └──▶ Aborting: only in formats that cannot tell a failure
//! ```
//!
//! A viewer closes after the `end`, or, when it has to leave during a drain, after a ping that
//! tells its client to reconnect; the client then resumes on another replica. This module knows
//! nothing of generations.

mod format;

use std::{
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

pub use self::format::{
    ChatCompletions, Format, MODEL, Unfinished, UsageChunk, completion, finish_reason,
};
use self::format::{Encoded, Then};
use crate::{
    event::Seq,
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
    format: Format,
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
    /// The body breaks off after the next flush. An error that came sooner would discard what was not
    /// flushed.
    Aborting,
    /// The flush has been given its chance.
    Aborted,
}

/// The body of a reply that failed, in a format that cannot tell so.
#[derive(Debug, thiserror::Error)]
#[error("the reply failed")]
pub struct BrokenOff;

/// The only event for a client that is to reconnect: a ping at its cursor, with a random time to
/// wait. The body ends after it.
#[must_use]
pub fn reconnect_hint(format: &Format, cursor: Seq) -> Bytes {
    format.with_retry(&MOVE_RETRY_MS, &format.ping(cursor))
}

impl Viewer {
    /// Sends the events after `cursor`, and a ping after each silence of `ping`.
    #[must_use]
    pub fn new(
        reader: Reader,
        cursor: Seq,
        format: Format,
        ping: Duration,
        on_drain: OnDrain,
    ) -> Self {
        Self {
            phase: Phase::Opening,
            format,
            reader,
            cursor,
            unsent: Bytes::new(),
            ping: IdleTimer::new(ping),
            on_drain,
            _counted: OpenViewer::count(),
        }
    }

    /// The next piece that is not empty; `None` if there will be none.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        loop {
            match self.phase {
                Phase::Opening | Phase::Following => {}
                Phase::Closing => return Poll::Ready(None),
                Phase::Aborting => {
                    self.phase = Phase::Aborted;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Aborted => return Poll::Ready(Some(Err(BrokenOff))),
            }
            let event = ready!(self.poll_encoded(cx));
            self.ping.touch();
            if !event.is_empty() {
                return Poll::Ready(Some(Ok(event)));
            }
        }
    }

    /// What the format makes of the next event, or of a silence; empty if it has no word for it.
    fn poll_encoded(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let must_leave = self.on_drain.must_leave(cx);
        match self.reader.poll_next(self.cursor, cx) {
            // If the terminal event is ready, it is sent instead of a reconnect hint.
            Poll::Pending | Poll::Ready(Next::Event { last: false, .. }) if must_leave => {
                self.phase = Phase::Closing;
                Poll::Ready(reconnect_hint(&self.format, self.cursor))
            }
            Poll::Ready(Next::Event { seq, bytes, last }) => {
                self.cursor = seq;
                let encoded = self.format.encode(seq, bytes);
                Poll::Ready(self.taken(encoded, last))
            }
            Poll::Ready(Next::Closed) => {
                let lost = self.format.encode_lost();
                Poll::Ready(self.taken(lost, true))
            }
            Poll::Pending => {
                // The first bytes go out at once, so that every hop sees that the stream is alive.
                if self.phase == Phase::Following {
                    ready!(self.ping.poll_elapsed(cx));
                }
                let ping = self.format.ping(self.cursor);
                Poll::Ready(self.opened(ping))
            }
        }
    }

    /// An encoded event as it is sent; the last one decides how the body ends.
    fn taken(&mut self, encoded: Encoded, last: bool) -> Bytes {
        let event = self.opened(encoded.bytes);
        self.phase = match encoded.then {
            Then::GoOn if !last => self.phase,
            Then::GoOn | Then::Close => Phase::Closing,
            Then::Abort => Phase::Aborting,
        };
        event
    }

    /// The event as it is sent; the first one carries `retry:`.
    fn opened(&mut self, event: Bytes) -> Bytes {
        if self.phase != Phase::Opening {
            return event;
        }
        self.phase = Phase::Following;
        self.format.with_retry(&RETRY_MS, &event)
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

impl MessageBody for Viewer {
    type Error = BrokenOff;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let this = self.get_mut();
        if this.unsent.is_empty() {
            let event = match ready!(this.poll_event(cx)) {
                Some(Ok(event)) => event,
                other => return Poll::Ready(other),
            };
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
