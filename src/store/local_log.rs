//! A log that this process writes: it holds every event of one reply, in memory.
//!
//! One [`Writer`](super::Writer) appends; any number of readers read. A reader sees an event once
//! it is *committed*: at once without replication, and with replication once Redis has acknowledged
//! it to the leader.
//!
//! A reader looks for its next event and registers its waker under one lock. A commit takes the wakers
//! under the same lock. So no wake-up is lost. This module knows nothing of HTTP, of
//! upstream, of Redis or of other replies.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::SetOnce,
    time::{Instant, sleep_until},
};

use super::{
    batch::{Batch, EVENTS_LIMIT, Next, Position},
    error::AppendError,
    owner::Owner,
    readers::{ReaderKey, Readers, Wakers, register},
    snapshot::{self, Snapshot},
    sync::Mutex,
};
use crate::event::{Created, End, ReplyId, Seq};

/// The shortest time after which a replicated reply counts as unread. This replica knows of readers
/// elsewhere only by marks, which they renew; the time is longer than a mark can be delayed.
const REPLICATED_UNREAD_TIMEOUT: Duration = Duration::from_secs(6);

/// When readers may see an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// As soon as it is appended.
    OnAppend,
    /// When the leader calls [`LocalLog::commit`].
    OnAcknowledgement,
}

/// Why a reply is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// A client sent a `DELETE`.
    Viewer,
    /// The server is about to exit.
    Shutdown,
    /// Another replica considered this one dead and stored an `end` for the reply.
    FailedOver,
}

/// Why the `end` of another replica does not become the end of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TruncateError {
    /// Readers have seen later events, or another `end`.
    #[error("readers have seen other events")]
    Committed,
    /// It would leave a gap after the last event here.
    #[error("events are missing before the end")]
    Gap,
}

/// The events of one reply that this process writes.
#[derive(Debug)]
pub struct LocalLog {
    id: ReplyId,
    created: Created,
    owner: Owner,
    commit: Commit,
    state: Mutex<State>,
    /// Not under the lock, because the generation checks it each time it is polled.
    stop: SetOnce<StopRequest>,
}

#[derive(Debug)]
struct State {
    /// All events, from the first one on.
    events: Batch,
    /// The last event that readers may see.
    committed: Seq,
    readers: Readers,
    /// The waker of the leader, while it waits for events.
    leader: Option<Waker>,
}

impl LocalLog {
    pub(super) fn new(id: ReplyId, created: Created, owner: Owner, commit: Commit) -> Self {
        Self {
            id,
            created,
            owner,
            commit,
            state: Mutex::new(State {
                events: Batch::default(),
                committed: Seq::ZERO,
                readers: Readers::new(),
                leader: None,
            }),
            stop: SetOnce::new(),
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

    /// How far readers can read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.lock().position()
    }

    /// How far the log is written, whether or not readers can read it.
    pub(super) fn appended(&self) -> Position {
        self.state.lock().events.position()
    }

    /// The committed part of the reply. Counts as reading it.
    pub(super) fn snapshot(&self) -> Snapshot {
        let committed = {
            let mut state = self.state.lock();
            state.readers.touch();
            let committed = usize::try_from(state.committed.0).unwrap_or(usize::MAX);
            state.events.part(Seq::ZERO, committed)
        };
        Snapshot::read(&committed)
    }

    /// The `end`, if it is committed. Does not count as reading.
    pub(super) fn end(&self) -> Option<End> {
        let end = {
            let state = self.state.lock();
            state.events.end().filter(|_| state.position().ended)
        };
        snapshot::decode_end(&end?)
    }

    /// Asks the generation to stop. The first request counts; one after the end has no effect.
    pub fn request_stop(&self, request: StopRequest) {
        if !self.appended().ended {
            // An error means that there is a request already.
            let _ = self.stop.set(request);
        }
    }

    /// Resolves once a stop is requested, with the first request.
    pub async fn stop_requested(&self) -> StopRequest {
        *self.stop.wait().await
    }

    /// Resolves once the reply has had no reader for `timeout`. A replicated reply counts as read for
    /// at least `REPLICATED_UNREAD_TIMEOUT`, because the marks of readers elsewhere arrive late.
    pub async fn unread_for(&self, timeout: Duration) {
        let timeout = match self.commit {
            Commit::OnAppend => timeout,
            Commit::OnAcknowledgement => timeout.max(REPLICATED_UNREAD_TIMEOUT),
        };
        loop {
            let deadline = self.state.lock().readers.last_read() + timeout;
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }

    /// Records that the reply has readers on another replica.
    pub(super) fn mark_read(&self) {
        self.state.lock().readers.touch();
    }

    /// Appends events, none of them an `end`.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing was appended.
    pub(super) fn append(
        &self,
        events: impl ExactSizeIterator<Item = Bytes>,
    ) -> Result<(), AppendError> {
        self.extend(events, false)
    }

    /// Appends the `end`.
    ///
    /// # Errors
    ///
    /// [`AppendError::Ended`] if there is one already; nothing was appended.
    pub(super) fn append_end(&self, end: Bytes) -> Result<(), AppendError> {
        self.extend(std::iter::once(end), true)
    }

    fn extend(
        &self,
        events: impl ExactSizeIterator<Item = Bytes>,
        ended: bool,
    ) -> Result<(), AppendError> {
        let wakers = {
            let mut state = self.state.lock();
            let last = state.events.position();
            if last.ended {
                return Err(AppendError::Ended);
            }
            // One number is reserved for the `end`.
            if !ended && last.seq.0 + events.len() as u64 >= EVENTS_LIMIT {
                return Err(AppendError::Full);
            }
            state.events.events.extend(events);
            if ended {
                state.events.ended = true;
                state.events.events.shrink_to_fit();
            }
            match self.commit {
                Commit::OnAppend => {
                    let last = state.events.position().seq;
                    state.commit(last)
                }
                Commit::OnAcknowledgement => state.leader.take().into(),
            }
        };
        wakers.wake();
        Ok(())
    }

    /// Commits all events up to `last`, or as many as there are. A commit is final.
    pub(super) fn commit(&self, last: Seq) {
        let wakers = self.state.lock().commit(last);
        wakers.wake();
    }

    /// Resolves once there are events after `cursor`, with at most `limit` of them, committed or
    /// not. Only one task, the leader, may wait.
    pub(super) async fn appended_after(&self, cursor: Seq, limit: usize) -> Batch {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.events.position().seq > cursor {
                return Poll::Ready(state.events.part(cursor, limit));
            }
            register(&mut state.leader, cx);
            Poll::Pending
        })
        .await
    }

