//! What one event costs in processor time, in memory, and in commands to Redis: with replies in memory,
//! with replies in Redis, and with all viewers on a follower. Time is measured and not judged. Memory is
//! judged, and that a follower which is up to date reads nothing. For figures to quote:
//!
//! ```console
//! $ cargo build --release --locked
//! $ STORM_SECONDS=10 REPLICA_PROGRAM=$PWD/target/release/rasta-stream \
//!     cargo test --locked --test api what_an_event_costs -- --nocapture
//! ```

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rasta_stream::simulator::Scenario;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::sleep};

use super::{
    crowd::{Script, Stage, knock, newest, start, stop},
    usage::{memory, processor},
};
use crate::support::{redis::Answer, replica::Replica};

const REPLIES: usize = 100;
/// How often each reply gets a delta.
const BEAT: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_secs(1);
/// What Redis may use for a reply: so many times the bytes of its events, and so many bytes besides.
const STORED: (f64, f64) = (1.5, 8192.0);

/// How often a follower may read for each event. It reads only what it missed: none, except where this
/// machine is so busy that its notifications overflow.
const READS: f64 = 0.01;

/// What one arrangement used.
struct Cost {
    name: &'static str,
    events: u64,
    seconds: f64,
    leader: f64,
    follower: Option<f64>,
    redis: Option<f64>,
    /// The commands that Redis was sent, and how many of them are a follower's reads.
    commands: Option<(u64, u64)>,
    /// Redis's memory for a reply, and the bytes of its events.
    stored: Option<(u64, u64)>,
    memory: f64,
}

#[actix_web::test]
async fn what_an_event_costs() {
    let seconds = std::env::var("STORM_SECONDS").map_or(1.5, |text| text.parse().unwrap());
    let time = Duration::from_secs_f64(seconds);
    let costs = [
        measure("memory", false, false, time).await,
        measure("Redis", true, false, time).await,
        measure("Redis, viewers on a follower", true, true, time).await,
    ];
    print(&costs);
    for cost in &costs {
        let Cost { name, events, .. } = cost;
        assert!(*events >= REPLIES as u64, "{name}: {events}");
        if let Some((used, payload)) = cost.stored {
            assert!(
                used as f64 <= STORED.0 * payload as f64 + STORED.1,
                "{used} B for {payload} B"
            );
        }
        if let Some((_, reads)) = cost.commands {
            assert!(
                reads as f64 <= READS * *events as f64,
                "{name}: {reads} reads for {events} events"
            );
        }
    }
}

fn print(costs: &[Cost]) {
    let per_event = |seconds: f64, cost: &Cost| seconds * 1e6 / cost.events as f64;
    let base = per_event(costs[0].leader, &costs[0]);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("\nLoad of the machine: {}", load.trim());
    println!(
        "| store | events/s | leader µs/event | against memory | follower µs/event | \
         Redis µs/event | commands/event | follower reads/event | Redis memory of a reply | leader MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for cost in costs {
        let some = |seconds: Option<f64>| {
            seconds.map_or("-".to_owned(), |seconds| {
                format!("{:.1}", per_event(seconds, cost))
            })
        };
        let stored = cost.stored.map_or("-".to_owned(), |(used, payload)| {
            let times = used as f64 / payload as f64;
            format!("{used} B for {payload} B: {times:.2}x")
        });
        let commands = cost.commands.map_or("- | -".to_owned(), |(all, reads)| {
            let per_event = |calls: u64| calls as f64 / cost.events as f64;
            format!("{:.2} | {:.4} ({reads})", per_event(all), per_event(reads))
        });
        println!(
            "| {} | {:.0} | {:.1} | {:.2}x | {} | {} | {commands} | {stored} | {:.0} |",
            cost.name,
            cost.events as f64 / cost.seconds,
            per_event(cost.leader, cost),
            per_event(cost.leader, cost) / base,
            some(cost.follower),
            some(cost.redis),
            cost.memory,
        );
    }
}

/// Runs a steady load, with one viewer for each reply.
async fn measure(name: &'static str, shared: bool, elsewhere: bool, time: Duration) -> Cost {
    let stage = Stage::set(Some(Scenario::Endless)).await;
    let leader = stage.replica(shared).await;
    let follower = match elsewhere {
        true => Some(stage.replica(shared).await),
        false => None,
    };
    let mut paths = Vec::new();
    for number in 0..REPLIES {
        paths.push(start(leader.addr(), &format!("river {number}")).await);
    }
    let door = follower.as_ref().unwrap_or(&leader).addr();
    let mut viewers = Vec::new();
    for path in &paths {
        let stream = knock(door, path, 0).await.unwrap();
        viewers.push(tokio::spawn(drain(stream)));
    }
    let beat = stage.beat(BEAT, REPLIES);
    sleep(WARM_UP).await;
    let before = count(&leader, &paths).await;
    let sent = commands(&stage).await;
    let (begun, idle) = (
        Instant::now(),
        used(&stage, &leader, follower.as_ref()).await,
    );
    sleep(time).await;
    let busy = used(&stage, &leader, follower.as_ref()).await;
    let seconds = begun.elapsed().as_secs_f64();
    let sent = {
        let (all, reads) = commands(&stage).await;
        (all - sent.0, reads - sent.1)
    };
    let events = count(&leader, &paths).await - before;
    beat.abort();
    let memory = memory(&leader).now;
    stop(leader.addr(), &paths[0]).await;
    let stored = match shared {
        true => Some(stored(&stage, leader.addr(), &paths[0]).await),
        false => None,
    };
    viewers.iter().for_each(tokio::task::JoinHandle::abort);
    Cost {
        name,
        events,
        seconds,
        leader: busy[0] - idle[0],
        follower: elsewhere.then(|| busy[1] - idle[1]),
        redis: shared.then(|| busy[2] - idle[2]),
        commands: shared.then_some(sent),
        stored,
        memory,
    }
}

/// How many commands Redis was sent, and how many of them read a log.
async fn commands(stage: &Stage) -> (u64, u64) {
    let info = stage.redis.info("stats").await;
    let all = info
        .lines()
        .find_map(|line| line.strip_prefix("total_commands_processed:"));
    let reads = stage.redis.calls("xrange").await;
    (all.unwrap().parse().unwrap(), reads)
}

/// The processor time, in seconds, that the leader, the follower and Redis have used.
async fn used(stage: &Stage, leader: &Replica, follower: Option<&Replica>) -> [f64; 3] {
    let info = stage.redis.info("cpu").await;
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<f64>().unwrap()
    };
    let redis = of("used_cpu_sys:") + of("used_cpu_user:");
    [processor(leader), follower.map_or(0.0, processor), redis]
}

/// Reads and forgets: the measured load must not wait for who measures.
async fn drain(mut stream: TcpStream) {
    let mut bytes = vec![0; 64 << 10];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// How many events there are in all.
async fn count(leader: &Replica, paths: &[String]) -> u64 {
    let mut all = 0;
    for path in paths {
        all += newest(leader.addr(), path).await;
    }
    all
}

/// What Redis uses for a reply that has ended, and how long its events are.
async fn stored(stage: &Stage, addr: SocketAddr, path: &str) -> (u64, u64) {
    let script = Script::read(addr, path, None).await;
    let id = path.rsplit('/').next().unwrap();
    let key = format!("rasta:{{{id}}}:events");
    let command = ["MEMORY", "USAGE", &key, "SAMPLES", "0"];
    match stage.redis.command(&command).await {
        Answer::Number(bytes) => (u64::try_from(bytes).unwrap(), script.length()),
        other => panic!("MEMORY USAGE answered {other:?}"),
    }
}
