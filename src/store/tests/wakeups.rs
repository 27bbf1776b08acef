//! No wake-up is lost: small programs run the real logs in every order that their threads can take.
//!
//! A thread that would wait forever is a deadlock, at which the model checker loom stops. loom sees the
//! lock of a log and the parking of the threads here.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    sync::{Condvar, Mutex},
    thread,
};

use super::{
    append, batch, bytes, end, event, log,
    remote::{self, EVENTS, Stored},
};
use crate::{
    event::Seq,
    store::{
        batch::Next,
        local_log::{Commit, LocalLog, StopRequest},
        log::Log,
        sync::explore,
    },
};

/// Every order; only programs of two threads have few enough.
const ALL: Option<usize> = None;
/// As many preemptions as three threads can be given in a second of the test's time.
const BOUND: Option<usize> = Some(3);

/// Where a thread sleeps until its waker is called.
struct Parking {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls once for each wake-up and never without one.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let parking = Arc::new(Parking {
        woken: Mutex::new(false),
        changed: Condvar::new(),
    });
    let waker = Waker::from(Arc::clone(&parking));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        let mut woken = parking.woken.lock().unwrap();
        while !*woken {
            woken = parking.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// Reads on a thread of its own, from `cursor` until there is nothing more.
fn follow(log: impl Into<Log>, mut cursor: Seq) -> thread::JoinHandle<Vec<Next>> {
    let log = log.into();
    thread::spawn(move || {
        let mut reader = log.reader();
        let mut read = Vec::new();
        while let next @ Next::Event { .. } = block_on(reader.read_after(cursor)) {
            cursor = cursor.next();
            read.push(next);
        }
        read
    })
}

/// Commits on a thread of its own whatever is appended, as the leader does.
fn lead(log: &Arc<LocalLog>) -> thread::JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut acknowledged = Seq::ZERO;
        loop {
            let batch = block_on(log.appended_after(acknowledged, usize::MAX));
            acknowledged = batch.position().seq;
            log.commit(acknowledged);
            if batch.ended {
                return;
            }
        }
    })
}

fn whole() -> Vec<Next> {
    vec![
        event(1, "a", false),
        event(2, "b", false),
        event(3, "end", true),
    ]
}

#[test]
fn a_reader_is_woken_by_every_event() {
    let orders = explore(ALL, || {
        let log = log(Commit::OnAppend);
        let reader = follow(Arc::clone(&log), Seq::ZERO);
        append(&log, &["a"]);
        append(&log, &["b"]);
        end(&log);
        assert_eq!(reader.join().unwrap(), whole());
    });
    assert!(orders > 10, "only {orders} orders");
}

#[test]
fn two_readers_are_woken_by_every_event_also_one_that_is_ahead() {
    let orders = explore(BOUND, || {
        let log = log(Commit::OnAppend);
        let readers = [Seq::ZERO, Seq(1)].map(|cursor| follow(Arc::clone(&log), cursor));
        append(&log, &["a", "b"]);
        end(&log);
        let [first, second] = readers.map(|reader| reader.join().unwrap());
        assert_eq!(first, whole());
        assert_eq!(second, whole()[1..]);
    });
    assert!(orders > 100, "only {orders} orders");
}

#[test]
fn one_reader_leaves_and_the_other_is_woken() {
    explore(BOUND, || {
        let log = log(Commit::OnAppend);
        let stays = follow(Arc::clone(&log), Seq::ZERO);
        let leaves = {
            let log = Log::from(Arc::clone(&log));
            thread::spawn(move || {
                block_on(log.reader().read_after(Seq::ZERO));
                // Its slot is free for the next reader.
                drop(log.reader());
            })
        };
        append(&log, &["a"]);
        append(&log, &["b"]);
        end(&log);
        assert_eq!(stays.join().unwrap(), whole());
        leaves.join().unwrap();
    });
}

#[test]
fn what_is_committed_reaches_the_reader() {
    let orders = explore(BOUND, || {
        let log = log(Commit::OnAcknowledgement);
        let reader = follow(Arc::clone(&log), Seq::ZERO);
        let leader = lead(&log);
        append(&log, &["a", "b"]);
        end(&log);
        leader.join().unwrap();
        assert_eq!(reader.join().unwrap(), whole());
    });
    assert!(orders > 100, "only {orders} orders");
}

#[test]
fn a_reader_that_catches_up_in_pages_is_woken_by_what_comes() {
    let orders = explore(BOUND, || {
        let log = Stored::new(&EVENTS, true).log(batch(0, &EVENTS[..4], false));
        log.trim_front(1, usize::MAX);
        let reader = follow(Arc::clone(&log), Seq(1));
        log.append(&batch(4, &EVENTS[4..6], false)).unwrap();
        log.trim_front(1, usize::MAX);
        log.append(&batch(6, &EVENTS[6..], true)).unwrap();
        assert_eq!(reader.join().unwrap(), remote::whole()[1..]);
    });
    assert!(orders > 10, "only {orders} orders");
}

#[test]
fn a_stop_reaches_the_generation_and_the_first_one_counts() {
    explore(ALL, || {
        let log = log(Commit::OnAppend);
        let generation = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                // The checker does not see a stop itself, only that both threads use this lock.
                let _ = log.position();
                block_on(log.stop_requested())
            })
        };
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.request_stop(StopRequest::Shutdown))
        };
        log.request_stop(StopRequest::Viewer);
        let request = generation.join().unwrap();
        other.join().unwrap();
        assert!(matches!(
            request,
            StopRequest::Viewer | StopRequest::Shutdown
        ));
        assert_eq!(block_on(log.stop_requested()), request);
    });
}

#[test]
fn a_foreign_end_reaches_the_reader_and_the_generation() {
    explore(BOUND, || {
        let log = log(Commit::OnAcknowledgement);
        append(&log, &["a"]);
        log.commit(Seq(1));
        let reader = follow(Arc::clone(&log), Seq::ZERO);
        let generation = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                // Refused if the end is there already.
                let _ = log.append([bytes("never stored")].into_iter());
                block_on(log.stop_requested())
            })
        };
        log.truncate_and_end(Seq(1), bytes("lost")).unwrap();
        assert_eq!(
            reader.join().unwrap(),
            [event(1, "a", false), event(2, "lost", true)]
        );
        assert_eq!(generation.join().unwrap(), StopRequest::FailedOver);
    });
}

#[test]
fn an_invalid_log_closes_every_reader() {
    explore(BOUND, || {
        let log = Stored::new(&EVENTS, false).log(batch(0, &[], false));
        let readers = [Seq::ZERO, Seq(1)].map(|cursor| follow(Arc::clone(&log), cursor));
        log.append(&batch(0, &["1"], false)).unwrap();
        log.invalidate();
        for reader in readers {
            assert!(reader.join().unwrap().len() <= 1);
        }
    });
}
