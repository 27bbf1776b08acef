//! Redis or a replica is lost for a while, or for good: running replies go on, the others are told.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    client::{self, blocks, proven, soon, text_of},
    proxy::{Effect, Proxy, Way, Which},
    redis::{Answer, Redis},
    replica::Replica,
    replicas::{events_key, pair, read_to, replicas, store_is},
};

#[actix_web::test]
async fn a_stored_log_that_is_lost_or_broken_is_resynced_and_viewers_notice_nothing() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut viewers = [here.events(&path, 0).await, there.events(&path, 0).await];
    let key = events_key(&path);
    let strikes: [&[&str]; 4] = [
        &["FLUSHALL"],
        &["XDEL", &key, "3-0"],
        &["DEL", &key],
        &["XTRIM", &key, "MAXLEN", "2"],
    ];
    for (round, strike) in strikes.iter().enumerate() {
        here.steps.release(4);
        read_to(&mut viewers[1], 4 * round as u64 + 3).await;
        redis.command(strike).await;
    }
    here.steps.release(10_000);
    for viewer in &mut viewers {
        assert_eq!(viewer.rest().await.last().unwrap().name, "end");
    }
    let all = here.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
    assert_eq!(
        blocks(&there.events(&path, 0).await.rest().await),
        blocks(&all)
    );
}

#[actix_web::test]
async fn a_post_right_after_redis_has_lost_everything_does_not_pay_twice() {
    // Twenty rounds, because the moment at which each replica reconnects is left to chance.
    let lanes = (0..4).map(|_| five_times_redis_loses_everything());
    futures_util::future::join_all(lanes).await;
}

async fn five_times_redis_loses_everything() {
    let mut redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    here.steps.release(10_000);
    for round in 0..5 {
        let key = format!("a-key-of-round-{round}");
        let key = [("Idempotency-Key", key.as_str())];
        let body = json!({"prompt": "river"});
        let first = here.post(&body, &key).await;
        let path = first.header("location").unwrap().to_owned();
        there.events(&path, 0).await.rest().await;
        redis.restart().await;
        // Neither replica knows yet that its connection is dead.
        let mut again = there.post(&body, &key).await;
        while again.status == 503 {
            again = there.post(&body, &key).await;
        }
        assert_eq!(
            (again.status, again.header("location")),
            (200, Some(path.as_str())),
            "round {round}"
        );
    }
}

