//! Several replicas over one real Redis: whichever of them is asked, the answer is the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    app::{Setup as AppSetup, TestApp, requests, spawn_app_with},
    client::{Response, blocks, proven, soon, text_of},
    program::{refusal, run},
    proxy::{Effect, Proxy, Way, Which},
    redis::{Answer, Redis, Setup},
    replica::Replica,
};

/// Replicas over one store. Each has a simulator of its own, whose frames wait for their release.
pub async fn replicas<const N: usize>(url: &str, flags: &[&str]) -> [TestApp; N] {
    let url = format!("--redis-url={url}");
    let mut apps = Vec::new();
    for _ in 0..N {
        let flags: Vec<&str> = flags.iter().copied().chain([url.as_str()]).collect();
        let setup = AppSetup {
            pace: None,
            flags: &flags,
            ..AppSetup::default()
        };
        apps.push(spawn_app_with(setup).await);
    }
    apps.try_into().ok().unwrap()
}

async fn pair(redis: &Redis) -> [TestApp; 2] {
    replicas(&redis.url(), &[]).await
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn events_key(path: &str) -> String {
    format!("rasta:{{{}}}:events", id(path))
}

/// Waits until a replica says this of its store.
async fn store_is(app: &TestApp, state: &str) {
    let said = async {
        while app.get("/readyz").await.json().await["store"] != state {
            tokio::task::yield_now().await;
        }
    };
    soon("the store's state to be told", said).await;
}

/// Reads until an event has been seen.
async fn read_to(viewer: &mut Response, last: u64) {
    while viewer.next_stored().await.unwrap().id < last {}
}

#[actix_web::test]
async fn a_viewer_on_another_replica_gets_each_event_as_it_is_written() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let (mut near, mut far) = (here.events(&path, 0).await, there.events(&path, 0).await);
    let mut seen = Vec::new();
    here.steps.release(2);
    loop {
        let event = far.next_stored().await.unwrap();
        let last = event.name == "end";
        assert_eq!(near.next_stored().await.unwrap().block, event.block);
        seen.push(event);
        if last {
            break;
        }
        // Nothing is written before the last event has arrived on both.
        here.steps.release(1);
    }
    assert_eq!(proven(&seen)["status"], "completed");
}

#[actix_web::test]
async fn every_cursor_gets_on_another_replica_what_it_gets_on_the_producers() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start(&"a long river ".repeat(20)).await;
    here.steps.release(100_000);
    let all = here.events(&path, 0).await.rest().await;
    proven(&all);
    // More than a page.
    assert!(all.len() > 70, "{}", all.len());
    for cursor in 0..all.len() {
        let rest = there.events(&path, cursor as u64).await.rest().await;
        assert_eq!(blocks(&rest), blocks(&all[cursor..]), "after {cursor}");
    }
    let done = format!("{path}/events?after={}", all.len());
    assert_eq!(there.get(&done).await.status, 204);
    let ahead = there
        .get(&format!("{path}/events?after={}", all.len() + 1))
        .await;
    assert_eq!(ahead.status, 400);
    assert_eq!(ahead.json().await["code"], "cursor_ahead");
    assert_eq!(there.snapshot(&path).await, here.snapshot(&path).await);
}

#[actix_web::test]
async fn a_snapshot_on_another_replica_leads_to_the_events_that_follow_it() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    here.steps.release(12);
    read_to(&mut here.events(&path, 0).await, 11).await;
    let snapshot = there.snapshot(&path).await;
    assert_eq!(snapshot["status"], "running");
    let cursor = snapshot["last_event_id"].as_u64().unwrap();
    let mut after = there.events(&path, cursor).await;
    here.steps.release(10_000);
    let text = snapshot["text"].as_str().unwrap().to_owned() + &text_of(&after.rest().await);
    assert_eq!(text, text_of(&here.events(&path, 0).await.rest().await));
}

