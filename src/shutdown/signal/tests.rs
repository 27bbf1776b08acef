//! The signal by itself, polled by hand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use futures_util::FutureExt as _;

use super::*;

#[test]
fn no_stream_can_watch_once_the_signal_is_given() {
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