#[actix_web::test]
async fn an_ended_reply_is_put_back_after_redis_has_lost_it() {
    let mut redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let body = json!({"prompt": "river"});
    let first = here.post(&body, &key).await;
    let path = first.header("location").unwrap().to_owned();
    here.steps.release(10_000);
    let all = there.events(&path, 0).await.rest().await;
    redis.restart().await;
    let back = async {
        while there.get(&path).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon("the reply to be back", back).await;
    assert_eq!(
        blocks(&there.events(&path, 0).await.rest().await),
        blocks(&all)
    );
    let again = there.post(&body, &key).await;
    assert_eq!(
        (again.status, again.header("location")),
        (200, Some(path.as_str()))
    );
}

#[actix_web::test]
async fn an_end_that_another_replica_has_written_stands_and_the_leader_stops() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut viewers = [here.events(&path, 0).await, there.events(&path, 0).await];
    here.steps.release(8);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.push(viewers[1].next_stored().await.unwrap());
    }
    // As a replica would that considers the leader dead.
    let text = text_of(&seen);
    let end = json!({"status": "failed", "finish_reason": null, "model": null, "usage": null,
        "bytes": text.len(), "sha256": sha256(&text), "ms": {"first": null, "total": 1},
        "error": {"code": "producer_lost", "message": "lost", "retryable": true}});
    let log = here.log(&path).await;
    let written = async {
        loop {
            let last = log.position().seq.0;
            let block = format!("id: {}\nevent: end\ndata: {end}\n\n", last + 1);
            let entry = format!("{}-0", last + 1);
            let words = [
                "XADD",
                &events_key(&path),
                "NOMKSTREAM",
                &entry,
                "end",
                &block,
            ];
            if let Answer::Text(_) = redis.try_command(&words).await.unwrap() {
                return last;
            }
        }
    };
    let last = soon("the end to be written", written).await;
    // The next event is refused.
    here.steps.release(1);
    here.upstream_was_left().await;
    here.all_ended().await;
    let mut ends = Vec::new();
    for (viewer, mut events) in viewers.iter_mut().zip([Vec::new(), seen]) {
        events.extend(viewer.rest().await);
        let end = events.last().unwrap();
        assert_eq!(
            (end.id, end.data["error"]["code"].as_str()),
            (last + 1, Some("producer_lost"))
        );
        ends.push(blocks(&events));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(blocks(&here.events(&path, 0).await.rest().await), ends[0]);
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[actix_web::test]
async fn while_redis_is_gone_what_runs_goes_on_and_everything_else_is_refused_clearly() {
    let mut redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut near = here.events(&path, 0).await;
    let mut far = there.events(&path, 0).await;
    here.steps.release(5);
    read_to(&mut near, 4).await;
    read_to(&mut far, 4).await;
    redis.kill();
    here.steps.release(5);
    // The leader's own viewers continue from its memory.
    read_to(&mut near, 9).await;
    for app in [&here, &there] {
        store_is(app, "down").await;
        let ready = app.get("/readyz").await;
        assert_eq!(ready.status, 200);
        assert_eq!(ready.json().await["status"], "ready");
        let refused = app.post(&json!({"prompt": "more"}), &[]).await;
        assert_eq!(refused.status, 503);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(refused.json().await["code"], "store_unavailable");
    }
    assert_eq!(here.snapshot(&path).await["last_event_id"], 9);

    // A viewer of a reply that this replica does not know is asked to reconnect, as an EventSource can.
    let stranger = format!("/v1/replies/{}", uuid::Uuid::new_v4());
    let mut later = there.events(&stranger, 7).await;
    let ping = later.next().await.unwrap();
    assert_eq!((ping.name.as_str(), ping.id), ("ping", 7));
    assert!(ping.retry.is_some());
    assert_eq!(later.next().await, None);
    for answer in [there.get(&stranger).await, there.delete(&stranger).await] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json().await["code"], "store_unavailable");
    }

    redis.restart().await;
    for app in [&here, &there] {
        store_is(app, "up").await;
    }
    here.steps.release(10_000);
    let rest = far.rest().await;
    assert_eq!(rest[0].id, 5, "nothing was lost or doubled");
    let all = here.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
    assert_eq!(
        blocks(&there.events(&path, 0).await.rest().await),
        blocks(&all)
    );
    // Only after all replicas had time to restore what Redis has lost is it known not to exist.
    assert_eq!(there.get(&stranger).await.status, 503);
    let known = async {
        while there.get(&stranger).await.status != 404 {
            tokio::task::yield_now().await;
        }
    };
    soon("the stranger to be known as one", known).await;
}

#[actix_web::test]
async fn a_leader_that_alone_is_cut_off_goes_on_for_its_own_viewers_and_the_others_are_told() {
    let redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    let [here] = replicas(&redis.url_at(wire.addr()), &[]).await;
    let [there] = replicas(&redis.url(), &[]).await;
    let path = here.start("river").await;
    let (mut near, mut far) = (here.events(&path, 0).await, there.events(&path, 0).await);
    here.steps.release(5);
    let (mut nears, mut fars) = (Vec::new(), Vec::new());
    while fars.len() < 4 {
        nears.push(near.next_stored().await.unwrap());
        fars.push(far.next_stored().await.unwrap());
    }
    for way in [Way::Up, Way::Down] {
        wire.set(Which::All, Effect::Hold(way));
    }
    here.steps.release(5);
    while nears.len() < 9 {
        nears.push(near.next_stored().await.unwrap());
    }
    fars.extend(far.rest().await);
    assert_eq!(proven(&fars)["error"]["code"], "producer_lost");
    assert_eq!(blocks(&fars[..4]), blocks(&nears[..4]));

    wire.lift();
    store_is(&here, "up").await;
    here.steps.release(10_000);
    nears.extend(near.rest().await);
    assert_eq!(proven(&nears)["status"], "completed");
    // What the others were told stands, and who comes with more is told so.
    let again = there.events(&path, 0).await.rest().await;
    assert_eq!(blocks(&again), blocks(&fars));
    let moved = there.get(&format!("{path}/events?after=9")).await;
    assert_eq!(moved.status, 400);
    assert_eq!(moved.json().await["code"], "cursor_ahead");
}