#[actix_web::test]
async fn a_cursor_ahead_of_a_running_reply_waits_on_another_replica_too() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut ahead = there.events(&path, 5).await;
    let ping = ahead.next().await.unwrap();
    assert_eq!((ping.name.as_str(), ping.id), ("ping", 5));
    here.steps.release(10_000);
    assert_eq!(ahead.rest().await[0].id, 6);
}

#[actix_web::test]
async fn a_stop_on_another_replica_closes_upstream_and_everybody_sees_the_end() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut viewers = [here.events(&path, 0).await, there.events(&path, 0).await];
    here.steps.release(8);
    read_to(&mut viewers[1], 7).await;
    let stopped = there.delete(&path).await;
    assert_eq!(stopped.status, 202);
    let stopped = stopped.json().await;
    assert_eq!(
        (&stopped["status"], &stopped["reason"]),
        (&json!("stopped"), &json!("viewer"))
    );
    here.upstream_was_left().await;
    for viewer in &mut viewers {
        assert_eq!(viewer.rest().await.last().unwrap().data["reason"], "viewer");
    }
    assert_eq!(there.delete(&path).await.json().await, stopped);
}

#[actix_web::test]
async fn a_stop_whose_message_is_lost_is_found_by_the_producer() {
    let redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    let [here] = replicas(&redis.url_at(wire.addr()), &[]).await;
    let [there] = replicas(&redis.url(), &[]).await;
    let path = here.start("river").await;
    here.upstream_was_asked().await;
    // What the producer would hear does not come through; what it asks for does.
    wire.set(Which::Sent("SUBSCRIBE"), Effect::Hold(Way::Down));
    there.delete(&path).await;
    here.upstream_was_left().await;
    let events = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["reason"], "viewer");
}

#[actix_web::test]
async fn the_same_key_on_another_replica_finds_the_reply_and_pays_once() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let body = json!({"prompt": "river"});
    let first = here.post(&body, &key).await;
    assert_eq!(first.status, 201);
    let again = there.post(&body, &key).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.header("location"), first.header("location"));
    let other = there.post(&json!({"prompt": "sea"}), &key).await;
    assert_eq!(other.status, 422);
    assert_eq!(other.json().await["code"], "idempotency_mismatch");

    let streamed = [key[0], ("Accept", "text/event-stream")];
    let mut again = there.post(&body, &streamed).await;
    assert_eq!(again.header("location"), first.header("location"));
    here.steps.release(10_000);
    proven(&again.rest().await);
    assert_eq!(requests(&there.simulator.journal().records()).len(), 0);
}

#[actix_web::test]
async fn a_key_that_leads_to_another_reply_by_now_is_not_taken_back() {
    let redis = Redis::start().await;
    let [here] = replicas(&redis.url(), &[]).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let first = here.post(&json!({"prompt": "river"}), &key).await;
    let path = first.header("location").unwrap().to_owned();
    let Answer::List(keys) = redis.command(&["KEYS", "rasta:key:*"]).await else {
        panic!("a list")
    };
    let [Answer::Text(stored)] = &keys[..] else {
        panic!("one key, and not {keys:?}")
    };
    // As if this replica had been silent for so long that another one has begun a reply.
    redis.command(&["SET", stored, "of another reply"]).await;
    here.steps.release(10_000);
    here.events(&path, 0).await.rest().await;
    let kept = redis.command(&["GET", stored]).await;
    assert_eq!(kept, Answer::Text("of another reply".to_owned()));
}

#[actix_web::test]
async fn a_caller_that_leaves_before_the_answer_finds_its_reply_alive_by_its_key() {
    use tokio::io::AsyncWriteExt as _;
    let redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    let [here] = replicas(&redis.url_at(wire.addr()), &[]).await;
    let [there] = replicas(&redis.url(), &[]).await;
    wire.set(Which::All, Effect::Hold(Way::Down));
    let mut caller = tokio::net::TcpStream::connect(here.addr).await.unwrap();
    let post = "POST /v1/replies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Idempotency-Key: 0123456789abcdef\r\nContent-Length: 18\r\n\r\n{\"prompt\":\"river\"}";
    caller.write_all(post.as_bytes()).await.unwrap();
    let claimed = async {
        while redis.command(&["KEYS", "rasta:key:*"]).await == Answer::List(vec![]) {
            tokio::task::yield_now().await;
        }
    };
    soon("the POST to reach Redis", claimed).await;
    drop(caller);
    wire.lift();
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let again = there.post(&json!({"prompt": "river"}), &key).await;
    assert_eq!(again.status, 200);
    here.steps.release(10_000);
    let path = again.header("location").unwrap();
    let events = there.events(path, 0).await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
}

