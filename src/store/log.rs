//! The log of one reply: its encoded events by number, and everybody who waits for the next.
//!
//! One [`Writer`](super::Writer) adds to it, any number of [`Reader`]s read it by cursor. A reader
//! owns no queue: it costs a cursor and, while it waits, one waker. Looking for the next event and
//! leaving the waker happen under one lock, as do delivering events and taking the wakers, so that
//! no wake-up can be lost.
//!
//! A log has one of three [`Origin`]s. In each, readers see events up to `visible`, and never
//! learn the difference. This module knows nothing of HTTP, of upstream, of Redis or of other
//! replies.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use slab::Slab;
use tokio::time::Instant;

use super::{
    Unavailable,
    page::{CatchUp, Elsewhere},
    sync::Mutex,
};
use crate::event::{self, Created, End, ReplyId, Seq};

/// How long a copied reply is kept running unread at least. Readers on other replicas are known
/// here only by a mark that they renew; this is longer than a mark can be late.
const COPIED_PATIENCE: Duration = Duration::from_secs(6);

/// Why a reply is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// Somebody sent a `DELETE`.
    Viewer,
    /// The server is about to exit.
    Shutdown,
    /// Another replica took this one for dead and has written the `end`.
    Lost,
}

/// Where a log is written, and when its events may be read.
#[derive(Debug)]
pub(super) enum Origin {
    /// In this process alone: read as soon as they are written.
    Here,
    /// In this process, with a copy for other replicas: read once the copy has them.
    Copied,
    /// On another replica: what is kept here is the newest part of it, which is read at once; what
    /// came before is fetched in pages.
    Elsewhere(Arc<dyn Elsewhere>),
}

/// One reply's events.
#[derive(Debug)]
pub struct Log {
    id: ReplyId,
    created: Created,
    origin: Origin,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many events came before the first of `blocks`; 0 unless the log is written elsewhere.
    base: u64,
    /// The blocks of the events `base + 1`, `base + 2` …, encoded.
    blocks: VecDeque<Bytes>,
    /// The newest event that readers may see.
    visible: Seq,
    /// The last block is an `end`; nothing is added any more.
    ended: bool,
    /// The log is no longer there to be read, and never got an `end` that can be.
    gone: bool,
    /// The readers that are open, each with its waker while it waits.
    readers: Slab<Option<Waker>>,
    /// When the last reader left, or when the reply was created.
    unread_since: Instant,
    stop: Option<StopRequest>,
    /// The generation, while it waits for a stop.
    producer: Option<Waker>,
    /// Whoever copies the log, while it waits for events.
    copier: Option<Waker>,
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
    /// There is nothing behind the cursor and never will be.
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

/// What is to be copied.
#[derive(Debug)]
pub(super) struct Batch {
    /// The blocks that follow those copied so far.
    pub blocks: Vec<Bytes>,
    /// Whether the last of them is the `end`.
    pub ends: bool,
}

impl Log {
    pub(super) fn new(id: ReplyId, created: Created, origin: Origin) -> Self {
        Self {
            id,
            created,
            origin,
            state: Mutex::new(State {
                base: 0,
                blocks: VecDeque::new(),
                visible: Seq::ZERO,
                ended: false,
                gone: false,
                readers: Slab::new(),
                unread_since: Instant::now(),
                stop: None,
                producer: None,
                copier: None,
            }),
        }
    }

    /// A log that is written elsewhere, of which only the newest event is known so far.
    pub(super) fn elsewhere(
        id: ReplyId,
        created: Created,
        origin: Arc<dyn Elsewhere>,
        newest: Bytes,
        last: Seq,
        ended: bool,
    ) -> Self {
        let log = Self::new(id, created, Origin::Elsewhere(origin));
        {
            let mut state = log.state.lock();
            state.base = last.0.saturating_sub(1);
            state.blocks.push_back(newest);
            state.visible = last;
            state.ended = ended;
        }
        log
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

    /// The number of the newest event that can be read, and whether it is the `end`.
    #[must_use]
    pub fn tail(&self) -> (Seq, bool) {
        let state = self.state.lock();
        (state.visible, state.shows_end())
    }

    /// Opens a reader. While it is open the reply counts as read.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        let key = self.state.lock().readers.insert(None);
        Reader {
            log: Arc::clone(self),
            key,
            catch_up: CatchUp::default(),
        }
    }

