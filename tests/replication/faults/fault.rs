//! The sixteen faults: what each does to a cluster, and what must be left of the promise.
//!
//! Those of single viewers are habits; those of a process, of Redis or of upstream strike all replies
//! that run at that moment, each at an event of its own.

use std::time::Duration;

use rand::RngExt as _;
use rasta_stream::simulator::Scenario;
use tokio::time::sleep;

use super::{
    cluster::{Cluster, Plan},
    history::Promise,
    viewer::Habits,
};
use crate::support::{
    proxy::{Cut, Effect, Way, Which},
    redis::Redis,
    replica::Ended,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ViewerReset,
    ViewerHalfOpen,
    ViewerHops,
    ViewerSlow,
    ViewersReplicaKilled,
    LeaderKilled,
    LeaderTerminated,
    LeaderFrozen,
    RedisEmptied,
    RedisClientsKilled,
    RedisPaused,
    RedisFailsOver,
    SubscriberSilent,
    UpstreamFails,
    StoppedElsewhere,
    AroundTheCreate,
}

use Fault::*;

impl Fault {
    pub const ALL: [Self; 16] = [
        ViewerReset,
        ViewerHalfOpen,
        ViewerHops,
        ViewerSlow,
        ViewersReplicaKilled,
        LeaderKilled,
        LeaderTerminated,
        LeaderFrozen,
        RedisEmptied,
        RedisClientsKilled,
        RedisPaused,
        RedisFailsOver,
        SubscriberSilent,
        UpstreamFails,
        StoppedElsewhere,
        AroundTheCreate,
    ];

    pub fn number(self) -> usize {
        self as usize + 1
    }

