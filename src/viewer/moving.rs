//! The sign to move: given once, when this replica drains, to the viewers that can go elsewhere. Those
//! that cannot are counted, so that they can be waited for.
//!
//! One signal serves the process. A viewer that listens costs a place in a list and one waker; while
//! it streams it looks at a flag and takes no lock. This module does not know why viewers must move.

use std::{
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use slab::Slab;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Tells viewers to move. A cheap handle, to be cloned.
#[derive(Clone, Debug, Default)]
pub struct MoveSignal {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Set under the lock, so that whoever leaves a waker is woken; read without it.
    given: OnceLock<Given>,
    listeners: Mutex<Slab<Option<Waker>>>,
    last_left: Notify,
    staying: watch::Sender<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    at: Instant,
    spread: Duration,
}

impl MoveSignal {
    /// Tells all who listen to move, each at a random moment within `spread`. Only the first call
    /// counts.
    pub fn give(&self, spread: Duration) {
        let wakers: Vec<Waker> = {
            let mut listeners = self.shared.listeners.lock();
            let at = Instant::now();
            // An error is a second call.
            let _ = self.shared.given.set(Given { at, spread });
            listeners
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes a place among those who will be told; `None` if it is too late to come at all.
    #[must_use]
    pub fn listen(&self) -> Option<Listener> {
        let mut listeners = self.shared.listeners.lock();
        if self.shared.given.get().is_some() {
            return None;
        }
        Some(Listener {
            key: listeners.insert(None),
            shared: Arc::clone(&self.shared),
            waker: None,
        })
    }

    /// Counts one that is never moved.
    #[must_use]
    pub fn stay(&self) -> Stay {
        self.shared.staying.send_modify(|count| *count += 1);
        Stay {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Resolves once all have left that are never moved.
    pub async fn nobody_stays(&self) {
        let mut staying = self.shared.staying.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = staying.wait_for(|count| *count == 0).await;
    }

    /// Resolves once nobody listens. For one task only.
    pub async fn all_left(&self) {
        while !self.shared.listeners.lock().is_empty() {
            self.shared.last_left.notified().await;
        }
    }
}

/// A viewer's place among those who are never moved. Dropping it says that the viewer has left.
#[derive(Debug)]
pub struct Stay {
    shared: Arc<Shared>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.shared.staying.send_modify(|count| *count -= 1);
    }
}

/// A viewer's place among those who will be told to move. Dropping it says that the viewer has left.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    key: usize,
    /// The waker that was left, so that the same one need not be left again.
    waker: Option<Waker>,
}

impl Listener {
    /// When to leave, once the signal is given: a random moment, anew at each call. Until then a
    /// promise to wake the task.
    pub(super) fn poll_leave_at(&mut self, cx: &Context<'_>) -> Poll<Instant> {
        if let Some(given) = self.shared.given.get() {
            return Poll::Ready(given.moment());
        }
        let known = self.waker.as_ref();
        if known.is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut listeners = self.shared.listeners.lock();
        if let Some(given) = self.shared.given.get() {
            return Poll::Ready(given.moment());
        }
        if let Some(place) = listeners.get_mut(self.key) {
            *place = Some(cx.waker().clone());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.shared.listeners.lock();
        listeners.try_remove(self.key);
        if listeners.is_empty() {
            self.shared.last_left.notify_one();
        }
    }
}

impl Given {
    fn moment(self) -> Instant {
        self.at + self.spread.mul_f64(rand::random())
    }
}
