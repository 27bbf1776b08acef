//! A reply that another replica writes: whichever is asked, it gives the same events, snapshot, stop and
//! end of retention.

use serde_json::json;

use crate::support::{
    client::{blocks, proven, soon, text_of},
    proxy::{Effect, Proxy, Way, Which},
    redis::{Answer, Redis},
    replicas::{id, pair, read_to, replicas},
};

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
async fn every_cursor_gets_on_another_replica_what_it_gets_on_the_leaders() {
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
    for app in [&here, &there] {
        let ping = app.events(&path, u64::MAX).await.next().await.unwrap();
        assert_eq!((ping.name.as_str(), ping.id), ("ping", u64::MAX));
    }
    here.steps.release(10_000);
    assert_eq!(ahead.rest().await[0].id, 6);
}

#[actix_web::test]
async fn a_stop_on_another_replica_closes_upstream_and_all_viewers_see_the_end() {
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
async fn a_stop_whose_message_is_lost_is_found_by_the_leader() {
    let redis = Redis::start().await;
    let wire = Proxy::start(redis.addr()).await;
    let [here] = replicas(&redis.url_at(wire.addr()), &[]).await;
    let [there] = replicas(&redis.url(), &[]).await;
    let path = here.start("river").await;
    here.upstream_was_asked().await;
    // Messages to the leader are lost; its reads are not.
    wire.set(Which::Sent("SUBSCRIBE"), Effect::Hold(Way::Down));
    there.delete(&path).await;
    here.upstream_was_left().await;
    let events = there.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["reason"], "viewer");
}

#[actix_web::test]
async fn a_reply_that_is_read_on_another_replica_only_is_not_stopped_as_unread() {
    let redis = Redis::start().await;
    let flags = ["--idle-reader-seconds=0.2", "--ping-seconds=0.5"];
    let [here, there] = replicas(&redis.url(), &flags).await;
    let read = here.start("river").await;
    let unread = here.start("desert").await;
    let mut viewer = there.events(&read, 0).await;
    // The one without readers is stopped meanwhile.
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
