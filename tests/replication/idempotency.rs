//! One Idempotency-Key over several replicas: whichever is asked, one reply is started.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::support::{
    app::{TestApp, requests},
    client::{proven, soon},
    proxy::{Effect, Proxy, Way, Which},
    redis::{Answer, Redis},
    replicas::{pair, replicas},
};

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
    // The claim arrives in Redis, and its answer does not come back. Only a claim has a GET after NX.
    let claim = Which::Sent("NX\r\n*2\r\n$3\r\nGET\r\n");
    wire.set(claim, Effect::Hold(Way::Down));
    let mut caller = tokio::net::TcpStream::connect(here.addr).await.unwrap();
    let post = "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
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

/// Sends a POST with this key until its outcome is known: the status and the reply.
async fn post_with(app: &TestApp, key: &str) -> (u16, String) {
    let headers = [("Idempotency-Key", key)];
    loop {
        let answer = app.post(&json!({"prompt": "river"}), &headers).await;
        if answer.status != 503 {
            return (answer.status, answer.header("location").unwrap().to_owned());
        }
        assert!(answer.header("retry-after").is_some());
    }
}

/// Starts replies with these keys on one replica, and expects another to find all of them.
async fn are_found(there: &TestApp, replies: &[(String, String)]) {
    let posts = replies.iter().map(|(key, path)| async move {
        let found = soon("a POST with a known key", post_with(there, key)).await;
        assert_eq!(found, (200, path.clone()), "{key}");
    });
    futures_util::future::join_all(posts).await;
}

#[actix_web::test]
async fn while_a_leader_restores_thousands_of_claims_slowly_no_key_starts_a_second_reply() {
    const KEYS: usize = 1500;
    let mut redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    let [here] = replicas(&redis.url_at(wire.addr()), &[]).await;
    let [there] = replicas(&redis.url(), &[]).await;
    here.steps.release(1_000_000);
    let mut replies = Vec::new();
    for number in 0..KEYS {
        let key = format!("a-key-with-number-{number}");
        let (status, path) = post_with(&here, &key).await;
        assert_eq!(status, 201);
        replies.push((key, path));
    }
    here.all_ended().await;
    // All claims together now take longer than a connection needs to settle.
    wire.set(Which::All, Effect::Rate(Way::Up, 70_000));
    redis.restart().await;
    let restored = async {
        let mut begun = None;
        loop {
            match redis.command(&["KEYS", "rasta:key:*"]).await {
                Answer::List(keys) if keys.is_empty() => {}
                Answer::List(keys) if keys.len() < KEYS => {
                    begun.get_or_insert_with(Instant::now);
                }
                _ => break,
            }
            sleep(Duration::from_millis(20)).await;
        }
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        assert!(took > Duration::from_secs(3), "{took:?}");
        // The logs would take minutes.
        wire.lift();
    };
    tokio::join!(restored, are_found(&there, &replies[..60]));
}

#[actix_web::test]
async fn claims_are_restored_after_all_keys_were_removed_on_open_connections() {
    let redis = Redis::start().await;
    let [here, there] = pair(&redis).await;
    here.steps.release(10_000);
    let (_, path) = post_with(&here, "0123456789abcdef").await;
    here.all_ended().await;
    redis.command(&["FLUSHALL"]).await;
    let restored = async {
        while redis.command(&["KEYS", "rasta:key:*"]).await == Answer::List(vec![]) {
            tokio::task::yield_now().await;
        }
    };
    soon("the claims to be restored", restored).await;
    are_found(&there, &[("0123456789abcdef".to_owned(), path)]).await;
}
