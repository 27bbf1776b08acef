//! What a user can plant who may write to Redis: keys of other types, entries that are no events,
//! numbers beyond all bounds. It costs other replies nothing, and no viewer gets to see it.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::{
    app::TestApp,
    client::{self, blocks, proven, soon, text_of},
    redis::{Answer, Redis},
    replica::Replica,
    replicas::{events_key, pair, read_to, replicas, store_is},
};

/// The keys with this pattern.
async fn keys(redis: &Redis, pattern: &str) -> Vec<String> {
    let Answer::List(keys) = redis.command(&["KEYS", pattern]).await else {
        panic!("a list");
    };
    let name = |key| match key {
        Answer::Text(name) => name,
        other => panic!("{other:?}"),
    };
    keys.into_iter().map(name).collect()
}

async fn connections(redis: &Redis) -> u64 {
    let stats = redis.info("stats").await;
    let prefix = "total_connections_received:";
    let line = stats.lines().find_map(|line| line.strip_prefix(prefix));
    line.unwrap().trim().parse().unwrap()
}

/// Asserts that the replicas do not reconnect again and again.
async fn is_calm(redis: &Redis) {
    let before = connections(redis).await;
    sleep(Duration::from_secs(3)).await;
    let more = connections(redis).await - before;
    // One is that of the question.
    assert!(more <= 12, "{more} connections in 3 s");
}

/// Plants something behind a running reply and lets it end: all viewers see the true reply.
async fn is_resynchronized(plant: impl AsyncFn(&Redis, &str, u64)) {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let (mut near, mut far) = (here.events(&path, 0).await, there.events(&path, 0).await);
    here.steps.release(5);
    read_to(&mut near, 4).await;
    read_to(&mut far, 4).await;
    let last = here.log(&path).await.position().seq.0;
    plant(&redis, &events_key(&path), last).await;
    here.steps.release(10_000);
    let nears = near.rest().await;
    assert_eq!(blocks(&far.rest().await), blocks(&nears));
    let all = here.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
    assert_eq!(
        blocks(&there.events(&path, 0).await.rest().await),
        blocks(&all)
    );
    store_is(&here, "up").await;
    is_calm(&redis).await;
}

fn event(seq: u64, name: &str, data: &str) -> String {
    format!("id: {seq}\nevent: {name}\ndata: {data}\n\n")
}

#[actix_web::test]
async fn a_log_of_another_type_is_rewritten() {
    is_resynchronized(async |redis, key, _| {
        redis.command(&["SET", key, "x"]).await;
    })
    .await;
}

#[actix_web::test]
async fn an_empty_stream_with_a_high_last_id_is_rewritten() {
    is_resynchronized(async |redis, key, _| {
        redis.command(&["XTRIM", key, "MAXLEN", "0"]).await;
    })
    .await;
}

#[actix_web::test]
async fn entries_that_are_no_events_reach_no_viewer_and_are_removed() {
    is_resynchronized(async |redis, key, last| {
        let next = last + 1;
        let two = event(next, "delta", "{}") + &event(next + 1, "delta", "{}");
        redis
            .command(&["XADD", key, &format!("{next}-0"), "e", &two])
            .await;
    })
    .await;
    is_resynchronized(async |redis, key, last| {
        let raw = format!("{}-7", last + 1);
        redis.command(&["XADD", key, &raw, "x", ""]).await;
    })
    .await;
}

#[actix_web::test]
async fn an_entry_with_the_highest_number_costs_one_rewrite() {
    is_resynchronized(async |redis, key, _| {
        let highest = format!("{}-0", u64::MAX);
        redis.command(&["XADD", key, &highest, "e", "x"]).await;
    })
    .await;
}

