//! What every store must do, whatever it keeps replies in: random schedules of one reply that is
//! written, read by up to four viewers that come and go, stopped, ended and evicted, against a
//! model that knows what each viewer must get.
//!
//! A store is given as the handles of its replicas: the operation number k goes to handle k mod n.
//! To check a store that replicas share, make its handles and call [`every_schedule_holds`].

mod listener;
mod model;
mod run;
mod schedule;
mod viewer;

use std::{
    cell::Cell,
    ops::Add,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rasta_stream::{
    event::Padding,
    store::{self, Store},
};

use crate::support::{client::DEADLINE, redis::Redis};
use run::run;
use schedule::schedules;

const RETENTION: Duration = Duration::from_secs(60);
const MAX_REPLIES: usize = 3;

/// The handles of one store, one a replica.
pub struct Replicas {
    stores: Vec<Store>,
    shared: bool,
}

impl Replicas {
    /// Handles of a store that replicas share. Its config: no pad, and room and retention for every
    /// schedule that is run on it. What is true of it becomes true under a deadline.
    pub fn shared(stores: Vec<Store>) -> Self {
        Self {
            stores,
            shared: true,
        }
    }

    /// A store in memory, new for each schedule, on paused time. What is true of it is true at once.
    fn in_memory() -> Self {
        let store = Store::in_memory(store::Options {
            max_replies: MAX_REPLIES,
            max_running: usize::MAX,
            retention: RETENTION,
            padding: Padding::Off,
        });
        Self {
            stores: vec![store.clone(), store.clone(), store],
            shared: false,
        }
    }
}

/// What does not hold is told in words.
type Held<T = ()> = Result<T, String>;

macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!($($what)+));
        }
    };
}
use ensure;

/// Awaits what must be so at once, or, where the store is shared, under a deadline.
async fn due<T>(replicas: &Replicas, what: &str, future: impl Future<Output = T>) -> Held<T> {
    let done = if replicas.shared {
        tokio::time::timeout(DEADLINE, future).await.ok()
    } else {
        future.now_or_never()
    };
    done.ok_or_else(|| format!("waited in vain for {what}"))
}

/// How often it came to what is to be tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub schedules: u64,
    pub events: u64,
    pub wakeups: u64,
    pub reconnects: u64,
    pub ahead: u64,
    pub stops: u64,
    pub evicted: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            schedules: self.schedules + other.schedules,
            events: self.events + other.events,
            wakeups: self.wakeups + other.wakeups,
            reconnects: self.reconnects + other.reconnects,
            ahead: self.ahead + other.ahead,
            stops: self.stops + other.stops,
            evicted: self.evicted + other.evicted,
        }
    }
}

fn runner(seed: u64, cases: u32) -> TestRunner {
    let bytes = [!seed, seed].map(u64::to_le_bytes).concat();
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // In the dev profile ChaCha would take more time than all the rest.
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    TestRunner::new_with_rng(config, rng)
}

/// The seed of the first run. The test command always takes the same ones; others are tried by
/// hand.
fn first_seed() -> u64 {
    match std::env::var("SCHEDULE_SEED") {
        Ok(seed) => seed.parse().expect("SCHEDULE_SEED is a number"),
        Err(_) => 0,
    }
}

/// Runs so many schedules of one seed, `at_once` of them at a time. One that fails is printed as it
/// is: on real time the same schedule need not fail again, so it cannot be made smaller.
pub async fn every_schedule_holds(replicas: &Replicas, seed: u64, cases: u32, at_once: usize) {
    let mut runner = runner(seed, cases);
    let strategy = schedules();
    let schedules = (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    stream::iter(schedules.enumerate())
        .map(|(number, schedule)| async move {
            if let Err(failure) = run(replicas, &schedule).await {
                panic!("seed {seed}, schedule {number}: {failure}\n{schedule:#?}");
            }
        })
        .buffer_unordered(at_once)
        .collect::<()>()
        .await;
}

#[test]
fn ten_thousand_schedules_hold_in_memory() {
    const SEEDS: u64 = 8;
    const CASES: u32 = 1250;

    let begun = Instant::now();
    let first = first_seed();
    let tally = Cell::new(Tally::default());
    for seed in first..first + SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runner(seed, CASES)
            .run(&schedules(), |schedule| {
                let replicas = Replicas::in_memory();
                let seen = runtime.block_on(run(&replicas, &schedule));
                tally.set(tally.get() + seen.map_err(TestCaseError::fail)?);
                Ok(())
            })
            .unwrap_or_else(|failure| panic!("SCHEDULE_SEED={seed}: {failure}"));
    }
    let tally = tally.get();
    println!("{tally:?} in {:?}", begun.elapsed());
    assert!(tally.schedules >= 10_000);
    // The schedules are of use only if they come to what is to be tried.
    assert!(tally.events > 50_000 && tally.wakeups > 2_000, "{tally:?}");
    assert!(tally.reconnects > 2_000 && tally.ahead > 1_000, "{tally:?}");
    assert!(tally.stops > 500 && tally.evicted > 500, "{tally:?}");
}

#[tokio::test]
async fn schedules_hold_on_handles_that_share_a_store() {
    let store = Store::in_memory(store::Options {
        max_replies: 1000,
        max_running: usize::MAX,
        retention: Duration::from_secs(3600),
        padding: Padding::Off,
    });
    let replicas = Replicas::shared(vec![store.clone(), store.clone(), store]);
    every_schedule_holds(&replicas, first_seed(), 200, 20).await;
}

#[tokio::test]
async fn schedules_hold_on_three_replicas_over_one_redis() {
    let redis = Redis::start().await;
    let config = store::ReplicationOptions {
        url: redis.url().into(),
        ca: None,
        max_reply: Duration::from_secs(600),
    };
    let mut stores = Vec::new();
    for _ in 0..3 {
        let store = store::Options {
            max_replies: 1000,
            max_running: usize::MAX,
            retention: Duration::from_secs(3600),
            padding: Padding::Off,
        };
        stores.push(Store::connect(store, &config).await.unwrap());
    }
    let begun = Instant::now();
    every_schedule_holds(&Replicas::shared(stores), first_seed(), 200, 20).await;
    println!("in {:?}", begun.elapsed());
}