#[actix_web::test]
async fn within_seconds_of_redis_answering_again_the_copy_is_whole_and_growing() {
    // A second is promised; the deadline is four times as long.
    const DEADLINE: Duration = Duration::from_secs(4);
    let mut redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut near = here.events(&path, 0).await;
    here.steps.release(5);
    read_to(&mut near, 4).await;
    let mut slowest = Duration::ZERO;
    for round in 1..=5 {
        redis.kill();
        store_is(&here, "down").await;
        here.steps.release(1);
        read_to(&mut near, 4 + 2 * round - 1).await;
        redis.restart().await;
        let answers = Instant::now();
        here.steps.release(1);
        let copied = async {
            let last = Answer::Number(i64::try_from(4 + 2 * round).unwrap());
            while redis.command(&["XLEN", &events_key(&path)]).await != last {
                tokio::task::yield_now().await;
            }
        };
        soon("the copy to be whole", copied).await;
        slowest = slowest.max(answers.elapsed());
    }
    println!("appends go on after {slowest:?} at most");
    assert!(slowest < DEADLINE, "{slowest:?}");
    here.steps.release(10_000);
    store_is(&there, "up").await;
    let events = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
}

#[actix_web::test]
async fn a_redis_that_has_no_room_left_is_as_good_as_down_and_nothing_is_lost() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut near = here.events(&path, 0).await;
    here.steps.release(5);
    read_to(&mut near, 4).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    here.steps.release(5);
    read_to(&mut near, 9).await;
    store_is(&here, "down").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    store_is(&here, "up").await;
    here.steps.release(10_000);
    let all = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
}

#[actix_web::test]
async fn when_redis_and_the_leader_are_lost_together_viewers_are_told_and_not_kept_waiting() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let leader = Replica::start(&[("REDIS_URL", &url)]).await;
    let [there] = replicas(&url, &[]).await;
    let body = json!({"prompt": "a long story about a river"}).to_string();
    let headers = [("Content-Type", "application/json")];
    let created = client::send(leader.addr(), "POST", "/v1/replies", &headers, Some(&body)).await;
    let path = created.header("location").unwrap().to_owned();
    let mut viewer = there.events(&path, 0).await;
    read_to(&mut viewer, 5).await;
    leader.kill();
    redis.restart().await;
    // Its body ends without an `end`; a viewer that reconnects learns that nothing is left.
    let rest = viewer.rest().await;
    assert!(rest.iter().all(|event| event.name != "end"));
    let gone = async {
        while there.get(&format!("{path}/events")).await.status != 404 {
            tokio::task::yield_now().await;
        }
    };
    soon("the reply to be known as lost", gone).await;
}

#[actix_web::test]
async fn a_replica_starts_although_redis_does_not_answer_its_first_subscription() {
    let redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    wire.set(Which::Sent("subscribe"), Effect::Hold(Way::Down));
    let url = format!("redis://{}", wire.addr());
    let settings = [("REDIS_URL", url.as_str())];
    let mended = async {
        // The connection for commands, and two attempts to subscribe, of which the first timed out.
        wire.has_open(|open| *open >= 3).await;
        wire.lift();
    };
    let (replica, ()) = tokio::join!(Replica::start(&settings), mended);
    let ready = client::send(replica.addr(), "GET", "/readyz", &[], None).await;
    assert_eq!(ready.status, 200);
}