#[actix_web::test]
async fn numbers_far_behind_a_foreign_end_cost_nothing() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut viewers = [here.events(&path, 0).await, there.events(&path, 0).await];
    here.steps.release(5);
    for viewer in &mut viewers {
        read_to(viewer, 4).await;
    }
    let last = here.log(&path).await.position().seq.0;
    let end = json!({"status": "failed", "finish_reason": null, "model": null, "usage": null,
        "bytes": 0, "sha256": "", "ms": {"first": null, "total": 1}});
    let end = event(last + 1, "end", &end.to_string());
    let key = events_key(&path);
    redis
        .command(&["XADD", &key, &format!("{}-0", last + 1), "end", &end])
        .await;
    redis
        .command(&["XADD", &key, &format!("{}-0", 1_u64 << 63), "e", "x"])
        .await;
    here.steps.release(1);
    for viewer in &mut viewers {
        assert_eq!(viewer.rest().await.last().unwrap().id, last + 1);
    }
    let another = here.start("sea").await;
    here.steps.release(10_000);
    proven(&there.events(&another, 0).await.rest().await);
}

#[actix_web::test]
async fn an_ended_log_of_another_type_is_rewritten_after_a_reconnect_and_nothing_runs_hot() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    here.steps.release(10_000);
    let all = here.events(&path, 0).await.rest().await;
    let key = events_key(&path);
    redis.command(&["DEL", &key]).await;
    redis.command(&["SET", &key, "x"]).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let back = async {
        while there.get(&path).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the reply to be back", back).await;
    assert_eq!(
        blocks(&there.events(&path, 0).await.rest().await),
        blocks(&all)
    );
    is_calm(&redis).await;
}

#[actix_web::test]
async fn a_stop_is_heard_although_the_inbox_was_of_another_type() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    here.upstream_was_asked().await;
    for lease in keys(&redis, "rasta:replica:*").await {
        redis
            .command(&["SET", &format!("{lease}:inbox"), "x"])
            .await;
        redis.command(&["DEL", &lease]).await;
        redis.command(&["RPUSH", &lease, "x"]).await;
    }
    let stopped = async {
        // Until the inbox is cleared, no answer says that the stop was heard.
        while there.delete(&path).await.status == 503 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the stop to be taken", stopped).await;
    here.upstream_was_left().await;
    let events = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["reason"], "viewer");
    store_is(&here, "up").await;
    is_calm(&redis).await;
}

#[actix_web::test]
async fn a_claim_of_another_type_is_a_key_that_was_used_for_something_else() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let body = json!({"prompt": "river"});
    assert_eq!(here.post(&body, &key).await.status, 201);
    let before = connections(&redis).await;
    for claim in keys(&redis, "rasta:key:*").await {
        redis.command(&["DEL", &claim]).await;
        redis.command(&["RPUSH", &claim, "x"]).await;
    }
    assert_eq!(there.post(&body, &key).await.status, 422);
    here.steps.release(10_000);
    here.all_ended().await;
    store_is(&here, "up").await;
    // Those of this test's commands.
    assert!(connections(&redis).await <= before + 5);
}

/// The most events that one script plants.
const SCRIPT_EVENTS: u64 = 1000;

/// Plants a log with a leader that does not exist, of so many deltas with a KiB of text each.
async fn plant_log(redis: &Redis, deltas: u64) -> String {
    let id = Uuid::new_v4();
    let key = format!("rasta:{{{id}}}:events");
    let start = json!({"reply": id, "created": "2026-11-25T10:00:00.000Z"});
    let start = event(1, "start", &start.to_string());
    redis
        .command(&[
            "XADD",
            &key,
            "1-0",
            "start",
            &start,
            "leader",
            "no-such-replica",
        ])
        .await;
    let script = "for n = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], n .. '-0', 'e', \
        'id: ' .. n .. '\\nevent: delta\\ndata: {\"text\":\"' .. ARGV[3] .. '\"}\\n\\n') end";
    let text = "x".repeat(1024);
    let mut next = 2;
    while next < deltas + 2 {
        // Redis answers no replica while a script runs, so no script may take long.
        let last = (next + SCRIPT_EVENTS).min(deltas + 2) - 1;
        let (first, last) = (next.to_string(), last.to_string());
        redis
            .command(&["EVAL", script, "1", &key, &first, &last, &text])
            .await;
        next += SCRIPT_EVENTS;
    }
    format!("/v1/replies/{id}")
}

