//! A replica that drains beside another one.

use serde_json::json;

use crate::support::{
    client::{blocks, proven, soon},
    redis::Redis,
    replicas::pair,
};

#[actix_web::test]
async fn a_server_that_drains_moves_its_viewers_to_another_replica_and_they_miss_nothing() {
    let redis = Redis::start().await;
    let [mut here, there] = pair(&redis).await;
    let mut direct = here.stream("river").await;
    let path = direct.header("location").unwrap().to_owned();
    let mut moved = here.events(&path, 0).await;
    here.steps.release(6);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(moved.next_stored().await.unwrap());
    }
    here.begin_shutdown();
    // Its events as ever, and then one ping with a time to wait; `next` proves the end in good order.
    let hint = loop {
        match moved.next().await.unwrap() {
            event if event.retry.is_some() => break event,
            event => seen.extend((!event.is_ping()).then_some(event)),
        }
    };
    assert_eq!((hint.name.as_str(), hint.id), ("ping", seen.len() as u64));
    assert!((200..=3000).contains(&hint.retry.unwrap()));
    assert_eq!(moved.next().await, None);

    // It reconnects to the replica that it left, by chance, and then to the other one.
    let mut again = here.events(&path, hint.id).await;
    assert_eq!(again.header("connection"), Some("close"));
    let sent_on = again.next().await.unwrap();
    assert_eq!((sent_on.name.as_str(), sent_on.id), ("ping", hint.id));
    assert_eq!(sent_on.data, json!({"last": hint.id}));
    assert!((200..=3000).contains(&sent_on.retry.unwrap()));
    assert_eq!(again.next().await, None);
    let mut elsewhere = there.events(&path, hint.id).await;
    let refused = here.post(&json!({"prompt": "more"}), &[]).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json().await["code"], "draining");

    here.steps.release(10_000);
    seen.extend(elsewhere.rest().await);
    assert_eq!(proven(&seen)["status"], "completed");
    // A stream in the answer to its POST stays.
    assert_eq!(blocks(&direct.rest().await), blocks(&seen));
    here.stopped().await;
    // What it has produced outlives it.
    let after = there.events(&path, 0).await.rest().await;
    assert_eq!(blocks(&after), blocks(&seen));
    assert_eq!(there.snapshot(&path).await["status"], "completed");
}

#[actix_web::test]
async fn a_stream_in_the_answer_to_a_post_stays_whichever_replica_leads_the_reply() {
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