#[actix_web::test]
async fn posts_with_one_key_on_all_replicas_at_once_start_one_reply() {
    let redis = Redis::start().await;
    let apps: [TestApp; 3] = replicas(&redis.url(), &[]).await;
    for round in 0..10 {
        let key = format!("one-key-for-round-{round}");
        let body = json!({"prompt": "river"});
        let headers = [("Idempotency-Key", key.as_str())];
        let posts = apps
            .iter()
            .flat_map(|app| [app.post(&body, &headers), app.post(&body, &headers)]);
        let answers = futures_util::future::join_all(posts).await;
        let new = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(new, 1);
        let location = answers[0].header("location");
        assert!(
            answers
                .iter()
                .all(|answer| answer.header("location") == location)
        );
    }
}

#[actix_web::test]
async fn a_reply_that_is_read_on_another_replica_only_is_not_stopped_as_unread() {
    let redis = Redis::start().await;
    let flags = ["--idle-reader-seconds=0.2", "--ping-seconds=0.5"];
    let [here, there] = replicas(&redis.url(), &flags).await;
    let read = here.start("river").await;
    let unread = here.start("desert").await;
    let mut viewer = there.events(&read, 0).await;
    // The one that nobody reads is stopped meanwhile.
    let log = here.log(&unread).await;
    let stopped = async {
        while log.end().is_none() {
            assert_ne!(viewer.next().await.unwrap().name, "end");
        }
    };
    soon("the unread reply to be stopped", stopped).await;
    for _ in 0..6 {
        assert_eq!(viewer.next().await.unwrap().name, "ping");
    }
    here.steps.release(100_000);
    let events = viewer.rest().await;
    assert_eq!(events.last().unwrap().data["status"], "completed");
    let unread = there.events(&unread, 0).await.rest().await;
    assert_eq!(proven(&unread)["reason"], "unread");
}

#[actix_web::test]
async fn when_its_retention_is_over_a_reply_is_gone_on_every_replica() {
    let redis = Redis::start().await;
    let [here, there] = replicas(&redis.url(), &["--retention-seconds=0.5"]).await;
    let path = here.start("river").await;
    here.steps.release(10_000);
    there.events(&path, 0).await.rest().await;
    for app in [&there, &here] {
        let gone = async {
            while app.get(&path).await.status != 404 {
                tokio::task::yield_now().await;
            }
        };
        soon("the reply to go", gone).await;
    }
    let left = async {
        while redis.command(&["KEYS", &format!("*{}*", id(&path))]).await != Answer::List(vec![]) {
            tokio::task::yield_now().await;
        }
    };
    soon("Redis to hold nothing of it", left).await;
}