#[actix_web::test]
async fn a_huge_log_without_a_leader_is_ended_page_by_page() {
    const DELTAS: u64 = 100_000;
    let redis = Redis::start().await;
    let replica = Replica::start(&[("REDIS_URL", &redis.url())]).await;
    let path = plant_log(&redis, DELTAS).await;
    let peak = || {
        let status = std::fs::read_to_string(replica.proc().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib / 1024
    };
    let before = peak();
    let target = format!("{path}/events?after={}", DELTAS - 10);
    let mut viewer = client::send(replica.addr(), "GET", &target, &[], None).await;
    let rest = viewer.rest().await;
    let end = rest.last().unwrap();
    assert_eq!(
        (end.id, &end.data["error"]["code"]),
        (DELTAS + 2, &json!("producer_lost"))
    );
    assert_eq!(end.data["bytes"], DELTAS * 1024);
    let more = peak() - before;
    println!("{more} MiB more");
    assert!(more < 40, "{more} MiB more");
}

#[actix_web::test]
async fn a_log_with_a_gap_whose_leader_is_lost_ends_before_the_gap() {
    let redis = Redis::start().await;
    let path = plant_log(&redis, 20).await;
    let key = events_key(&path);
    redis.command(&["XDEL", &key, "11-0"]).await;
    let [app]: [TestApp; 1] = replicas(&redis.url(), &[]).await;
    let events = app.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "producer_lost");
    assert_eq!(events.last().unwrap().id, 11);
    assert_eq!(text_of(&events).len(), 9 * 1024);
}

/// An `end` of another replica behind `last`, and the event of a fenced leader behind that.
async fn plant_end_and_more(redis: &Redis, key: &str, last: u64) {
    let lost = json!({"status": "failed", "finish_reason": null, "model": null, "usage": null,
        "bytes": 0, "sha256": "", "ms": {"first": null, "total": 1},
        "error": {"code": "producer_lost", "message": "lost", "retryable": true}});
    let end = event(last + 1, "end", &lost.to_string());
    let more = event(last + 2, "delta", r#"{"text":"more"}"#);
    for (seq, name, event) in [(last + 1, "end", end), (last + 2, "e", more)] {
        let entry = format!("{seq}-0");
        redis.command(&["XADD", key, &entry, name, &event]).await;
    }
}

#[actix_web::test]
async fn what_a_fenced_leader_stored_after_an_end_is_removed_and_its_viewers_are_told() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    here.steps.release(5);
    read_to(&mut here.events(&path, 0).await, 4).await;
    let last = here.log(&path).await.position().seq.0;
    plant_end_and_more(&redis, &events_key(&path), last).await;
    let mut viewer = there.events(&path, last + 2).await;
    assert_eq!(viewer.next().await.unwrap().name, "ping");
    // The leader learns of the end with its next append.
    here.steps.release(10_000);
    let closed = async { while viewer.next().await.is_some() {} };
    soon("the stream to be closed", closed).await;
    let ahead = there
        .get(&format!("{path}/events?after={}", last + 2))
        .await;
    assert_eq!(ahead.json().await["code"], "cursor_ahead");
}

#[actix_web::test]
async fn what_a_leader_stored_after_an_end_before_it_was_lost_is_removed_by_the_failover() {
    const DELTAS: u64 = 20;
    let redis = Redis::start().await;
    let path = plant_log(&redis, DELTAS).await;
    plant_end_and_more(&redis, &events_key(&path), DELTAS + 1).await;
    let [app]: [TestApp; 1] = replicas(&redis.url(), &[]).await;
    let last = DELTAS + 1;
    let mut viewer = app.events(&path, last + 2).await;
    assert_eq!(viewer.next().await.unwrap().name, "ping");
    let closed = async { while viewer.next().await.is_some() {} };
    soon("the stream to be closed", closed).await;
    let ahead = format!("{path}/events?after={}", last + 2);
    let told = async {
        while app.get(&ahead).await.status != 400 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the viewer to be told", told).await;
    let key = events_key(&path);
    let length = i64::try_from(last + 1).unwrap();
    assert_eq!(redis.command(&["XLEN", &key]).await, Answer::Number(length));
    let events = app.events(&path, 0).await.rest().await;
    assert_eq!(events.last().unwrap().id, last + 1);
}
