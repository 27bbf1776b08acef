//! The part of a log that is no longer kept in this process: fetched in pages, one at a time, by
//! the reader that needs it.
//!
//! A reader that catches up holds one page at most. How a page is had is [`Elsewhere`]'s business;
//! this module knows nothing of Redis or of HTTP.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{Unavailable, log::Next};
use crate::event::Seq;

/// How long a reader waits for a page that should be there. Its producer puts back what the shared
/// store has lost, and is given that long.
const MISSING_PATIENCE: Duration = Duration::from_secs(15);
/// The pause before the next attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A log that another replica writes.
pub(super) trait Elsewhere: fmt::Debug + Send + Sync {
    /// The events behind `cursor`, as many as one page holds; at least one.
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Page, PageError>>;
    /// Asks the generation to stop.
    fn stop(&self) -> BoxFuture<'static, Result<(), Unavailable>>;
    /// Waits until a whole log may be read, page by page; not many are at once.
    fn turn(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>>;
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageError {
    /// The shared store does not answer.
    Unavailable,
    /// It does not have the events that follow.
    Missing,
}

/// Some events in a row.
#[derive(Debug)]
pub(super) struct Page {
    /// How many events come before the first of them.
    base: u64,
    blocks: Vec<Bytes>,
    /// Whether the last of them is the `end`.
    ends: bool,
}

impl Page {
    /// The events that follow `cursor`.
    pub(super) fn new(cursor: Seq, blocks: Vec<Bytes>, ends: bool) -> Self {
        Self {
            base: cursor.0,
            blocks,
            ends,
        }
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> Seq {
        Seq(self.base + self.blocks.len() as u64)
    }

    /// Whether the last event is the `end`.
    pub(super) const fn ends(&self) -> bool {
        self.ends
    }

    /// The blocks behind `cursor`.
    pub(super) fn after(&self, cursor: Seq) -> impl Iterator<Item = Bytes> + '_ {
        let skip = usize::try_from(cursor.0.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.blocks.iter().skip(skip).cloned()
    }

    fn next(&self, cursor: Seq) -> Option<Next> {
        let index = usize::try_from(cursor.0.checked_sub(self.base)?).ok()?;
        let block = self.blocks.get(index)?.clone();
        let seq = cursor.next();
        Some(Next::Block {
            seq,
            block,
            last: self.ends && seq == self.last(),
        })
    }
}

/// What a reader that is behind has fetched, or is fetching.
#[derive(Default)]
pub(super) enum CatchUp {
    /// It needs none.
    #[default]
    Done,
    Fetching(BoxFuture<'static, Option<Page>>),
    Holding(Page),
}

impl CatchUp {
    /// The event behind `cursor`, if it is here or on its way.
    pub(super) fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        if let Self::Fetching(fetching) = self {
            match fetching.poll_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(page)) => *self = Self::Holding(page),
                Poll::Ready(None) => {
                    *self = Self::Done;
                    return Poll::Ready(Some(Next::Nothing));
                }
            }
        }
        if let Self::Holding(page) = self {
            let next = page.next(cursor);
            if next.is_none() {
                *self = Self::Done;
            }
            return Poll::Ready(next);
        }
        Poll::Ready(None)
    }

    pub(super) const fn is_fetching(&self) -> bool {
        matches!(self, Self::Fetching(_))
    }

    /// Begins to fetch what is behind `cursor`.
    pub(super) fn fetch(&mut self, elsewhere: &Arc<dyn Elsewhere>, cursor: Seq) {
        *self = Self::Fetching(fetch(Arc::clone(elsewhere), cursor).boxed());
    }
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::Fetching(_) => "Fetching",
            Self::Holding(_) => "Holding",
        })
    }
}

/// Waits for the page behind `cursor`; `None` if it will never come.
async fn fetch(elsewhere: Arc<dyn Elsewhere>, cursor: Seq) -> Option<Page> {
    let mut missing_since = None;
    loop {
        match elsewhere.page(cursor).await {
            Ok(page) if !page.blocks.is_empty() => return Some(page),
            // While nobody answers nobody can say that the events are lost.
            Err(PageError::Unavailable) => missing_since = None,
            Ok(_) | Err(PageError::Missing) => {
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= MISSING_PATIENCE {
                    return None;
                }
            }
        }
        // Not all in step.
        tokio::time::sleep(RETRY_PAUSE.mul_f64(0.5 + rand::random::<f64>())).await;
    }
}
