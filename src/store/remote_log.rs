//! A log that another replica writes: it keeps the newest events, and readers fetch earlier ones.
//!
//! A follower appends what it receives; all readers that are up to date share this *tail*. A reader
//! that is behind fetches [`page`](super::page)s for itself, one at a time, until it reaches the
//! tail.
//!
//! As in a [`LocalLog`](super::LocalLog), readers look and register their wakers under one lock, so
//! no wake-up is lost. This module knows nothing of Redis, of HTTP or of other replies.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{
    batch::{Batch, Next, Position},
    error::Unavailable,
    owner::Owner,
    page::{CatchUp, Source},
    readers::{ReaderKey, Readers},
    snapshot::{self, Snapshot},
    sync::Mutex,
};
use crate::event::{Created, End, ReplyId, Seq};

/// The largest tail, by number and by size of its events. Bounds what a reply costs a replica that
/// only reads it.
const TAIL_EVENTS_LIMIT: usize = 128;
const TAIL_BYTES_LIMIT: usize = 64 << 10;

/// Events are missing between the tail and the first event that was to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("events are missing in between")]
pub(super) struct Gap;

/// The events of one reply that another replica writes.
#[derive(Debug)]
pub struct RemoteLog {
    id: ReplyId,
    created: Created,
    owner: Owner,
    source: Arc<dyn Source>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The newest events; never empty once there was one.
    tail: Batch,
    /// The length of all events in `tail`.
    tail_bytes: usize,
    /// The log cannot be read any more, although no `end` is here.
    invalid: bool,
    readers: Readers,
}

/// Where the event after a cursor is.
enum Lookup {
    Found(Next),
    /// It is still to come.
    Wait,
    /// It came before the tail.
    Fetch,
}

impl RemoteLog {
    /// A log of which `newest` is known.
    pub(super) fn new(
        id: ReplyId,
        created: Created,
        owner: Owner,
        source: Arc<dyn Source>,
        newest: Batch,
    ) -> Self {
        let state = State {
            tail_bytes: newest.events.iter().map(Bytes::len).sum(),
            tail: newest,
            invalid: false,
            readers: Readers::new(),
        };
        Self {
            id,
            created,
            owner,
            source,
            state: Mutex::new(state),
        }
    }

    /// The reply's id.
    #[must_use]
    pub const fn id(&self) -> ReplyId {
        self.id
    }

    /// When the reply was accepted.
    #[must_use]
    pub const fn created(&self) -> Created {
        self.created
    }