    /// The reply as it stands. Counts as reading it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where the log is written elsewhere and cannot be had just now.
    pub async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
        let (mut blocks, mut last, whole) = {
            let mut state = self.state.lock();
            state.unread_since = Instant::now();
            let Seq(last) = state.visible;
            let kept = usize::try_from(last - state.base).unwrap_or(usize::MAX);
            let kept: Vec<Bytes> = state.blocks.iter().take(kept).cloned().collect();
            (kept, state.visible, state.base == 0)
        };
        if let Origin::Elsewhere(elsewhere) = &self.origin
            && !whole
        {
            let _turn = elsewhere.turn().await;
            blocks.clear();
            let mut cursor = Seq::ZERO;
            while cursor < last {
                let page = elsewhere.page(cursor).await.map_err(|_| Unavailable)?;
                blocks.extend(page.after(cursor));
                cursor = page.last();
                if page.ends() {
                    break;
                }
            }
            last = cursor;
        }
        let (text, end) = event::read_back(blocks.iter().map(Bytes::as_ref));
        Ok(Snapshot { text, last, end })
    }

    /// The `end`, once it is there. Does not count as reading.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let last = {
            let state = self.state.lock();
            state
                .shows_end()
                .then(|| state.blocks.back().cloned())
                .flatten()
        };
        event::read_back(last.iter().map(Bytes::as_ref)).1
    }

    /// Asks the generation to stop, wherever it is. After the end that changes nothing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where the generation is on another replica and cannot be reached just now.
    pub async fn stop(&self) -> Result<(), Unavailable> {
        match &self.origin {
            Origin::Elsewhere(elsewhere) if !self.tail().1 => elsewhere.stop().await,
            _ => {
                self.request_stop(StopRequest::Viewer);
                Ok(())
            }
        }
    }

    /// Asks the generation of this process to stop. The first request counts; after the end none
    /// does.
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

    /// Resolves once nobody has read the reply for `patience`; on several replicas, for six seconds
    /// at least.
    pub async fn unread_for(&self, patience: Duration) {
        let patience = match self.origin {
            Origin::Copied => patience.max(COPIED_PATIENCE),
            Origin::Here | Origin::Elsewhere(_) => patience,
        };
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

    /// For how long nobody has read it; zero while somebody does.
    pub(super) fn idle(&self) -> Duration {
        let state = self.state.lock();
        if state.readers.is_empty() {
            state.unread_since.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Somebody reads it on another replica.
    pub(super) fn mark_read(&self) {
        self.state.lock().unread_since = Instant::now();
    }

    /// Adds blocks, and wakes every reader that waits, or where there is a copy to be made, the
    /// copier. `wakers` is scratch space, left empty. Returns false, and adds nothing, if the log
    /// has ended.
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
            match self.origin {
                Origin::Here | Origin::Elsewhere(_) => {
                    let last = state.last();
                    state.show_to(last, wakers);
                }
                Origin::Copied => wakers.extend(state.copier.take()),
            }
        }
        // Not under the lock: a woken reader on another thread would run straight into it.
        wakers.drain(..).for_each(Waker::wake);
        true
    }

    /// Lets readers see events up to `last`.
    pub(super) fn deliver(&self, last: Seq) {
        let mut wakers = Vec::new();
        self.state.lock().show_to(last, &mut wakers);
        wakers.drain(..).for_each(Waker::wake);
    }

    /// Resolves once there are events behind `copied`, with no more than `limit` of them. For the
    /// one copier only.
    pub(super) async fn to_copy(&self, copied: Seq, limit: usize) -> Batch {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.last() > copied {
                return Poll::Ready(state.batch(copied, limit));
            }
            register(&mut state.copier, cx);
            Poll::Pending
        })
        .await
    }

    /// No more than `limit` events behind `cursor`, whether or not readers may see them.
    pub(super) fn written_after(&self, cursor: Seq, limit: usize) -> Batch {
        self.state.lock().batch(cursor, limit)
    }

    /// The newest event that is written, and whether it is the `end`.
    pub(super) fn written(&self) -> (Seq, bool) {
        let state = self.state.lock();
        (state.last(), state.ended)
    }

    /// Takes over the `end` that another replica has written behind `stored`, in place of whatever
    /// was written here since. Returns false, and changes nothing, if readers here have already
    /// seen more or an `end`, or if it does not follow what is written here.
    pub(super) fn cut(&self, stored: Seq, end: Bytes) -> bool {
        let mut wakers = Vec::new();
        {
            let mut state = self.state.lock();
            if state.visible > stored || stored > state.last() || state.shows_end() {
                return false;
            }
            let Ok(kept) = usize::try_from(stored.0) else {
                return false;
            };
            state.blocks.truncate(kept);
            state.blocks.push_back(end);
            if !state.ended {
                state.stop.get_or_insert(StopRequest::Lost);
                wakers.extend(state.producer.take());
            }
            state.ended = true;
            let last = state.last();
            state.show_to(last, &mut wakers);
        }
        wakers.drain(..).for_each(Waker::wake);
        true
    }

    /// Keeps no more than the newest `blocks` and `bytes`; the rest is fetched in pages by whoever
    /// still needs it.
    pub(super) fn forget_all_but(&self, blocks: usize, bytes: usize) {
        let mut state = self.state.lock();
        let mut held: usize = state.blocks.iter().map(Bytes::len).sum();
        while state.blocks.len() > 1 && (state.blocks.len() > blocks || held > bytes) {
            if let Some(block) = state.blocks.pop_front() {
                held -= block.len();
                state.base += 1;
            }
        }
    }

    /// Whether it is [`Log::vanish`]ed.
    pub(super) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }

    /// The log can no longer be read: lets every reader go.
    pub(super) fn vanish(&self) {
        let mut wakers = Vec::new();
        {
            let mut state = self.state.lock();
            state.gone = true;
            state.take_readers(&mut wakers);
        }
        wakers.drain(..).for_each(Waker::wake);
    }
}