    pub fn name(self) -> &'static str {
        match self {
            ViewerReset => "viewers reset their connections inside an event",
            ViewerHalfOpen => "viewers' connections go silent and stay open",
            ViewerHops => "viewers move to another replica at each event",
            ViewerSlow => "viewers read 1 KB a second",
            ViewersReplicaKilled => "kill -9 of a replica with viewers",
            LeaderKilled => "kill -9 of the leader",
            LeaderTerminated => "SIGTERM to the leader",
            LeaderFrozen => "SIGSTOP to the leader, CONT after 7 s",
            RedisEmptied => "kill -9 of Redis, empty restart",
            RedisClientsKilled => "CLIENT KILL of all connections to Redis",
            RedisPaused => "CLIENT PAUSE of 3 s",
            RedisFailsOver => "fail-over to a stale copy of Redis",
            SubscriberSilent => "only the subscribers' connections go silent",
            UpstreamFails => "upstream is cut, stalls, or answers 429 first",
            StoppedElsewhere => "DELETE on another replica",
            AroundTheCreate => "GET before, during and after the POST, and after the time to live",
        }
    }

    /// Whether it hits a process or Redis at one moment, and so the replies that run at that moment. The
    /// other faults are habits of each viewer, or happen to each reply by itself.
    pub fn strikes(self) -> bool {
        (ViewersReplicaKilled.number()..=SubscriberSilent.number()).contains(&self.number())
    }

    /// How many forms it has; a batch of replies meets one of them.
    pub fn variants(self) -> usize {
        match self {
            ViewerHalfOpen | SubscriberSilent | StoppedElsewhere => 2,
            UpstreamFails => 3,
            _ => 1,
        }
    }

    pub fn promise(self, variant: usize) -> Promise {
        match (self, variant) {
            (LeaderKilled | LeaderFrozen, _) => Promise::Prefix(&["failed/producer_lost"]),
            (UpstreamFails, 0) => Promise::Prefix(&[
                "failed/upstream_truncated",
                "failed/upstream_unavailable",
                "failed/upstream_protocol",
            ]),
            (UpstreamFails, 1) => {
                Promise::Prefix(&["failed/upstream_stalled", "failed/upstream_timeout"])
            }
            // Every other request is refused, whose it is being chance: one reply may have it each time.
            (UpstreamFails, _) => Promise::Prefix(&["failed/rate_limited"]),
            (StoppedElsewhere, _) => Promise::Prefix(&["stopped/viewer"]),
            _ => Promise::Whole,
        }
    }

    pub fn plan(self, variant: usize) -> Plan {
        let scenario = (self == UpstreamFails && variant == 2).then_some(Scenario::Busy);
        let settings: &[(&str, &str)] = match (self, variant) {
            (UpstreamFails, 1) => &[
                ("FIRST_BYTE_SECONDS", "1.5"),
                ("FIRST_DELTA_SECONDS", "1.5"),
                ("STALL_SECONDS", "1.5"),
            ],
            (AroundTheCreate, _) => &[("RETENTION_SECONDS", "4")],
            _ => &[],
        };
        let plain = Plan::default();
        // Without a message a stop takes its time, and the reply must still run then.
        let slowly = (self, variant) == (StoppedElsewhere, 1);
        Plan {
            scenario,
            settings,
            beat: if slowly { plain.beat * 15 } else { plain.beat },
            ..plain
        }
    }

    /// How a viewer behaves. Where the fault is not the viewers' own, one of them wanders.
    pub fn habits(self, variant: usize, viewer: usize) -> Habits {
        let mut habits = Habits::default();
        match (self, variant) {
            (ViewerReset, _) => habits.resets = Some((0, 6)),
            // Silent from this side, or (below) by the network in between.
            (ViewerHalfOpen, _) => habits.leaves_after = Some(Duration::from_millis(500)),
            (ViewerHops, _) => habits.hops = Some((1, 1)),
            (ViewerSlow, _) => habits.rate = Some(1000),
            _ if viewer == 3 => habits.hops = Some((5, 15)),
            _ => {}
        }
        habits
    }

    /// The replica that gets a run's POST.
    pub fn home(self, run: usize) -> usize {
        match self {
            LeaderKilled | LeaderTerminated | LeaderFrozen => 0,
            ViewersReplicaKilled => 1 + run % 2,
            _ => run,
        }
    }

    /// What must be there before the first reply.
    pub async fn prepare(self, variant: usize, cluster: &Cluster) -> Option<Redis> {
        if self == UpstreamFails && variant == 0 {
            // A reply is about 6 KB on this wire.
            let how = if rand::random() { Cut::Fin } else { Cut::Reset };
            cluster
                .upstream
                .set(Which::All, Effect::CutWithin(Way::Down, 8000, how));
        }
        if self != RedisFailsOver {
            return None;
        }
        let copy = Redis::start().await;
        copy.follow(cluster.redis()).await;
        Some(copy)
    }

    /// Strikes.
    pub async fn strike(self, variant: usize, cluster: &mut Cluster, copy: Option<Redis>) {
        let moment = |most: u64| sleep(Duration::from_millis(rand::rng().random_range(0..=most)));
        match (self, variant) {
            (ViewerHalfOpen, 1) => {
                for door in &cluster.doors {
                    door.set_for_present(Which::All, Effect::Hold(Way::Down));
                    door.set_for_present(Which::All, Effect::Hold(Way::Up));
                }
            }
            (ViewersReplicaKilled | LeaderKilled, _) => cluster.replicas[0].kill(),
            (LeaderTerminated, _) => cluster.replicas[0].terminate(),
            (LeaderFrozen, _) => {
                cluster.replicas[0].freeze();
                sleep(Duration::from_secs(7)).await;
                cluster.replicas[0].thaw();
            }
            (RedisEmptied, _) => {
                let redis = cluster.redis.as_mut().expect("the plan has no Redis");
                redis.kill();
                moment(500).await;
                redis.restart().await;
            }
            (RedisClientsKilled, _) => {
                for _ in 0..3 {
                    for kind in ["normal", "pubsub"] {
                        let words = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
                        cluster.redis().command(&words).await;
                    }
                    moment(100).await;
                }
            }
            (RedisPaused, _) => {
                cluster
                    .redis()
                    .command(&["CLIENT", "PAUSE", "3000", "ALL"])
                    .await;
            }
            (RedisFailsOver, _) => {
                let copy = copy.expect("the fault was prepared");
                copy.promote().await;
                // What is acknowledged in this time is lost with the first one.
                moment(100).await;
                cluster.wire().aim(copy.addr());
                cluster.wire().cut(Which::All, Cut::Reset);
                cluster.redis = Some(copy);
            }
            (SubscriberSilent, 0) => {
                for way in [Way::Up, Way::Down] {
                    let effect = Effect::Hold(way);
                    cluster
                        .wire()
                        .set_for_present(Which::Sent("SUBSCRIBE"), effect);
                }
            }
            (SubscriberSilent | StoppedElsewhere, 1) => {
                for way in [Way::Up, Way::Down] {
                    cluster
                        .wire()
                        .set(Which::Sent("SUBSCRIBE"), Effect::Hold(way));
                }
                sleep(Duration::from_secs(5)).await;
                cluster.wire().lift();
            }
            (UpstreamFails, 1) => {
                cluster.upstream.set(Which::All, Effect::Hold(Way::Down));
                sleep(Duration::from_secs(4)).await;
                cluster.upstream.lift();
            }
            _ => {}
        }
    }

    /// What must be true of the processes once all viewers are gone.
    pub async fn aftermath(self, cluster: &Cluster) -> Vec<String> {
        let mut wrongs = Vec::new();
        if self == LeaderTerminated {
            let ended = cluster.replicas[0].ended().await;
            if ended != Ended::Code(0) {
                wrongs.push(format!("the drained replica ended with {ended:?}"));
            }
        }
        for (number, replica) in cluster.replicas.iter().enumerate() {
            let log = replica.log();
            for word in ["panicked", "canary-key-5f1c", "Sing of the river"] {
                if let Some(line) = log.lines().find(|line| line.contains(word)) {
                    wrongs.push(format!("replica {number} logged {word:?}: {line}"));
                }
            }
        }
        wrongs
    }
}
