//! A reader of a log: a cursor's next event, or a promise to wake the task.
//!
//! Where the log no longer keeps what is behind the cursor, the reader fetches it in pages until it
//! has caught up.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Log, Origin,
    state::{Look, register},
};
use crate::{event::Seq, store::page::CatchUp};

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

/// One open reader of a log. Dropping it closes it.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    key: usize,
    catch_up: CatchUp,
}

impl Reader {
    /// Opens a reader. While it is open the reply counts as read.
    pub(super) fn open(log: Arc<Log>) -> Self {
        let key = log.state.lock().readers.insert(None);
        Self {
            log,
            key,
            catch_up: CatchUp::default(),
        }
    }

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
