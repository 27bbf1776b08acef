//! One viewer's response body: replays a log after a cursor, then follows it.
//!
//! A viewer has a cursor and no queue; what it has not been sent is in the log. It sends the very
//! bytes that are stored there, each event as one piece so that the server can join what is ready
//! into one write. It never yields an error, since that would discard what was not yet flushed.
//! A viewer that is told to move ends its body in good order between two events, and its client
//! comes again with the cursor, to another replica. This module knows nothing of generations.

mod moving;

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

pub use self::moving::{Listener, MoveSignal, Stay};
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

/// The same for viewers that are told to move: where they go is there already, so they may be quick.
const MOVE_RETRY_MS: std::ops::RangeInclusive<u16> = 200..=3000;

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
    /// Where it hears that it must move; `None` if it never must.
    listener: Option<Listener>,
    /// Its place among those who are waited for; held for its drop alone.
    _stay: Option<Stay>,
    /// When to move, once it must.
    leave_at: Option<Instant>,
}

/// What the timer was set for.
#[derive(Debug)]
enum Due {
    Ping,
    Leave,
}

/// The one event for a viewer that shall come again, to another replica: a ping at its cursor, with a
/// random time to wait. The body ends after it.
#[must_use]
pub fn farewell(cursor: Seq) -> Bytes {
    with_retry(&MOVE_RETRY_MS, &ping_at(cursor))
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
            listener: None,
            _stay: None,
            leave_at: None,
        }
    }

    /// Lets the viewer be moved. For those whose clients come again by themselves.
    #[must_use]
    pub fn movable(self, listener: Listener) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    /// Has the viewer waited for when this replica drains. For those whose clients do not come again.
    #[must_use]
    pub fn staying(self, stay: Stay) -> Self {
        Self {
            _stay: Some(stay),
            ..self
        }
    }

    fn send(&mut self, block: Bytes) -> Bytes {
        self.sent = Instant::now();
        let mut block = block;
        if !self.opened {
            self.opened = true;
            block = with_retry(&RETRY_MS, &block);
        }
        self.rest = block.split_off(block.len().min(MAX_PIECE));
        block
    }

    fn send_ping(&mut self) -> Bytes {
        self.send(ping_at(self.cursor))
    }

    fn send_farewell(&mut self) -> Bytes {
        self.done = true;
        farewell(self.cursor)
    }

    /// Whether it is time to move; leaves a wake-up for the signal if that was not given yet.
    fn must_leave(&mut self, cx: &Context<'_>) -> bool {
        if self.leave_at.is_none()
            && let Some(listener) = &mut self.listener
            && let Poll::Ready(leave_at) = listener.poll_leave_at(cx)
        {
            self.leave_at = Some(leave_at);
            let due = self.timer.deadline();
            self.set_timer(due);
        }
        self.leave_at.is_some_and(|at| at <= Instant::now())
    }

    /// Sets the timer to when it is due, or to when the viewer must move if that is sooner.
    fn set_timer(&mut self, due: Instant) {
        let due = self.leave_at.map_or(due, |leave_at| leave_at.min(due));
        self.timer.as_mut().reset(due);
    }

    /// Whether the silence has lasted long enough for a ping, or the time to move has come; leaves
    /// a wake-up if neither.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let (now, due) = (Instant::now(), self.sent + self.ping);
            if self.leave_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Due::Leave);
            }
            if due <= now {
                self.set_timer(now + self.ping);
                return Poll::Ready(Due::Ping);
            }
            self.set_timer(due);
        }
        Poll::Pending
    }
}

fn ping_at(cursor: Seq) -> Bytes {
    let mut block = Vec::with_capacity(64);
    event::encode_ping(cursor, &mut block);
    block.into()
}

/// Inside the event: clients exist that make an empty event of a lone `retry`.
fn with_retry(milliseconds: &std::ops::RangeInclusive<u16>, block: &Bytes) -> Bytes {
    let retry = rand::rng().random_range(milliseconds.clone());
    let retry = format!("retry: {retry}\n");
    let mut whole = BytesMut::with_capacity(retry.len() + block.len());
    whole.extend_from_slice(retry.as_bytes());
    whole.extend_from_slice(block);
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
        if !this.rest.is_empty() {
            let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE));
            return Poll::Ready(Some(Ok(piece)));
        }
        if this.done {
            return Poll::Ready(None);
        }
        let must_leave = this.must_leave(cx);
        match this.reader.poll_next(this.cursor, cx) {
            // Not before an `end` that is there: nothing is left to come again for.
            Poll::Pending | Poll::Ready(Next::Block { last: false, .. }) if must_leave => {
                Poll::Ready(Some(Ok(this.send_farewell())))
            }
            Poll::Ready(Next::Block { seq, block, last }) => {
                this.cursor = seq;
                this.done = last;
                Poll::Ready(Some(Ok(this.send(block))))
            }
            Poll::Ready(Next::Nothing) => Poll::Ready(None),
            // The first bytes go out at once, so that everything on the way sees a live stream.
            Poll::Pending if !this.opened => Poll::Ready(Some(Ok(this.send_ping()))),
            Poll::Pending => match this.poll_timer(cx) {
                Poll::Ready(Due::Ping) => Poll::Ready(Some(Ok(this.send_ping()))),
                Poll::Ready(Due::Leave) => Poll::Ready(Some(Ok(this.send_farewell()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests;
