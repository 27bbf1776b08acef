//! The heartbeat of this replica, twice a second: it renews the lease, executes the requests of the
//! inbox, tells leaders which of their replies have readers here, and detects lost leaders.
//!
//! A leader is lost if its lease was missing for a whole [`LEASE_TTL`] in which every heartbeat
//! succeeded, on a connection that is twice that old: Redis loses all leases when it restarts empty,
//! and every live replica needs a moment to reconnect.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use log::warn;
use redis::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    commands::{self, LEASE_TTL},
    connection::{Connection, Redis},
    error::RedisError,
    failover::{self, Cause},
    follower::{Follower, Followers},
    inbox::{self, InboxRequest, REQUESTS_LIMIT},
    pipeline::{Lifetimes, pipeline},
    pubsub::PubSub,
};
use crate::store::{local_log::StopRequest, memory::Memory};

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// How long Redis may refuse commands before the replies followed here are ended. A failover of Redis,
/// or a short shortage of its memory, takes less.
const REFUSED_TIMEOUT: Duration = LEASE_TTL.saturating_mul(5);

/// What the heartbeat works with.
pub(super) struct Heartbeat {
    pub(super) redis: Arc<Redis>,
    pub(super) memory: Memory,
    pub(super) pubsub: Arc<PubSub>,
    pub(super) followers: Arc<Followers>,
    pub(super) lifetimes: Lifetimes,
}

/// The state between two beats.
#[derive(Default)]
struct Seen {
    /// Since when the lease of each leader is missing.
    missing_leases: HashMap<String, Instant>,
    /// The number of executed requests at the beginning of the inbox.
    done: usize,
    /// When the lease was last renewed, and on which connection.
    renewed: Option<(u64, Instant)>,
}

impl Heartbeat {
    /// Beats for as long as it is polled.
    pub(super) async fn run(self) {
        let mut seen = Seen::default();
        let mut tick = interval(HEARTBEAT_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.pubsub.inbox() => {}
            }
            let beat = match self.redis.connection() {
                Ok(connection) => self.beat(&connection, &mut seen).await,
                Err(error) => Err(error),
            };
            if beat.is_err() {
                seen = Seen::default();
                // It is unknown whether they have readers on other replicas.
                for log in self.memory.running_logs() {
                    log.mark_read();
                }
                if self.redis.refused_for() >= Some(REFUSED_TIMEOUT) {
                    for follower in self.followers.all() {
                        self.fail_over(follower, Cause::RedisRefuses);
                    }
                }
            }
        }
    }

    async fn beat(&self, connection: &Connection, seen: &mut Seen) -> Result<(), RedisError> {
        let followers = self.followers.all();
        let mut read_marks: HashMap<&str, Vec<InboxRequest>> = HashMap::new();
        for follower in &followers {
            let marks = read_marks.entry(follower.leader()).or_default();
            marks.extend(follower.read_mark());
        }
        let leaders: Vec<(&str, Vec<InboxRequest>)> = read_marks.into_iter().collect();

        let mut pipe = pipeline();
        let replica = self.redis.replica();
        commands::renew_lease(&mut pipe, replica);
        // If this beat fails, they may not be removed, and are executed again; that is harmless.
        inbox::read(&mut pipe, replica, std::mem::take(&mut seen.done));
        for (leader, _) in &leaders {
            commands::is_leased(&mut pipe, leader);
        }
        for (leader, marks) in &leaders {
            if !marks.is_empty() {
                inbox::send(&mut pipe, leader, marks.iter().copied(), LEASE_TTL);
            }
        }
        let mut answers = self.redis.ask(connection, &pipe).await?.into_iter();

        let lease = answers.next();
        let renewed = seen.renewed.replace((connection.epoch, Instant::now()));
        if lease == Some(Value::Nil)
            && let Some((epoch, when)) = renewed
            && epoch == connection.epoch
            && when.elapsed() < LEASE_TTL / 2
        {
            // The lease was renewed a moment ago, so all keys were removed.
            self.redis.mark_emptied(connection);
            return Ok(());
        }
        self.read_inbox(connection, answers.nth(1), seen).await;
        self.find_lost(connection, &followers, leaders.iter().zip(answers), seen);
        Ok(())
    }

    async fn read_inbox(&self, connection: &Connection, answer: Option<Value>, seen: &mut Seen) {
        match inbox::requests(answer.unwrap_or(Value::Nil)) {
            Ok(requests) => {
                seen.done = requests.len();
                for request in requests.into_iter().flatten() {
                    self.apply(request);
                }
                if seen.done == REQUESTS_LIMIT {
                    self.pubsub.ring_inbox();
                }
            }
            Err(_) => {
                warn!("the inbox of this replica has the wrong type and is cleared");
                let clear = inbox::clear(self.redis.replica());
                let _ = self.redis.ask(connection, &clear).await;
            }
        }
    }

    fn apply(&self, request: InboxRequest) {
        let (InboxRequest::Stop(id) | InboxRequest::Read(id)) = request;
        let Some(log) = self.memory.find(id) else {
            return;
        };
        match request {
            InboxRequest::Stop(_) => log.request_stop(StopRequest::Viewer),
            InboxRequest::Read(_) => log.mark_read(),
        }
    }

    /// Fails over the replies whose leader is lost.
    fn find_lost<'a>(
        &self,
        connection: &Connection,
        followers: &'a [Arc<Follower>],
        leases: impl Iterator<Item = (&'a (&'a str, Vec<InboxRequest>), Value)>,
        seen: &mut Seen,
    ) {
        let mut missing = HashMap::new();
        for ((leader, _), lease) in leases {
            if lease == Value::Int(1) {
                continue;
            }
            let since = match seen.missing_leases.entry((*leader).to_owned()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(_) => Instant::now(),
            };
            missing.insert((*leader).to_owned(), since);
        }
        seen.missing_leases = missing;
        if connection.since.elapsed() < 2 * LEASE_TTL {
            return;
        }
        for follower in followers {
            let since = seen.missing_leases.get(follower.leader());
            if since.is_some_and(|since| since.elapsed() >= LEASE_TTL) {
                self.fail_over(Arc::clone(follower), Cause::LeaderLost);
            }
        }
    }

    fn fail_over(&self, follower: Arc<Follower>, cause: Cause) {
        // Otherwise a task does so already.
        if let Ok(guard) = Arc::clone(&follower.failover).try_lock_owned() {
            let (redis, lifetimes) = (Arc::clone(&self.redis), self.lifetimes);
            let pubsub = Arc::clone(&self.pubsub);
            tokio::spawn(async move {
                failover::fail_over(&redis, &lifetimes, &follower, cause).await;
                pubsub.interrupt(follower.log().id());
                drop(guard);
            });
        }
    }
}
