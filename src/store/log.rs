//! The log of one reply: its encoded events by number, and everybody who waits for the next.
//!
//! One [`Writer`](super::Writer) adds to it, any number of [`Reader`]s read it by cursor. A reader
//! owns no queue: it costs a cursor and, while it waits, one waker. Looking for the next event and
//! leaving the waker happen under one lock, as do adding events and taking the wakers, so that no
//! wake-up can be lost.
//!
//! This module knows nothing of HTTP, of upstream or of other replies.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use slab::Slab;
use tokio::time::Instant;

use crate::event::{self, Created, End, ReplyId, Seq};

/// Why a reply is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// Somebody sent a `DELETE`.
    Viewer,
    /// The server is about to exit.
    Shutdown,
}

/// One reply's events.
#[derive(Debug)]
pub struct Log {
    id: ReplyId,
    created: Created,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The blocks of events 1, 2, 3 …, encoded.
    blocks: Vec<Bytes>,
    /// The last block is an `end`; nothing is added any more.
    ended: bool,
    /// The readers that are open, each with its waker while it waits.
    readers: Slab<Option<Waker>>,
    /// When the last reader left, or when the reply was created.
    unread_since: Instant,
    stop: Option<StopRequest>,
    /// The generation, while it waits for a stop.
    producer: Option<Waker>,
}

/// What a reader finds behind its cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The event that follows.
    Block {
        /// Its number.
        seq: Seq,
        /// Its bytes on the wire.
        block: Bytes,
        /// Whether it is the `end`.
        last: bool,
    },
    /// The log has ended, and there is nothing behind the cursor.
    Nothing,
}

/// A log as it stands.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    /// The text after the last `replace`.
    pub text: String,
    /// The number of the newest event.
    pub last: Seq,
    /// The `end`, once it is there.
    pub end: Option<End>,
}

