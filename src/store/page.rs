//! Pages: how a reader gets the events of a remote log that are no longer kept here.
//!
//! A [`Source`] returns one page at a time. [`CatchUp`] is the reader's side: it holds at most one page
//! and waits while the source is unavailable. This module knows nothing of Redis or of HTTP.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    batch::{Batch, Next},
    error::Unavailable,
};
use crate::event::Seq;

/// How long a reader waits for a missing page. The leader has this long to store again what Redis has
/// lost.
const MISSING_PAGE_TIMEOUT: Duration = Duration::from_secs(15);
/// The mean pause before a page is requested again.
const PAGE_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The source of a remote log's events, and the way to its generation.
pub(super) trait Source: fmt::Debug + Send + Sync {
    /// Fetches the events after `cursor`, as many as one page holds and at least one.
    ///
    /// # Errors
    ///
    /// [`PageError`]; a retry may succeed after either.
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Batch, PageError>>;

    /// Asks the generation to stop. `Ok` says that the request is stored, not that it has stopped.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]; the request may have arrived.
    fn stop(&self) -> BoxFuture<'static, Result<(), Unavailable>>;

    /// Waits for a permit to read a whole log, page by page; hold it meanwhile. `None` once the
    /// store is closed.
    fn snapshot_permit(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>>;
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    /// The source does not answer.
    #[error("the shared store does not answer")]
    Unavailable,
    /// The source answers, and does not have the event after the cursor.
    #[error("the event after the cursor is missing")]
    Missing,
}

/// A reader's page, from its request until it is read.
#[derive(Default)]
pub(super) enum CatchUp {
    /// No page is needed.
    #[default]
    Idle,
    /// A page is on its way; `None` if it will never come.
    Fetching(BoxFuture<'static, Option<Batch>>),
    /// A page is being read.
    Holding(Batch),
}

impl CatchUp {
    /// Begins to fetch the page after `cursor`.
    pub(super) fn fetch(&mut self, source: &Arc<dyn Source>, cursor: Seq) {
        *self = Self::Fetching(fetch(Arc::clone(source), cursor).boxed());
    }

    /// The event after `cursor`, if it is in the current page or in one that is being fetched.
    /// `Ready(None)` means that it is in neither; then the page is dropped.
    pub(super) fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        if let Self::Fetching(fetching) = self {
            match fetching.poll_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(page)) => *self = Self::Holding(page),
                Poll::Ready(None) => {
                    *self = Self::Idle;
                    return Poll::Ready(Some(Next::Closed));
                }
            }
        }
        let next = match self {
            Self::Holding(page) => page.next(cursor),
            Self::Idle | Self::Fetching(_) => None,
        };
        if next.is_none() {
            *self = Self::Idle;
        }
        Poll::Ready(next)
    }
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Fetching(_) => "Fetching",
            Self::Holding(_) => "Holding",
        })
    }
}

/// Fetches the page after `cursor`, however long the source does not answer; `None` if the page is
/// missing for too long.
async fn fetch(source: Arc<dyn Source>, cursor: Seq) -> Option<Batch> {
    let mut missing_since = None;
    loop {
        match source.page(cursor).await {
            Ok(page) if !page.events.is_empty() => return Some(page),
            // While the source does not answer, it is unknown whether the page is lost.
            Err(PageError::Unavailable) => missing_since = None,
            Ok(_) | Err(PageError::Missing) => {
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= MISSING_PAGE_TIMEOUT {
                    return None;
                }
            }
        }
        // A random pause, so that readers do not all retry at once.
        sleep(PAGE_RETRY_INTERVAL.mul_f64(0.5 + rand::random::<f64>())).await;
    }
}
