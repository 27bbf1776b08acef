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

mod reader;
mod state;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

pub use self::reader::{Next, Reader};
use self::state::{State, register};
use super::{Unavailable, page::Elsewhere, sync::Mutex};
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
            state: Mutex::new(State::new()),
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
        Reader::open(Arc::clone(self))
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