impl Log {
    pub(super) fn new(id: ReplyId, created: Created) -> Self {
        Self {
            id,
            created,
            state: Mutex::new(State {
                blocks: Vec::new(),
                ended: false,
                readers: Slab::new(),
                unread_since: Instant::now(),
                stop: None,
                producer: None,
            }),
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

    /// The number of the newest event, and whether it is the `end`.
    #[must_use]
    pub fn tail(&self) -> (Seq, bool) {
        let state = self.state.lock();
        (state.last(), state.ended)
    }

    /// Opens a reader. While it is open the reply counts as read.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        let key = self.state.lock().readers.insert(None);
        Reader {
            log: Arc::clone(self),
            key,
        }
    }

    /// The reply as it stands. Counts as reading it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (blocks, last) = {
            let mut state = self.state.lock();
            state.unread_since = Instant::now();
            (state.blocks.clone(), state.last())
        };
        let (text, end) = event::read_back(blocks.iter().map(Bytes::as_ref));
        Snapshot { text, last, end }
    }

    /// The `end`, once it is there. Does not count as reading.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let last = {
            let state = self.state.lock();
            state.ended.then(|| state.blocks.last().cloned()).flatten()
        };
        event::read_back(last.iter().map(Bytes::as_ref)).1
    }

    /// Asks the generation to stop. The first request counts; after the end none does.
    pub fn request_stop(&self, request: StopRequest) {
        let producer = {
            let mut state = self.state.lock();
            if state.ended || state.stop.is_some() {
                return;
            }
            state.stop = Some(request);
            state.producer.take()
        };
        if let Some(producer) = producer {
            producer.wake();
        }
    }

    /// Resolves once a stop is asked for. For the one generation only.
    pub async fn stop_requested(&self) -> StopRequest {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            match state.stop {
                Some(request) => Poll::Ready(request),
                None => {
                    register(&mut state.producer, cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Resolves once nobody has read the reply for `patience`.
    pub async fn unread_for(&self, patience: Duration) {
        loop {
            let deadline = {
                let state = self.state.lock();
                let since = if state.readers.is_empty() {
                    state.unread_since
                } else {
                    Instant::now()
                };
                since + patience
            };
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// Adds blocks and wakes every reader that waits. `wakers` is scratch space, left empty.
    /// Returns false, and adds nothing, if the log has ended.
    pub(super) fn add(
        &self,
        blocks: impl Iterator<Item = Bytes>,
        ends: bool,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        {
            let mut state = self.state.lock();
            if state.ended {
                return false;
            }
            state.blocks.extend(blocks);
            state.ended = ends;
            if ends {
                state.blocks.shrink_to_fit();
            }
            wakers.extend(
                state
                    .readers
                    .iter_mut()
                    .filter_map(|(_, waker)| waker.take()),
            );
        }
        // Not under the lock: a woken reader on another thread would run straight into it.
        wakers.drain(..).for_each(Waker::wake);
        true
    }
}

impl State {
    fn last(&self) -> Seq {
        Seq(self.blocks.len() as u64)
    }

    fn next(&self, cursor: Seq) -> Option<Next> {
        let index = usize::try_from(cursor.0).ok();
        match index.and_then(|index| self.blocks.get(index)) {
            Some(block) => {
                let seq = cursor.next();
                let last = self.ended && seq == self.last();
                Some(Next::Block {
                    seq,
                    block: block.clone(),
                    last,
                })
            }
            None if self.ended => Some(Next::Nothing),
            None => None,
        }
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// One open reader of a log. Dropping it closes it.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    key: usize,
}

impl Reader {
    /// The event behind `cursor`, or, while there is none, a promise to wake the task.
    ///
    /// A cursor ahead of a running log waits until the log gets there.
    pub fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.log.state.lock();
        match state.next(cursor) {
            Some(next) => Poll::Ready(next),
            None => {
                if let Some(slot) = state.readers.get_mut(self.key) {
                    register(slot, cx);
                }
                Poll::Pending
            }
        }
    }

    /// As [`Reader::poll_next`], to await.
    pub async fn read_after(&mut self, cursor: Seq) -> Next {
        std::future::poll_fn(|cx| self.poll_next(cursor, cx)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.log.state.lock();
        state.readers.try_remove(self.key);
        state.unread_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn log() -> Arc<Log> {
        Arc::new(Log::new(ReplyId::random(), Created::now()))
    }

    fn add(log: &Log, blocks: &[&'static str], ends: bool) -> bool {
        log.add(
            blocks.iter().map(|b| Bytes::from_static(b.as_bytes())),
            ends,
            &mut Vec::new(),
        )
    }

    fn block(seq: u64, text: &'static str, last: bool) -> Next {
        Next::Block {
            seq: Seq(seq),
            block: Bytes::from_static(text.as_bytes()),
            last,
        }
    }

    #[tokio::test]
    async fn a_reader_gets_what_is_there_and_then_what_comes() {
        let log = log();
        add(&log, &["a", "b"], false);
        let mut reader = log.reader();
        assert_eq!(reader.read_after(Seq(0)).await, block(1, "a", false));
        assert_eq!(reader.read_after(Seq(1)).await, block(2, "b", false));
        let mut waiting = Box::pin(reader.read_after(Seq(2)));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        add(&log, &["c"], true);
        assert_eq!(waiting.await, block(3, "c", true));
        assert_eq!(reader.read_after(Seq(3)).await, Next::Nothing);
    }

    #[tokio::test]
    async fn a_cursor_ahead_of_a_running_log_waits_until_the_log_gets_there() {
        let log = log();
        add(&log, &["a"], false);
        let mut reader = log.reader();
        let mut waiting = Box::pin(reader.read_after(Seq(2)));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        add(&log, &["b"], false);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        add(&log, &["c"], false);
        assert_eq!(waiting.await, block(3, "c", false));
    }

    #[tokio::test]
    async fn a_cursor_beyond_everything_is_let_go_at_the_end() {
        let log = log();
        let mut reader = log.reader();
        let mut waiting = Box::pin(reader.read_after(Seq(u64::MAX)));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        add(&log, &["a"], true);
        assert_eq!(waiting.await, Next::Nothing);
    }

    #[test]
    fn nothing_is_added_after_the_end() {
        let log = log();
        assert!(add(&log, &["a"], true));
        assert!(!add(&log, &["b"], false));
        assert_eq!(log.tail(), (Seq(1), true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_an_unread_reply_runs_from_the_last_readers_leaving() {
        let log = log();
        let reader = log.reader();
        let second = log.reader();
        let patience = Duration::from_secs(60);
        let mut unread = Box::pin(log.unread_for(patience));
        let far = Duration::from_secs(1000);
        assert!(tokio::time::timeout(far, unread.as_mut()).await.is_err());
        drop(reader);
        assert!(tokio::time::timeout(far, unread.as_mut()).await.is_err());
        drop(second);
        let left = Instant::now();
        unread.await;
        assert_eq!(left.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_counts_as_reading() {
        let log = log();
        let mut unread = Box::pin(log.unread_for(Duration::from_secs(60)));
        assert!(
            tokio::time::timeout(Duration::from_secs(59), unread.as_mut())
                .await
                .is_err()
        );
        let _ = log.snapshot();
        assert!(
            tokio::time::timeout(Duration::from_secs(59), unread.as_mut())
                .await
                .is_err()
        );
        assert!(
            tokio::time::timeout(Duration::from_secs(2), unread)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn the_first_stop_request_counts() {
        let log = log();
        let mut stopped = Box::pin(log.stop_requested());
        assert_eq!(stopped.as_mut().now_or_never(), None);
        log.request_stop(StopRequest::Viewer);
        log.request_stop(StopRequest::Shutdown);
        assert_eq!(stopped.await, StopRequest::Viewer);
    }
}
