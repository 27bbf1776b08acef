//! What the program holds, and whether that is flat.
//!
//! **Flat** means, over all rests after the first period, which is the warm-up:
//!
//! 1. no reply is left that should have been evicted;
//! 2. descriptors, threads and keys in Redis are no more than at the start, and [`SPARE`] for each process:
//!    connections to Redis that are opened once and kept;
//! 3. memory in the last quarter of the rests is at most [`GROWTH`] times that in the second quarter, or a little
//!    more than it: [`GROWTH_MIB`] for each process.
//!
//! Allocators and tables grow to their sizes in the first thousands of visits. A short run is over before that, so
//! it may grow by [`WARM_UP_MIB`] for each process: it finds a log that is left behind, and no small leak.

use std::{fmt, fs, time::Duration};

use super::visits::Tally;
use crate::{
    soak::usage::{descriptors, memory, threads},
    support::{
        client,
        redis::{Answer, Redis},
        replica::Replica,
    },
};

/// What each process may open once and keep.
const SPARE: usize = 8;
const GROWTH: f64 = 1.05;
const GROWTH_MIB: f64 = 2.0;
const WARM_UP_MIB: f64 = 12.0;
/// A run with fewer rests is short.
const LONG_RESTS: usize = 10;

/// What all replicas hold together at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    replicas: usize,
    memory: f64,
    peak: f64,
    descriptors: usize,
    threads: usize,
    /// How many of the newest replies can still be read.
    stored: usize,
    redis: Option<RedisFigures>,
}

#[derive(Clone, Copy, Debug)]
struct RedisFigures {
    keys: usize,
    connections: usize,
    mib: f64,
}

impl Figures {
    pub async fn of(replicas: &[Replica], redis: Option<&Redis>, tally: &Tally) -> Self {
        let memory: Vec<_> = replicas.iter().map(memory).collect();
        let mut stored = 0;
        for (door, path) in tally.newest() {
            let response = client::send(door, "GET", &path, &[], None).await;
            stored += usize::from(response.status == 200);
        }
        Self {
            replicas: replicas.len(),
            memory: memory.iter().map(|memory| memory.now).sum(),
            peak: memory.iter().map(|memory| memory.peak).sum(),
            descriptors: replicas.iter().map(descriptors).sum(),
            threads: replicas.iter().map(threads).sum(),
            stored,
            redis: match redis {
                Some(redis) => Some(RedisFigures::of(redis).await),
                None => None,
            },
        }
    }

    /// Whether no count says that something is held which was not held at the start.
    pub fn are_at_rest(&self, start: &Self) -> bool {
        let spare = SPARE * self.replicas;
        let keys = |figures: &Self| figures.redis.map_or(0, |redis| redis.keys);
        self.stored == 0
            && self.descriptors <= start.descriptors + spare
            && self.threads <= start.threads + spare
            && keys(self) <= keys(start) + spare
    }
}

impl RedisFigures {
    async fn of(redis: &Redis) -> Self {
        let keys = match redis.command(&["DBSIZE"]).await {
            Answer::Number(keys) => usize::try_from(keys).unwrap(),
            other => panic!("DBSIZE answered {other:?}"),
        };
        let (clients, used) = (redis.info("clients").await, redis.info("memory").await);
        let number = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse::<usize>().unwrap()
        };
        Self {
            keys,
            connections: number(&clients, "connected_clients:"),
            mib: number(&used, "used_memory:") as f64 / f64::from(1 << 20),
        }
    }
}

/// The figures of one rest.
pub struct Row {
    at: Duration,
    pub figures: Figures,
}

pub fn print_head(store: &str) {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "\nSoak with replies in {store}; load of the machine: {}",
        load.trim()
    );
    println!(
        "| s | visits | RSS MiB | peak MiB | descriptors | threads | replies kept | Redis keys | \
         Redis connections | Redis MiB |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
}

impl Row {
    pub fn new(at: Duration, figures: Figures) -> Self {
        Self { at, figures }
    }