    /// Who may read the reply and stop it.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// The newest event that is known here.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.lock().tail.position()
    }

    /// The reply as the source has it: read from its first event. Counts as reading it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the source does not have all events at the moment.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        let (mut log, last) = {
            let mut state = self.state.lock();
            state.readers.touch();
            let whole = state.tail.after == Seq::ZERO;
            let known = whole.then(|| state.tail.clone());
            (known.unwrap_or_default(), state.tail.position().seq)
        };
        if log.position().seq < last {
            let _permit = self.source.snapshot_permit().await;
            while log.position().seq < last && !log.ended {
                let cursor = log.position().seq;
                let page = self.source.page(cursor).await.map_err(|_| Unavailable)?;
                log.events.extend_from_slice(page.events_after(cursor));
                log.ended = page.ended;
                if log.position().seq == cursor {
                    return Err(Unavailable);
                }
            }
        }
        Ok(Snapshot::read(&log))
    }

    /// The `end`, if it is known here. Does not count as reading.
    pub(super) fn end(&self) -> Option<End> {
        let end = self.state.lock().tail.end();
        snapshot::decode_end(&end?)
    }

    /// Asks the generation to stop, wherever it is. After the `end` this has no effect.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the request cannot be stored at the moment.
    pub(super) async fn stop(&self) -> Result<(), Unavailable> {
        if self.position().ended {
            return Ok(());
        }
        self.source.stop().await
    }

    /// Appends the events of `batch` that are not here yet, and drops the oldest ones if the tail
    /// becomes too long. After the `end` nothing is appended. An `end` at or before the last
    /// event here proves that the stored log is another one: every reader is closed.
    ///
    /// # Errors
    ///
    /// [`Gap`] if the batch does not begin where the log ends, or before; nothing was appended.
    pub(super) fn append(&self, batch: &Batch) -> Result<(), Gap> {
        let wakers = {
            let mut state = self.state.lock();
            let Position { seq: last, ended } = state.tail.position();
            if ended {
                return Ok(());
            }
            let Position { seq: newest, ended } = batch.position();
            if newest <= last && ended {
                state.invalid = true;
            } else if newest <= last {
                return Ok(());
            } else if batch.after > last {
                return Err(Gap);
            } else {
                let events = batch.events_after(last);
                state.tail.events.extend_from_slice(events);
                state.tail.ended = ended;
                state.tail_bytes += events.iter().map(Bytes::len).sum::<usize>();
                state.trim_front(TAIL_EVENTS_LIMIT, TAIL_BYTES_LIMIT);
            }
            state.readers.take_waiting()
        };
        wakers.wake();
        Ok(())
    }

    /// Drops the oldest events of the tail until it has at most so many, of so many bytes. One
    /// event always stays.
    #[cfg(test)]
    pub(super) fn trim_front(&self, events: usize, bytes: usize) {
        self.state.lock().trim_front(events, bytes);
    }

    /// How long the log has had no reader here; zero while one is open.
    pub(super) fn unread(&self) -> Duration {
        self.state.lock().readers.unread()
    }

    /// Declares that the log can no longer be read, and closes every reader.
    pub(super) fn invalidate(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.invalid = true;
            state.readers.take_waiting()
        };
        wakers.wake();
    }

    /// Whether [`RemoteLog::invalidate`] was called.
    pub(super) fn is_invalid(&self) -> bool {
        self.state.lock().invalid
    }
}

impl State {
    fn trim_front(&mut self, events: usize, bytes: usize) {
        let (mut dropped, mut kept) = (0, self.tail.events.len());
        for event in &self.tail.events {
            if kept <= 1 || (kept <= events && self.tail_bytes <= bytes) {
                break;
            }
            (dropped, kept) = (dropped + 1, kept - 1);
            self.tail_bytes -= event.len();
        }
        self.tail.events.drain(..dropped);
        self.tail.after.0 += dropped as u64;
    }

    fn look(&self, cursor: Seq) -> Lookup {
        if self.invalid {
            return Lookup::Found(Next::Closed);
        }
        match self.tail.next(cursor) {
            Some(next) => Lookup::Found(next),
            None if cursor < self.tail.after => Lookup::Fetch,
            None if self.tail.ended => Lookup::Found(Next::Closed),
            None => Lookup::Wait,
        }
    }
}

/// An open reader of a [`RemoteLog`].
#[derive(Debug)]
pub(super) struct RemoteReader {
    log: Arc<RemoteLog>,
    key: ReaderKey,
    catch_up: CatchUp,
}

impl RemoteReader {
    pub(super) fn open(log: Arc<RemoteLog>) -> Self {
        let key = log.state.lock().readers.open();
        Self {
            log,
            key,
            catch_up: CatchUp::default(),
        }
    }

    /// As [`Reader::poll_next`](super::Reader::poll_next).
    pub(super) fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if matches!(self.catch_up, CatchUp::Fetching(_)) && self.log.is_invalid() {
                return Poll::Ready(Next::Closed);
            }
            match self.catch_up.poll_next(cursor, cx) {
                Poll::Ready(Some(next)) => return Poll::Ready(next),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
            let mut state = self.log.state.lock();
            match state.look(cursor) {
                Lookup::Found(next) => return Poll::Ready(next),
                Lookup::Wait => {
                    state.readers.wait(self.key, cx);
                    return Poll::Pending;
                }
                Lookup::Fetch => {}
            }
            drop(state);
            self.catch_up.fetch(&self.log.source, cursor);
        }
    }
}

impl Drop for RemoteReader {
    fn drop(&mut self) {
        self.log.state.lock().readers.close(self.key);
    }
}
