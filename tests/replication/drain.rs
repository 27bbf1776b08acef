//! A replica that drains beside another one.

use serde_json::{Value, json};

use crate::support::{
    client::{proven, soon},
    redis::Redis,
    replicas::pair,
};

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
    let hint = loop {
        match moved.next().await.unwrap() {
            event if event.retry.is_some() => break event,
            event => seen.extend((!event.is_ping()).then_some(event)),
        }
    };
    assert_eq!((hint.name.as_str(), hint.id), ("ping", seen.len() as u64));
    assert!((200..=3000).contains(&hint.retry.unwrap()));
    assert_eq!(moved.next().await, None);
    let mut elsewhere = there.events(&path, hint.id).await;
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