    /// At most `limit` events after `cursor`, committed or not; an empty batch if there are none.
    pub(super) fn batch_after(&self, cursor: Seq, limit: usize) -> Batch {
        self.state.lock().events.part(cursor, limit)
    }

    /// Makes `end`, which another replica has stored after `stored`, the end of this log. It
    /// replaces all events after `stored`, and stops the generation.
    ///
    /// # Errors
    ///
    /// [`TruncateError`]; nothing was changed.
    pub(super) fn truncate_and_end(&self, stored: Seq, end: Bytes) -> Result<(), TruncateError> {
        let (wakers, running) = {
            let mut state = self.state.lock();
            if state.committed > stored || state.position().ended {
                return Err(TruncateError::Committed);
            }
            let log = &mut state.events;
            if stored > log.position().seq {
                return Err(TruncateError::Gap);
            }
            let dropped = log.events_after(stored).len();
            log.events.truncate(log.events.len() - dropped);
            log.events.push(end);
            let running = !std::mem::replace(&mut log.ended, true);
            (state.commit(stored.next()), running)
        };
        wakers.wake();
        if running {
            // An error means that the generation is already stopping for another reason.
            let _ = self.stop.set(StopRequest::FailedOver);
        }
        Ok(())
    }
}

impl State {
    fn position(&self) -> Position {
        let appended = self.events.position();
        Position {
            seq: self.committed,
            ended: appended.ended && self.committed == appended.seq,
        }
    }

    /// The event after `cursor`; `None` if it is still to come.
    #[inline]
    fn next(&self, cursor: Seq) -> Option<Next> {
        if cursor < self.committed {
            return self.events.next(cursor);
        }
        self.position().ended.then_some(Next::Closed)
    }

    fn commit(&mut self, last: Seq) -> Wakers {
        let last = last.min(self.events.position().seq);
        if last <= self.committed {
            return Wakers::default();
        }
        self.committed = last;
        self.readers.take_waiting()
    }
}

/// An open reader of a [`LocalLog`].
#[derive(Debug)]
pub(super) struct LocalReader {
    log: Arc<LocalLog>,
    key: ReaderKey,
}

impl LocalReader {
    pub(super) fn open(log: Arc<LocalLog>) -> Self {
        let key = log.state.lock().readers.open();
        Self { log, key }
    }

    /// As [`Reader::poll_next`](super::Reader::poll_next).
    #[inline]
    pub(super) fn poll_next(&self, cursor: Seq, cx: &Context<'_>) -> Poll<Next> {
        let mut state = self.log.state.lock();
        match state.next(cursor) {
            Some(next) => Poll::Ready(next),
            None => {
                state.readers.wait(self.key, cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for LocalReader {
    fn drop(&mut self) {
        self.log.state.lock().readers.close(self.key);
    }
}
