//! Ten thousand viewers lose their connections in one moment and come back with their cursors.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use rasta_stream::simulator::Scenario;

use super::{
    crowd::{Script, Stage, follow, knock, newest, start, stop, watch_to_the_end},
    usage::{memory, raise_files},
};
use crate::support::{
    client::{blocks, proven, soon},
    replica::Replica,
};

/// How many events each reply has at least when they come.
const EVENTS: u64 = 100;
/// What a replica may need besides its connections, in MiB: its code, its tasks, the pages just being
/// fetched.
const ITSELF: f64 = 32.0;
/// What one connection may cost it, in MiB. Most of it are the web server's buffers, which
/// hold as much as the answer is long.
const CONNECTION: f64 = 32.0 / 1024.0;
/// By how much a replica's memory may rise when all that it had come back, in MiB.
const RETURN: f64 = 100.0;
/// Descriptors that are left for everything else.
const SPARE: usize = 1000;

/// How large the storm is.
struct Scale {
    viewers: usize,
    /// Half of the replies still run, half have ended.
    replies: usize,
}

/// The whole storm needs an optimized replica; without it, a fifth is what two cores can do beside
/// other tests.
fn scale() -> Scale {
    if cfg!(debug_assertions) && std::env::var_os("REPLICA_PROGRAM").is_none() {
        Scale {
            viewers: 2_000,
            replies: 100,
        }
    } else {
        Scale {
            viewers: 10_000,
            replies: 400,
        }
    }
}

#[actix_web::test]
async fn ten_thousand_viewers_that_come_back_at_once_get_what_follows_their_cursors() {
    let Scale { viewers, replies } = scale();
    let stage = Stage::set(Some(Scenario::Endless)).await;
    let (leader, other) = (stage.replica(true).await, stage.replica(true).await);
    let at_once = [
        leader.proc(),
        other.proc(),
        Path::new("/proc/self").canonicalize().unwrap(),
    ]
    .map(|process| raise_files(&process));
    let at_once = at_once.into_iter().min().unwrap().saturating_sub(SPARE);

    let mut paths = Vec::new();
    for number in 0..replies {
        paths.push(start(leader.addr(), &format!("river {number}")).await);
    }
    grow(&stage, &leader, &paths).await;
    let mut scripts = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let count = if index % 2 == 0 {
            stop(leader.addr(), path).await;
            None
        } else {
            Some(newest(leader.addr(), path).await)
        };
        scripts.push(Script::read(leader.addr(), path, count).await);
    }

    // The normal viewers: on both replicas, of replies that the storm is about.
    let normal: Vec<&String> = paths.iter().skip(1).step_by(2).take(8).collect();
    let watching: Vec<_> = normal
        .iter()
        .flat_map(|path| [leader.addr(), other.addr()].map(|addr| (addr, (*path).clone())))
        .map(|(addr, path)| tokio::spawn(watch_to_the_end(addr, path)))
        .collect();
    let beat = stage.beat(Duration::from_millis(250), replies / 2);

    for (name, replica) in [("another replica", &other), ("the leader", &leader)] {
        let idle = memory(replica).now;
        let begun = Instant::now();
        storm(replica.addr(), &scripts, viewers, at_once).await;
        let (open, first) = (memory(replica).peak, begun.elapsed());
        let begun = Instant::now();
        storm(replica.addr(), &scripts, viewers, at_once).await;
        let (again, second) = (memory(replica), begun.elapsed());
        let simultaneous = at_once.min(viewers);
        println!(
            "{viewers} viewers of {name}, up to {simultaneous} open at once: they came in {first:.1?}, \
             and came back in {second:.1?}; memory {idle:.0} MiB before, {open:.0} MiB at most, \
             {:.0} MiB at most as they came back, {:.0} MiB in the end",
            again.peak, again.now,
        );
        let bound = ITSELF + CONNECTION * simultaneous as f64;
        assert!(
            open - idle <= bound,
            "{name}'s memory rose by {:.0} MiB",
            open - idle
        );
        assert!(
            again.peak - open <= RETURN,
            "{name}'s memory rose to {:.0} MiB",
            again.peak
        );
    }

    beat.abort();
    for path in &normal {
        stop(leader.addr(), path).await;
    }
    let mut seen = Vec::new();
    for viewer in watching {
        seen.push(viewer.await.unwrap());
    }
    let gap = seen.iter().map(|(_, gap)| *gap).max().unwrap();
    println!("the longest that a normal viewer waited for an event: {gap:.1?}");
    for pair in seen.chunks(2) {
        assert_eq!(proven(&pair[0].0)["status"], "stopped");
        assert_eq!(blocks(&pair[0].0), blocks(&pair[1].0));
    }
}

/// Lets every reply have its events.
async fn grow(stage: &Stage, leader: &Replica, paths: &[String]) {
    let beat = stage.beat(Duration::from_millis(20), paths.len());
    for path in paths {
        let mut viewer = follow(leader.addr(), path, EVENTS - 1).await;
        assert_eq!(viewer.next_stored().await.unwrap().id, EVENTS);
    }
    beat.abort();
}

/// All viewers connect and send their requests before any reads. On a thread of its own, so that the watcher
/// does not wait for the crowd.
async fn storm(addr: SocketAddr, scripts: &[Script], viewers: usize, at_once: usize) {
    let scripts = scripts.to_vec();
    let storm = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let cursor = |number: usize, script: &Script| {
                // Everywhere in the reply, its beginning and the event before the last included.
                (number / scripts.len()) as u64 * 7919 % script.last()
            };
            let numbers: Vec<usize> = (0..viewers).collect();
            for wave in numbers.chunks(at_once) {
                let knocks = wave.iter().map(|&number| {
                    let script = scripts[number % scripts.len()].clone();
                    let cursor = cursor(number, &script);
                    tokio::spawn(async move {
                        let knock = knock(addr, &script.path, cursor);
                        let stream = soon("a connection in a storm", knock).await.unwrap();
                        (script, cursor, stream)
                    })
                });
                let mut open = Vec::new();
                for knock in knocks.collect::<Vec<_>>() {
                    open.push(knock.await.unwrap());
                }
                // None is closed before all are served.
                for (script, cursor, stream) in &mut open {
                    script.check(stream, *cursor).await;
                }
            }
        });
    });
    tokio::time::timeout(Duration::from_secs(4 * 10), storm)
        .await
        .expect("four times ten seconds are enough for a storm")
        .unwrap();
}
