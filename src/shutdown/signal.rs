//! The drain signal, and the count of the streams that a shutdown waits for.
//!
//! One signal serves the process. A stream whose client can resume on another replica holds a
//! [`DrainWatch`], which tells it when to leave; any other stream holds a [`DrainGuard`], which
//! only counts it. A watch costs a slot in a list and one waker. While its stream is busy, checking
//! the signal is one atomic load.
//!
//! This module does not know what a stream carries or why it must leave.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use slab::Slab;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Tells streams to leave this process. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct DrainSignal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Set under the lock of `wakers`, so that no watch misses it; read without the lock.
    started: OnceLock<Started>,
    /// One slot per watch, with its waker while its stream waits.
    wakers: Mutex<Slab<Option<Waker>>>,
    watches: TaskTracker,
    guards: TaskTracker,
}

#[derive(Clone, Copy, Debug)]
struct Started {
    at: Instant,
    spread: Duration,
}

impl Default for DrainSignal {
    fn default() -> Self {
        let [watches, guards] = [(); 2].map(|()| {
            let tracker = TaskTracker::new();
            // Only a closed tracker reports that it is empty. Tokens can still be taken.
            tracker.close();
            tracker
        });
        Self {
            shared: Arc::new(Shared {
                started: OnceLock::new(),
                wakers: Mutex::default(),
                watches,
                guards,
            }),
        }
    }
}

impl DrainSignal {
    /// Tells every watch to leave, each at a random moment within `spread`. Only the first call has
    /// an effect.
    pub fn start(&self, spread: Duration) {
        let wakers: Vec<Waker> = {
            let mut wakers = self.shared.wakers.lock();
            let at = Instant::now();
            // An error means that the drain has already started.
            let _ = self.shared.started.set(Started { at, spread });
            wakers
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Watches for the signal, on behalf of a stream that can leave. `None` once the signal has been
    /// given: the stream has to start on another replica.
    #[must_use]
    pub fn watch(&self) -> Option<DrainWatch> {
        let mut wakers = self.shared.wakers.lock();
        if self.shared.started.get().is_some() {
            return None;
        }
        Some(DrainWatch {
            key: wakers.insert(None),
            state: WatchState::Waiting(None),
            _counted: self.shared.watches.token(),
            shared: Arc::clone(&self.shared),
        })
    }

    /// Counts a stream that never leaves before its end.
    #[must_use]
    pub fn guard(&self) -> DrainGuard {
        DrainGuard(self.shared.guards.token())
    }

    /// Resolves once no [`DrainWatch`] exists.
    pub async fn watches_dropped(&self) {
        self.shared.watches.wait().await;
    }

    /// Resolves once no [`DrainGuard`] exists.
    pub async fn guards_dropped(&self) {
        self.shared.guards.wait().await;
    }
}

/// Counts a stream that never leaves before its end. Dropping it says that the stream is over.
#[derive(Debug)]
pub struct DrainGuard(#[expect(dead_code, reason = "held for its drop")] TaskTrackerToken);

/// Tells one stream when to leave. Dropping it says that the stream is over.
#[derive(Debug)]
pub struct DrainWatch {
    key: usize,
    state: WatchState,
    _counted: TaskTrackerToken,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum WatchState {
    /// The signal has not been given. Holds the waker that is registered, so that the same one is
    /// not registered again.
    Waiting(Option<Waker>),
    /// The signal has been given; the stream leaves when the timer fires.
    Leaving(Pin<Box<Sleep>>),
    /// The stream has to leave.
    Due,
}

impl DrainWatch {
    /// Ready once the stream has to leave, and from then on. Until then it wakes the task in time.
    #[inline]
    pub fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The usual case, once or twice an event: no drain, and the waker is registered.
        if let WatchState::Waiting(Some(registered)) = &self.state
            && self.shared.started.get().is_none()
            && registered.will_wake(cx.waker())
        {
            return Poll::Pending;
        }
        self.poll_state(cx)
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let WatchState::Waiting(registered) = &mut self.state {
            let Some(started) = self.shared.register(self.key, cx) else {
                *registered = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let moment = started.random_moment();
            self.state = if moment <= Instant::now() {
                WatchState::Due
            } else {
                WatchState::Leaving(Box::pin(sleep_until(moment)))
            };
        }
        if let WatchState::Leaving(timer) = &mut self.state
            && timer.as_mut().poll(cx).is_ready()
        {
            self.state = WatchState::Due;
        }
        match self.state {
            WatchState::Due => Poll::Ready(()),
            WatchState::Waiting(_) | WatchState::Leaving(_) => Poll::Pending,
        }
    }
}

impl Drop for DrainWatch {
    fn drop(&mut self) {
        self.shared.wakers.lock().try_remove(self.key);
    }
}

impl Shared {
    /// The start of the drain; before that, registers the waker that the start calls.
    fn register(&self, key: usize, cx: &Context<'_>) -> Option<Started> {
        let mut wakers = self.wakers.lock();
        if let Some(started) = self.started.get() {
            return Some(*started);
        }
        if let Some(slot) = wakers.get_mut(key) {
            *slot = Some(cx.waker().clone());
        }
        None
    }
}

impl Started {
    fn random_moment(self) -> Instant {
        self.at + self.spread.mul_f64(rand::random())
    }
}

#[cfg(test)]
mod tests;