#[actix_web::test]
async fn a_reply_that_made_room_is_gone_on_every_replica() {
    let redis = Redis::start().await;
    let [here, there] = replicas(&redis.url(), &["--max-replies=1"]).await;
    here.steps.release(10_000);
    let first = here.start("one").await;
    here.events(&first, 0).await.rest().await;
    here.all_ended().await;
    here.start("two").await;
    let gone = async {
        while there.get(&first).await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    soon("the first to go", gone).await;
}

#[actix_web::test]
async fn a_copy_that_is_wiped_or_broken_is_healed_and_viewers_notice_nothing() {
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
async fn an_end_that_another_replica_has_written_stands_and_the_producer_stops() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let mut viewers = [here.events(&path, 0).await, there.events(&path, 0).await];
    here.steps.release(8);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.push(viewers[1].next_stored().await.unwrap());
    }
    // As a replica would that takes the producer for dead.
    let text = text_of(&seen);
    let end = json!({"status": "failed", "finish_reason": null, "model": null, "usage": null,
        "bytes": text.len(), "sha256": sha256(&text), "ms": {"first": null, "total": 1},
        "error": {"code": "producer_lost", "message": "lost", "retryable": true}});
    let log = here.log(&path).await;
    let written = async {
        loop {
            let last = log.tail().0.0;
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
    // The producer's own viewers go on from its memory.
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

    // Somebody whom this replica does not know is asked to come again, as an EventSource can.
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
    // Only when everybody had time to put back what Redis has lost is it known to be nowhere.
    assert_eq!(there.get(&stranger).await.status, 503);
    let known = async {
        while there.get(&stranger).await.status != 404 {
            tokio::task::yield_now().await;
        }
    };
    soon("the stranger to be known as one", known).await;
}

#[actix_web::test]
async fn a_producer_that_alone_is_cut_off_goes_on_for_its_own_viewers_and_the_others_are_told() {
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
async fn when_redis_and_the_producer_are_lost_together_viewers_are_told_and_not_kept_waiting() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let producer = Replica::start(&[("REDIS_URL", &url)]).await;
    let [there] = replicas(&url, &[]).await;
    let body = json!({"prompt": "a long story about a river"}).to_string();
    let headers = [("Content-Type", "application/json")];
    let created = crate::client::send(
        producer.addr(),
        "POST",
        "/v1/replies",
        &headers,
        Some(&body),
    )
    .await;
    let path = created.header("location").unwrap().to_owned();
    let mut viewer = there.events(&path, 0).await;
    read_to(&mut viewer, 5).await;
    producer.kill();
    redis.restart().await;
    // Its body ends without an end; whoever comes again is told that nothing is left.
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
async fn a_user_who_may_do_no_more_than_the_shipped_rules_say_is_enough() {
    let rules = include_str!("../../deploy/users.acl");
    let rules = rules
        .lines()
        .find(|line| line.starts_with("user rasta"))
        .unwrap();
    let rules: Vec<&str> = rules
        .split(' ')
        .filter(|word| !word.starts_with('>'))
        .collect();
    let rules = rules[3..].join(" ");
    let redis = Redis::start_with(Setup {
        user: Some(("rasta", "se%cr:et", &rules)),
        ..Setup::default()
    })
    .await;
    let url = redis.url().replace("se%cr:et", "se%25cr%3Aet");
    let [here, there] = replicas(&url, &[]).await;
    let key = [("Idempotency-Key", "0123456789abcdef")];
    let path = here.post(&json!({"prompt": "river"}), &key).await;
    let path = path.header("location").unwrap().to_owned();
    let mut viewer = there.events(&path, 0).await;
    here.steps.release(6);
    read_to(&mut viewer, 5).await;
    // Everything that is ever asked of Redis: the healing, a stop, the removal.
    let del = ["DEL", &events_key(&path)];
    redis.command(&del).await;
    there.delete(&path).await;
    assert_eq!(
        viewer.rest().await.last().unwrap().data["status"],
        "stopped"
    );
    store_is(&here, "up").await;
    // And it is no administrator.
    let denied = redis.try_command(&["ACL", "LOG"]).await.unwrap();
    assert!(matches!(denied, Answer::Error(text) if text.starts_with("NOPERM")));
    let [third] = replicas(&url, &[]).await;
    assert_eq!(third.snapshot(&path).await["status"], "stopped");
}

#[actix_web::test]
async fn the_connection_to_redis_can_be_encrypted() {
    let redis = Redis::start_with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let (url, ca) = redis.tls();
    let ca = format!("--redis-ca-file={}", ca.display());
    let [here, there] = replicas(&url, &[&ca]).await;
    let path = here.start("river").await;
    here.steps.release(10_000);
    let all = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&all)["status"], "completed");
    // A certificate of nobody that is known is refused.
    let refused = run_with(&url).await;
    assert!(
        refused.contains("cannot use Redis at localhost:"),
        "{refused}"
    );
}

/// What the program says that cannot start with this store.
async fn run_with(url: &str) -> String {
    let url = url.to_owned();
    let output =
        tokio::task::spawn_blocking(move || run("redis", &["--port=0"], &[("REDIS_URL", &url)]));
    refusal(&soon("the program to end", output).await.unwrap())
}

#[actix_web::test]
async fn a_redis_that_cannot_be_used_at_the_start_is_an_error_that_says_why_and_no_secret() {
    let mut redis = Redis::start_with(Setup {
        user: Some(("rasta", "right", "~* &* +@all")),
        ..Setup::default()
    })
    .await;
    let wrong = redis.url().replace("right", "secret-word");
    let refused = run_with(&wrong).await;
    assert!(refused.contains("WRONGPASS"), "{refused}");
    assert!(
        refused.contains("REDIS_URL") && !refused.contains("secret-word"),
        "{refused}"
    );
    let nobody = format!("redis://rasta:secret-word@{}", redis.addr());
    redis.kill();
    let refused = run_with(&nobody).await;
    assert!(refused.contains(&redis.addr().to_string()), "{refused}");
    assert!(!refused.contains("secret-word"), "{refused}");
    for bad in ["http://somewhere", "redis:", "somewhere:6379", "redis://"] {
        let refused = run_with(bad).await;
        assert!(
            refused.contains("REDIS_URL must be redis://"),
            "{bad}: {refused}"
        );
    }
}

#[actix_web::test]
async fn a_server_that_drains_moves_its_viewers_to_another_replica_and_they_miss_nothing() {
    let redis = Redis::start().await;
    let [mut here, there] = pair(&redis).await;
    let path = here.start("river").await;
    let (mut moved, mut direct) = (here.events(&path, 0).await, here.stream("sea").await);
    let direct_path = direct.header("location").unwrap().to_owned();
    here.steps.release(6);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(moved.next_stored().await.unwrap());
    }
    here.begin_shutdown();
    let farewell = loop {
        match moved.next().await.unwrap() {
            event if event.retry.is_some() => break event,
            event => seen.extend((!event.is_ping()).then_some(event)),
        }
    };
    assert_eq!(
        (farewell.name.as_str(), farewell.id),
        ("ping", seen.len() as u64)
    );
    assert!((200..=3000).contains(&farewell.retry.unwrap()));
    assert_eq!(moved.next().await, None);
    let mut elsewhere = there.events(&path, farewell.id).await;
    let refused = here.post(&json!({"prompt": "more"}), &[]).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json().await["code"], "draining");
    here.steps.release(10_000);
    seen.extend(elsewhere.rest().await);
    assert_eq!(proven(&seen)["status"], "completed");
    assert_eq!(proven(&direct.rest().await)["status"], "completed");
    here.stopped().await;
    // What it has produced outlives it.
    let after = there.events(&direct_path, 0).await.rest().await;
    assert_eq!(proven(&after)["status"], "completed");
    let snapshot: Value = there.snapshot(&path).await;
    assert_eq!(snapshot["status"], "completed");
}

#[actix_web::test]
async fn a_stream_in_the_answer_to_a_post_stays_whoever_produces_the_reply() {
    let redis = Redis::start().await;
    let [here, mut there] = pair(&redis).await;
    let body = json!({"prompt": "river"});
    let key = ("Idempotency-Key", "0123456789abcdef");
    here.post(&body, &[key]).await;
    let streamed = [key, ("Accept", "text/event-stream")];
    let mut stream = there.post(&body, &streamed).await;
    here.steps.release(6);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.push(stream.next_stored().await.unwrap());
    }
    there.begin_shutdown();
    let draining = async {
        while there.get("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    };
    soon("the drain", draining).await;
    here.steps.release(10_000);
    seen.extend(stream.rest().await);
    assert_eq!(proven(&seen)["status"], "completed");
    drop(stream);
    there.stopped().await;
}
