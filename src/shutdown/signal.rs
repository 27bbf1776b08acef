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
    pub fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let WatchState::Waiting(registered) = &mut self.state {
            let Some(started) = self.shared.started(self.key, registered, cx) else {
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
    /// The start of the drain; before that, makes sure that the task is woken by it.
    fn started(
        &self,
        key: usize,
        registered: &mut Option<Waker>,
        cx: &Context<'_>,
    ) -> Option<Started> {
        if let Some(started) = self.started.get() {
            return Some(*started);
        }
        if registered
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return None;
        }
        let mut wakers = self.wakers.lock();
        if let Some(started) = self.started.get() {
            return Some(*started);
        }
        if let Some(slot) = wakers.get_mut(key) {
            *slot = Some(cx.waker().clone());
        }
        *registered = Some(cx.waker().clone());
        None
    }
}

impl Started {
    fn random_moment(self) -> Instant {
        self.at + self.spread.mul_f64(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn nobody_can_watch_once_the_signal_is_given() {
        let signal = DrainSignal::default();
        assert!(signal.watch().is_some());
        signal.start(Duration::ZERO);
        assert!(signal.watch().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn watches_leave_at_random_moments_within_the_spread() {
        const SPREAD: Duration = Duration::from_secs(5);
        let signal = DrainSignal::default();
        let watches: Vec<DrainWatch> = (0..200).map(|_| signal.watch().unwrap()).collect();
        let begun = Instant::now();
        signal.start(SPREAD);
        let leaving = watches.into_iter().map(|mut watch| async move {
            std::future::poll_fn(|cx| watch.poll_leave(cx)).await;
            // Once it is time it stays so.
            assert!(
                std::future::poll_fn(|cx| watch.poll_leave(cx))
                    .now_or_never()
                    .is_some()
            );
            begun.elapsed()
        });
        let mut seconds = [0; 6];
        for stayed in futures_util::future::join_all(leaving).await {
            assert!(stayed <= SPREAD + Duration::from_millis(1), "{stayed:?}");
            seconds[usize::try_from(stayed.as_secs()).unwrap()] += 1;
        }
        // 40 are expected in each of the five seconds; fewer than 10 are all but impossible.
        assert!(seconds[..5].iter().all(|n| *n >= 10), "{seconds:?}");
        signal.watches_dropped().now_or_never().unwrap();
    }

    #[test]
    fn watches_and_guards_are_counted_apart() {
        let signal = DrainSignal::default();
        let guard = signal.guard();
        signal.watches_dropped().now_or_never().unwrap();
        assert!(signal.guards_dropped().now_or_never().is_none());
        let watch = signal.watch();
        drop(guard);
        signal.guards_dropped().now_or_never().unwrap();
        assert!(signal.watches_dropped().now_or_never().is_none());
        drop(watch);
        signal.watches_dropped().now_or_never().unwrap();
    }

    #[test]
    fn a_stream_that_waits_costs_little() {
        // Beside these, a slot in the list of wakers.
        assert!(size_of::<DrainWatch>() + 3 * size_of::<usize>() <= 80);
        assert_eq!(size_of::<DrainGuard>(), size_of::<usize>());
    }

    /// A waker that counts.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_signal_that_is_given_while_a_stream_begins_to_wait_is_not_lost() {
        const ROUNDS: usize = 5_000;
        let signals: Arc<Vec<_>> = Arc::new((0..ROUNDS).map(|_| DrainSignal::default()).collect());
        let [turn, given] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let giver = {
            let (signals, turn, given) = (signals.clone(), turn.clone(), given.clone());
            std::thread::spawn(move || {
                for (round, signal) in signals.iter().enumerate() {
                    wait_until(&turn, round + 1);
                    signal.start(Duration::ZERO);
                    given.store(round + 1, Ordering::Release);
                }
            })
        };
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        for (round, signal) in signals.iter().enumerate() {
            let mut watch = signal.watch().unwrap();
            turn.store(round + 1, Ordering::Release);
            // The two meet at another point in each round.
            for _ in 0..round % 100 {
                std::hint::spin_loop();
            }
            let before = woken.0.load(Ordering::SeqCst);
            let waits = watch
                .poll_leave(&mut Context::from_waker(&waker))
                .is_pending();
            wait_until(&given, round + 1);
            let wakes = woken.0.load(Ordering::SeqCst) - before;
            assert_eq!(wakes, usize::from(waits), "in round {round}");
        }
        giver.join().unwrap();
    }

    /// Spins: a sleeping thread would come too late to meet the other.
    fn wait_until(counter: &AtomicUsize, value: usize) {
        let mut spins = 0_u32;
        while counter.load(Ordering::Acquire) < value {
            spins += 1;
            // Where there is one core only, the other thread needs it.
            if spins.is_multiple_of(10_000) {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_stream_whose_task_changes_is_woken_where_it_is_now() {
        let counts = [(); 2].map(|()| Arc::new(Count::default()));
        let signal = DrainSignal::default();
        let mut watch = signal.watch().unwrap();
        for count in [&counts[0], &counts[1], &counts[1]] {
            let waker = Waker::from(Arc::clone(count));
            let mut cx = Context::from_waker(&waker);
            assert!(watch.poll_leave(&mut cx).is_pending());
        }
        signal.start(Duration::ZERO);
        assert_eq!(counts.map(|count| count.0.load(Ordering::SeqCst)), [0, 1]);
    }
}
