//! No wake-up is lost, in any order that the threads of a small program can take: whoever would
//! wait for ever is a deadlock, and the checker stops at it.
//!
//! The checker sees the lock of a log and the parking of the threads here; the log itself is the
//! one that the program runs.

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
    add, block, bytes,
    elsewhere::{self, BLOCKS, Shared},
    log,
};
use crate::{
    event::Seq,
    store::{
        log::{Log, Next, Origin, StopRequest},
        sync::explore,
    },
};

/// Every order. Only two threads have few enough.
const ALL: Option<usize> = None;
/// What three threads and more can be asked to do in a second.
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
fn follow(log: &Arc<Log>, mut cursor: Seq) -> thread::JoinHandle<Vec<Next>> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut reader = log.reader();
        let mut read = Vec::new();
        while let next @ Next::Block { .. } = block_on(reader.read_after(cursor)) {
            cursor = cursor.next();
            read.push(next);
        }
        read
    })
}

/// Makes a copy on a thread of its own: whatever it takes may then be read.
fn copy(log: &Arc<Log>) -> thread::JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut copied = Seq::ZERO;
        loop {
            let batch = block_on(log.to_copy(copied, usize::MAX));
            copied.0 += batch.blocks.len() as u64;
            log.deliver(copied);
            if batch.ends {
                return;
            }
        }
    })
}

fn whole() -> Vec<Next> {
    vec![
        block(1, "a", false),
        block(2, "b", false),
        block(3, "end", true),
    ]
}

#[test]
fn a_reader_is_woken_by_every_event() {
    let orders = explore(ALL, || {
        let log = log(Origin::Here);
        let reader = follow(&log, Seq::ZERO);
        add(&log, &["a"], false);
        add(&log, &["b"], false);
        add(&log, &["end"], true);
        assert_eq!(reader.join().unwrap(), whole());
    });
    assert!(orders > 10, "only {orders} orders");
}

#[test]
fn two_readers_are_woken_by_every_event_also_one_that_is_ahead() {
    let orders = explore(BOUND, || {
        let log = log(Origin::Here);
        let readers = [follow(&log, Seq::ZERO), follow(&log, Seq(1))];
        add(&log, &["a", "b"], false);
        add(&log, &["end"], true);
        let [first, second] = readers.map(|reader| reader.join().unwrap());
        assert_eq!(first, whole());
        assert_eq!(second, whole()[1..]);
    });
    assert!(orders > 100, "only {orders} orders");
}

#[test]
fn one_reader_leaves_and_the_other_is_woken() {
    explore(BOUND, || {
        let log = log(Origin::Here);
        let stays = follow(&log, Seq::ZERO);
        let leaves = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                block_on(log.reader().read_after(Seq::ZERO));
                // Its place is free for whoever comes next.
                drop(log.reader());
            })
        };
        add(&log, &["a"], false);
        add(&log, &["b", "end"], true);
        assert_eq!(stays.join().unwrap(), whole());
        leaves.join().unwrap();
    });
}

#[test]
fn what_is_copied_reaches_the_reader() {
    let orders = explore(BOUND, || {
        let log = log(Origin::Copied);
        let reader = follow(&log, Seq::ZERO);
        let copier = copy(&log);
        add(&log, &["a", "b"], false);
        add(&log, &["end"], true);
        copier.join().unwrap();
        assert_eq!(reader.join().unwrap(), whole());
    });
    assert!(orders > 100, "only {orders} orders");
}

#[test]
fn who_catches_up_in_pages_is_woken_by_what_comes() {
    let orders = explore(BOUND, || {
        let log = log(Origin::Elsewhere(Shared::with(&BLOCKS, true)));
        add(&log, &BLOCKS[..4], false);
        log.forget_all_but(1, usize::MAX);
        let reader = follow(&log, Seq(1));
        add(&log, &BLOCKS[4..6], false);
        log.forget_all_but(1, usize::MAX);
        add(&log, &BLOCKS[6..], true);
        assert_eq!(reader.join().unwrap(), elsewhere::whole()[1..]);
    });
    assert!(orders > 10, "only {orders} orders");
}

#[test]
fn a_stop_reaches_the_generation_and_the_first_one_counts() {
    explore(ALL, || {
        let log = log(Origin::Here);
        let producer = {
            let log = Arc::clone(&log);
            thread::spawn(move || block_on(log.stop_requested()))
        };
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.request_stop(StopRequest::Shutdown))
        };
        log.request_stop(StopRequest::Viewer);
        let request = producer.join().unwrap();
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
        let log = log(Origin::Copied);
        add(&log, &["a"], false);
        log.deliver(Seq(1));
        let reader = follow(&log, Seq::ZERO);
        let producer = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                add(&log, &["never stored"], false);
                block_on(log.stop_requested())
            })
        };
        assert!(log.cut(Seq(1), bytes("lost")));
        assert_eq!(
            reader.join().unwrap(),
            [block(1, "a", false), block(2, "lost", true)]
        );
        assert_eq!(producer.join().unwrap(), StopRequest::Lost);
    });
}

#[test]
fn a_log_that_vanishes_lets_every_reader_go() {
    explore(BOUND, || {
        let log = log(Origin::Here);
        let readers = [follow(&log, Seq::ZERO), follow(&log, Seq(1))];
        add(&log, &["a"], false);
        log.vanish();
        for reader in readers {
            assert!(reader.join().unwrap().len() <= 1);
        }
    });
}
