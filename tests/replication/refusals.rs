//! A Redis that answers and refuses to work: at the start the program says so and ends; later no viewer is
//! left waiting, and nothing is tried without a pause.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::support::{
    app::TestApp,
    client::{Response, blocks, proven, soon},
    program::{refusal, run},
    redis::{Redis, Setup},
    replicas::{read_to, replicas, store_is},
};

/// What the program says that cannot start with this store.
async fn refused_at(redis: &Redis) -> String {
    let url = redis.url();
    let output =
        tokio::task::spawn_blocking(move || run("redis", &["--port=0"], &[("REDIS_URL", &url)]));
    let said = refusal(&soon("the program to end", output).await.unwrap());
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(said.contains("cannot use Redis at 127.0.0.1:"), "{said}");
    said
}

#[actix_web::test]
async fn a_user_who_lacks_any_right_is_refused_at_the_start() {
    let rules = include_str!("../../deploy/users.acl");
    let rules = rules.lines().find(|line| line.starts_with("user rasta"));
    let commands = rules
        .unwrap()
        .split(' ')
        .filter_map(|word| word.strip_prefix('+'));
    let mut lacking = 0;
    for command in commands {
        // The client sends these by itself, whatever the rules say, or only in the course of events.
        if ["hello", "auth", "select", "unsubscribe"].contains(&command) {
            continue;
        }
        let redis = Redis::start_with(Setup {
            user: Some((
                "rasta",
                "secret",
                &format!("~rasta:* &rasta:* +@all -{command}"),
            )),
            ..Setup::default()
        })
        .await;
        let said = refused_at(&redis).await;
        let remedy = said.contains("NOPERM") && said.contains("deploy/users.acl");
        assert!(
            remedy || command == "exec" && said.contains("EXECABORT"),
            "{command}: {said}"
        );
        lacking += 1;
    }
    assert!(lacking > 15, "{lacking}");
}

#[actix_web::test]
async fn a_cluster_is_refused_at_the_start() {
    let redis = Redis::start_with(Setup {
        more: &["--cluster-enabled", "yes"],
        ..Setup::default()
    })
    .await;
    let said = refused_at(&redis).await;
    assert!(said.contains("a cluster is not supported"), "{said}");
}

#[actix_web::test]
async fn a_full_or_read_only_redis_is_refused_at_the_start() {
    let redis = Redis::start().await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let said = refused_at(&redis).await;
    assert!(said.contains("OOM: raise maxmemory"), "{said}");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let said = refused_at(&redis).await;
    assert!(
        said.contains("READONLY: REDIS_URL must lead to the primary"),
        "{said}"
    );
}

/// How many connections and commands Redis has seen.
async fn seen_by(redis: &Redis) -> (u64, u64) {
    let stats = redis.info("stats").await;
    let figure = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    (
        figure("total_connections_received:"),
        figure("total_commands_processed:"),
    )
}

/// What the two replicas do to Redis in a few seconds, while nothing is asked of them.
async fn is_calm(redis: &Redis) {
    let before = seen_by(redis).await;
    sleep(Duration::from_secs(4)).await;
    let after = seen_by(redis).await;
    let (connections, commands) = (after.0 - before.0, after.1 - before.1);
    println!("{connections} connections, {commands} commands in 4 s");
    assert!(
        connections < 40 && commands < 1000,
        "{connections} connections, {commands} commands"
    );
}

/// Plays one reply while Redis refuses to work, from `begin` to `end`.
async fn no_viewer_is_left_waiting(begin: &[&str], end: &[&str]) {
    let redis = Redis::start_with(Setup {
        user: Some(("rasta", "secret", "~* &* +@all")),
        ..Setup::default()
    })
    .await;
    let [here, there]: [TestApp; 2] = replicas(&redis.url(), &[]).await;
    let path = here.start("river").await;
    let (mut near, mut far) = (here.events(&path, 0).await, there.events(&path, 0).await);
    here.steps.release(5);
    let mut fars = Vec::new();
    while fars.len() < 4 {
        fars.push(far.next_stored().await.unwrap());
    }
    redis.command(begin).await;
    here.steps.release(5);
    // The leader's own viewers go on from its memory.
    let mut nears = read_until(&mut near, 9).await;
    store_is(&here, "down").await;
    assert_eq!(here.post(&json!({"prompt": "more"}), &[]).await.status, 503);
    is_calm(&redis).await;
    // The others are told, while the reply still runs.
    fars.extend(far.rest().await);
    assert_eq!(proven(&fars)["error"]["code"], "producer_lost", "{begin:?}");
    assert_eq!(blocks(&fars[..4]), blocks(&nears[..4]));

    redis.command(end).await;
    for app in [&here, &there] {
        store_is(app, "up").await;
    }
    here.steps.release(10_000);
    nears.extend(near.rest().await);
    assert_eq!(proven(&nears)["status"], "completed", "{begin:?}");
    let whole = there.events(&path, 0).await.rest().await;
    assert_eq!(blocks(&whole), blocks(&nears), "{begin:?}");
}

async fn read_until(viewer: &mut Response, last: usize) -> Vec<crate::support::client::Event> {
    let mut events = Vec::new();
    while events.len() < last {
        events.push(viewer.next_stored().await.unwrap());
    }
    events
}

#[actix_web::test]
async fn while_redis_refuses_to_work_the_leader_goes_on_and_viewers_elsewhere_get_an_end() {
    let refusals: [(&[&str], &[&str]); 3] = [
        (
            &["ACL", "SETUSER", "rasta", "-xadd"],
            &["ACL", "SETUSER", "rasta", "+xadd"],
        ),
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
        ),
    ];
    let all = refusals.map(|(begin, end)| no_viewer_is_left_waiting(begin, end));
    futures_util::future::join_all(all).await;
}

#[actix_web::test]
async fn without_the_right_to_subscribe_events_come_late_and_redis_has_its_peace() {
    let redis = Redis::start_with(Setup {
        user: Some(("rasta", "secret", "~* &* +@all")),
        ..Setup::default()
    })
    .await;
    let [here, there]: [TestApp; 2] = replicas(&redis.url(), &[]).await;
    let path = here.start("river").await;
    let mut far = there.events(&path, 0).await;
    here.steps.release(3);
    read_to(&mut far, 2).await;
    redis
        .command(&["ACL", "SETUSER", "rasta", "-subscribe"])
        .await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    is_calm(&redis).await;
    here.steps.release(10_000);
    assert_eq!(far.rest().await.last().unwrap().data["status"], "completed");
}
