//! The readers of a log: the wakers of those that wait, and the time since there were none.
//!
//! A log keeps its [`Readers`] under its lock. No method here wakes a task: a log takes the [`Wakers`]
//! under the lock and calls them after it has unlocked, because a woken reader on another thread
//! locks at once.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use slab::Slab;
use smallvec::SmallVec;
use tokio::time::Instant;

/// The open readers of one log.
#[derive(Debug)]
pub(super) struct Readers {
    /// One entry for each open reader, with its waker while it waits.
    open: Slab<Option<Waker>>,
    /// When the last reader left, or when the log was made.
    last_read: Instant,
}

/// One open reader among the [`Readers`] of its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReaderKey(usize);

/// Wakers to be called once the log is unlocked. Most replies have a few readers; those need no
/// allocation.
#[derive(Debug, Default)]
#[must_use = "readers wait forever unless they are woken"]
pub(super) struct Wakers(SmallVec<[Waker; 4]>);

impl Readers {
    pub(super) fn new() -> Self {
        Self {
            open: Slab::new(),
            last_read: Instant::now(),
        }
    }

    pub(super) fn open(&mut self) -> ReaderKey {
        ReaderKey(self.open.insert(None))
    }

    pub(super) fn close(&mut self, reader: ReaderKey) {
        self.open.try_remove(reader.0);
        self.touch();
    }

    /// Records a read without an open reader.
    pub(super) fn touch(&mut self) {
        self.last_read = Instant::now();
    }

    /// The time of the last read: now, if a reader is open.
    pub(super) fn last_read(&self) -> Instant {
        if self.open.is_empty() {
            self.last_read
        } else {
            Instant::now()
        }
    }

    /// How long the log has had no reader; zero while one is open.
    pub(super) fn unread(&self) -> Duration {
        self.last_read().elapsed()
    }

    /// Registers the waker of a reader that found nothing.
    pub(super) fn wait(&mut self, reader: ReaderKey, cx: &Context<'_>) {
        if let Some(slot) = self.open.get_mut(reader.0) {
            register(slot, cx);
        }
    }

    /// Takes the wakers of all readers that wait.
    pub(super) fn take_waiting(&mut self) -> Wakers {
        Wakers(
            self.open
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect(),
        )
    }
}

impl Wakers {
    /// Calls every waker. Never call this under a log's lock.
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl From<Option<Waker>> for Wakers {
    fn from(waker: Option<Waker>) -> Self {
        Self(waker.into_iter().collect())
    }
}

/// Registers the task's waker in a slot that only this task uses.
pub(super) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
