//! Twice a second: renews this replica's lease, looks for stops and readers of the replies that it
//! produces, makes its own readers known, and finds out which producers are lost.
//!
//! A producer is lost when its lease was absent for a whole lease's time in which Redis answered in
//! every round, on a connection that was up for twice that long: a restart of Redis takes away all
//! leases, and everybody alive needs a moment to come back.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use redis::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    LEASE, ROUND, Redis, commands,
    connection::{Connection, Trouble},
    failover,
    follower::Mirror,
};
use crate::store::local_log::{LocalLog, StopRequest};

/// How long a mark of readers is valid, and how soon it is renewed.
const MARK: Duration = Duration::from_secs(5);
const MARK_AGAIN: Duration = Duration::from_secs(2);
/// How many replies one command asks about. Bounds how long Redis is busy with one.
const AT_ONCE: usize = 256;

pub(super) async fn run(redis: Arc<Redis>) {
    let mut absent = HashMap::new();
    let mut tick = interval(ROUND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let running = redis.memory.running_logs();
        let asked = match redis.link.connection() {
            Some(connection) => round(&redis, &connection, &running, &mut absent).await,
            None => Err(Trouble),
        };
        if asked.is_err() {
            absent.clear();
            // Nobody can say whether they are read on other replicas.
            for log in &running {
                log.mark_read();
            }
        }
    }
}

async fn round(
    redis: &Arc<Redis>,
    connection: &Connection,
    running: &[Arc<LocalLog>],
    absent: &mut HashMap<String, Instant>,
) -> Result<(), Trouble> {
    let mirrors: Vec<Arc<Mirror>> = redis.mirrors.lock().values().cloned().collect();
    let owners: HashSet<&str> = mirrors.iter().map(|mirror| mirror.owner.as_str()).collect();
    let owners: Vec<&str> = owners.into_iter().collect();

    let mut pipe = commands::several();
    commands::renew(&mut pipe, &redis.replica, LEASE);
    for owner in &owners {
        commands::is_leased(&mut pipe, owner);
    }
    for logs in running.chunks(AT_ONCE) {
        let ids: Vec<_> = logs.iter().map(|log| log.id()).collect();
        commands::requests(&mut pipe, &ids);
    }
    for mirror in &mirrors {
        if mirror.to_be_marked(MARK_AGAIN) {
            commands::mark_read(&mut pipe, mirror.log().id(), MARK);
        }
    }
    let mut answers = redis.link.ask(connection, &pipe).await?.into_iter().skip(1);

    let now = Instant::now();
    for owner in owners {
        if matches!(answers.next(), Some(Value::Int(1))) {
            absent.remove(owner);
        } else {
            absent.entry(owner.to_owned()).or_insert(now);
        }
    }
    absent.retain(|owner, _| mirrors.iter().any(|mirror| mirror.owner == *owner));
    for logs in running.chunks(AT_ONCE) {
        if let Some(Value::Array(values)) = answers.next() {
            heed(logs, &values);
        }
    }
    if connection.since.elapsed() >= 2 * LEASE {
        for mirror in mirrors {
            let since = absent.get(&mirror.owner);
            if since.is_some_and(|since| since.elapsed() >= LEASE) && mirror.begin_finish() {
                redis
                    .runtime
                    .spawn(failover::finish(Arc::clone(redis), mirror));
            }
        }
    }
    Ok(())
}

/// Does what others want: `values` are a stop and a mark of readers for each of the logs.
fn heed(logs: &[Arc<LocalLog>], values: &[Value]) {
    for (log, values) in logs.iter().zip(values.chunks(2)) {
        let there = |index: usize| matches!(values.get(index), Some(Value::BulkString(_)));
        if there(0) {
            log.request_stop(StopRequest::Viewer);
        }
        if there(1) {
            log.mark_read();
        }
    }
}