impl State {
    fn last(&self) -> Seq {
        Seq(self.base + self.blocks.len() as u64)
    }

    fn shows_end(&self) -> bool {
        self.ended && self.visible == self.last()
    }

    fn show_to(&mut self, last: Seq, wakers: &mut Vec<Waker>) {
        let last = last.min(self.last());
        if last > self.visible {
            self.visible = last;
            self.take_readers(wakers);
        }
    }

    fn take_readers(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(
            self.readers
                .iter_mut()
                .filter_map(|(_, waker)| waker.take()),
        );
    }

    fn batch(&self, after: Seq, limit: usize) -> Batch {
        let skip = usize::try_from(after.0.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let blocks = self.blocks.iter().skip(skip).take(limit);
        let blocks: Vec<Bytes> = blocks.cloned().collect();
        Batch {
            ends: self.ended && skip.saturating_add(blocks.len()) >= self.blocks.len(),
            blocks,
        }
    }

    fn look(&self, cursor: Seq) -> Look {
        if self.gone {
            Look::Found(Next::Nothing)
        } else if cursor >= self.visible {
            if self.shows_end() {
                Look::Found(Next::Nothing)
            } else {
                Look::Wait
            }
        } else {
            let index = cursor.0.checked_sub(self.base);
            let index = index.and_then(|index| usize::try_from(index).ok());
            match index.and_then(|index| self.blocks.get(index)) {
                Some(block) => {
                    let seq = cursor.next();
                    Look::Found(Next::Block {
                        seq,
                        block: block.clone(),
                        last: seq == self.visible && self.shows_end(),
                    })
                }
                None => Look::Fetch,
            }
        }
    }
}

/// Where the event behind a cursor is.
enum Look {
    Found(Next),
    /// Not yet written.
    Wait,
    /// No longer kept here.
    Fetch,
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
    catch_up: CatchUp,
}

impl Reader {
    /// The event behind `cursor`, or, while there is none, a promise to wake the task.
    ///
    /// A cursor ahead of a running log waits until the log gets there.
    pub fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if self.catch_up.is_fetching() && self.log.is_gone() {
                return Poll::Ready(Next::Nothing);
            }
            match self.catch_up.poll_next(cursor, cx) {
                Poll::Ready(Some(next)) => return Poll::Ready(next),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
            let mut state = self.log.state.lock();
            match state.look(cursor) {
                Look::Found(next) => return Poll::Ready(next),
                Look::Wait => {
                    if let Some(slot) = state.readers.get_mut(self.key) {
                        register(slot, cx);
                    }
                    return Poll::Pending;
                }
                Look::Fetch => {}
            }
            drop(state);
            match &self.log.origin {
                Origin::Elsewhere(elsewhere) => self.catch_up.fetch(elsewhere, cursor),
                // Such a log keeps all of its blocks.
                Origin::Here | Origin::Copied => return Poll::Ready(Next::Nothing),
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
        Arc::new(Log::new(ReplyId::random(), Created::now(), Origin::Here))
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
        let _ = log.snapshot().await;
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
