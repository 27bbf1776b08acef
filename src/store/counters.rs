//! Sums that all replicas share, each for some time: what callers have used of a limit.
//!
//! With replication they are in Redis, and this process knows the sums that it saw last, so that it can
//! store them again if Redis loses them. Otherwise they are in this process's memory. What is counted is not
//! known here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The most sums in memory. Stops a client with a million addresses from filling it: the sums that end
/// first are dropped.
const COUNTERS_LIMIT: usize = 100_000;

/// A sum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Tells it from all others, also from that of another day.
    pub name: String,
    /// How long it is kept after it was first added to.
    pub ttl: Duration,
}

/// The sums that this process knows. A handle that is cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Mutex<HashMap<String, Sum>>>);

#[derive(Clone, Copy, Debug)]
struct Sum {
    value: i64,
    ends: Instant,
}

impl Counters {
    /// Adds to sums; gives the new ones.
    pub(super) fn add(&self, amounts: &[(Counter, i64)]) -> Vec<i64> {
        let mut sums = self.0.lock();
        let now = Instant::now();
        amounts
            .iter()
            .map(|(counter, amount)| {
                let sum = entry(&mut sums, counter, now);
                sum.value = sum.value.saturating_add(*amount);
                sum.value
            })
            .collect()
    }

    /// The sum as it is known here.
    pub(super) fn known(&self, counter: &Counter) -> i64 {
        let sums = self.0.lock();
        let sum = sums.get(&counter.name);
        sum.filter(|sum| sum.ends > Instant::now())
            .map_or(0, |sum| sum.value)
    }

    /// Notes the sum that Redis has.
    pub(super) fn learn(&self, counter: &Counter, value: i64) {
        entry(&mut self.0.lock(), counter, Instant::now()).value = value;
    }
}

/// The sum of a counter, from 0 if there is none. Makes room for it.
fn entry<'a>(sums: &'a mut HashMap<String, Sum>, counter: &Counter, now: Instant) -> &'a mut Sum {
    if sums.len() >= COUNTERS_LIMIT && !sums.contains_key(&counter.name) {
        sums.retain(|_, sum| sum.ends > now);
        if sums.len() >= COUNTERS_LIMIT {
            let mut ends: Vec<Instant> = sums.values().map(|sum| sum.ends).collect();
            let tenth = ends.len() / 10;
            let (_, last, _) = ends.select_nth_unstable(tenth);
            let last = *last;
            sums.retain(|_, sum| sum.ends > last);
        }
    }
    let fresh = Sum {
        value: 0,
        ends: now + counter.ttl,
    };
    let sum = sums.entry(counter.name.clone()).or_insert(fresh);
    if sum.ends <= now {
        *sum = fresh;
    }
    sum
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn counter(name: &str, seconds: u64) -> Counter {
        Counter {
            name: name.to_owned(),
            ttl: Duration::from_secs(seconds),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sum_grows_and_shrinks_until_its_time_is_over() {
        let counters = Counters::default();
        let (day, all) = (counter("day", 10), counter("all", 20));
        let sums = counters.add(&[(day.clone(), 5), (all.clone(), 7)]);
        assert_eq!(sums, [5, 7]);
        advance(Duration::from_secs(9)).await;
        assert_eq!(counters.add(&[(day.clone(), -2)]), [3]);
        assert_eq!(counters.known(&day), 3);
        advance(Duration::from_secs(1)).await;
        assert_eq!((counters.known(&day), counters.known(&all)), (0, 7));
        assert_eq!(counters.add(&[(day, 1)]), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_sums_that_end_first_make_room() {
        let counters = Counters::default();
        let day = counter("day", 86_400);
        counters.add(&[(day.clone(), 5)]);
        for number in 0..COUNTERS_LIMIT + 1000 {
            counters.add(&[(counter(&format!("{number}"), 60), 1)]);
            if number % 10_000 == 0 {
                advance(Duration::from_millis(1)).await;
            }
        }
        assert!(counters.0.lock().len() <= COUNTERS_LIMIT);
        assert_eq!(counters.known(&day), 5);
    }
}