    pub fn print(&self, tally: &Tally) {
        let Figures {
            memory,
            peak,
            descriptors,
            threads,
            stored,
            redis,
            ..
        } = self.figures;
        let redis = redis.map_or("- | - | -".to_owned(), |redis| {
            format!("{} | {} | {:.2}", redis.keys, redis.connections, redis.mib)
        });
        println!(
            "| {} | {} | {memory:.1} | {peak:.1} | {descriptors} | {threads} | {stored} | {redis} |",
            self.at.as_secs(),
            tally.visits(),
        );
    }
}

/// Whether the figures were flat, and why not.
pub struct Verdict {
    memory: (f64, f64),
    visits: usize,
    objections: Vec<String>,
}

/// Applies the rule. The first row is from before the first period.
pub fn judge(rows: &[Row], visits: usize) -> Verdict {
    let (start, rests) = rows.split_first().expect("there is a first row");
    let mut objections = Vec::new();
    for row in rests {
        if !row.figures.are_at_rest(&start.figures) {
            objections.push(format!("not at rest after {} s", row.at.as_secs()));
        }
    }
    let quarter = rests.len().div_ceil(4);
    let mean =
        |rows: &[Row]| rows.iter().map(|row| row.figures.memory).sum::<f64>() / rows.len() as f64;
    let memory = (
        mean(&rests[quarter..2 * quarter]),
        mean(&rests[rests.len() - quarter..]),
    );
    let each = if rests.len() < LONG_RESTS {
        WARM_UP_MIB
    } else {
        GROWTH_MIB
    };
    let more = each * start.figures.replicas as f64;
    if memory.1 > (memory.0 * GROWTH).max(memory.0 + more) {
        objections.push("memory grows".to_owned());
    }
    Verdict {
        memory,
        visits,
        objections,
    }
}

impl Verdict {
    pub fn is_flat(&self) -> bool {
        self.objections.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.memory;
        let word = if self.is_flat() { "flat" } else { "NOT flat" };
        write!(
            f,
            "{word}: memory at rest was {before:.1} MiB in the second quarter and {after:.1} MiB in the last one, \
             after {} visits",
            self.visits
        )?;
        for objection in &self.objections {
            write!(f, "; {objection}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(memory: f64, descriptors: usize, stored: usize) -> Row {
        Row::new(
            Duration::ZERO,
            Figures {
                replicas: 1,
                memory,
                peak: memory,
                descriptors,
                threads: 5,
                stored,
                redis: None,
            },
        )
    }

    fn flat(rows: &[(f64, usize, usize)]) -> bool {
        let rows: Vec<Row> = rows.iter().map(|&(m, d, s)| row(m, d, s)).collect();
        judge(&rows, 0).is_flat()
    }

    /// A long run whose memory is `first` up to the second quarter, and `last` in the last one.
    fn long(first: f64, last: f64) -> bool {
        let row = |index| (if index <= 6 { first } else { last }, 20, 0);
        flat(&(0..=12).map(row).collect::<Vec<_>>())
    }

    #[test]
    fn memory_of_a_long_run_may_grow_in_the_warm_up_only() {
        assert!(long(40.0, 40.0) && long(40.0, 42.0) && long(100.0, 105.0));
        assert!(!long(40.0, 42.1) && !long(100.0, 105.1));
    }

    #[test]
    fn memory_of_a_short_run_may_grow_by_what_a_warm_up_takes() {
        let run = |last| flat(&[(10.0, 20, 0), (30.0, 20, 0), (40.0, 20, 0), (last, 20, 0)]);
        assert!(run(40.0 + WARM_UP_MIB));
        assert!(!run(40.1 + WARM_UP_MIB));
    }

    #[test]
    fn descriptors_and_replies_that_are_left_are_not_flat() {
        let row = (10.0, 20, 0);
        assert!(flat(&[row, row, (10.0, 20 + SPARE, 0), row, row]));
        assert!(!flat(&[row, row, (10.0, 21 + SPARE, 0), row, row]));
        assert!(!flat(&[row, row, (10.0, 20, 1), row, row]));
    }
}
