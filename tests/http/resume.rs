//! Whatever disconnects a viewer suffers, it gets events 1 to N, once, in order.

use serde_json::json;

use crate::support::{
    app::{spawn_app, spawn_scenario, spawn_stepped},
    client::{self, blocks, proven, text_of},
};

#[actix_web::test]
async fn a_viewer_that_reconnects_after_every_single_event_misses_and_doubles_nothing() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    let mut steady = app.events(&path, 0).await;
    let mut seen: Vec<client::Event> = Vec::new();
    app.steps.release(2);
    loop {
        let cursor = seen.last().map_or(0, |event| event.id);
        let mut connection = app.events(&path, cursor).await;
        app.steps.release(1);
        let event = connection.next_stored().await.unwrap();
        let last = event.name == "end";
        seen.push(event);
        if last {
            break;
        }
    }
    proven(&seen);
    assert!(seen.len() > 20);
    assert_eq!(blocks(&seen), blocks(&steady.rest().await));
}

#[actix_web::test]
async fn every_cursor_of_an_ended_reply_gets_exactly_what_follows_it() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let all = app.events(&path, 0).await.rest().await;
    proven(&all);
    for cursor in 0..all.len() {
        let rest = app.events(&path, cursor as u64).await.rest().await;
        assert_eq!(blocks(&rest), blocks(&all[cursor..]), "after {cursor}");
    }
}

#[actix_web::test]
async fn ten_viewers_at_once_get_the_same_bytes() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    let mut viewers = Vec::new();
    for late in 0..10 {
        viewers.push(app.events(&path, 0).await);
        app.steps.release(late);
    }
    app.steps.release(10_000);
    let mut transcripts = Vec::new();
    for viewer in &mut viewers {
        let events = viewer.rest().await;
        proven(&events);
        transcripts.push(blocks(&events));
    }
    assert!(transcripts.windows(2).all(|pair| pair[0] == pair[1]));
}

#[actix_web::test]
async fn a_cursor_at_the_end_is_answered_204_and_one_beyond_it_400() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let last = app.events(&path, 0).await.rest().await.len() as u64;
    let get = async |cursor: u64| {
        let headers = [("Last-Event-ID", &*cursor.to_string())];
        client::send(app.addr, "GET", &format!("{path}/events"), &headers, None).await
    };
    let done = get(last).await;
    assert_eq!(
        (done.status, done.header("cache-control")),
        (204, Some("no-store"))
    );
    let ahead = get(last + 1).await;
    assert_eq!(ahead.status, 400);
    assert_eq!(ahead.json().await["code"], "cursor_ahead");
    let bad = app.get(&format!("{path}/events?after=x")).await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.json().await["code"], "bad_cursor");
}

#[actix_web::test]
async fn a_cursor_ahead_of_a_running_reply_waits_until_the_reply_gets_there() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    let mut ahead = app.events(&path, 5).await;
    let ping = ahead.next().await.unwrap();
    assert_eq!(
        (ping.name.as_str(), ping.id, &ping.data),
        ("ping", 5, &json!({"last": 5}))
    );
    app.steps.release(10_000);
    let rest = ahead.rest().await;
    assert_eq!(rest[0].id, 6);
    let all = app.events(&path, 0).await.rest().await;
    assert_eq!(blocks(&rest), blocks(&all[5..]));
}

#[actix_web::test]
async fn a_reloaded_page_takes_the_snapshot_and_follows_from_there() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    app.steps.release(12);
    let mut before = app.events(&path, 0).await;
    while before.next_stored().await.unwrap().id < 11 {}
    drop(before);

    let snapshot = app.snapshot(&path).await;
    let cursor = snapshot["last_event_id"].as_u64().unwrap();
    let mut after = app.get(&format!("{path}/events?after={cursor}")).await;
    app.steps.release(10_000);
    let text = format!(
        "{}{}",
        snapshot["text"].as_str().unwrap(),
        text_of(&after.rest().await)
    );
    assert_eq!(text, text_of(&app.events(&path, 0).await.rest().await));
}

#[actix_web::test]
async fn a_connection_with_nothing_to_replay_gets_a_ping_at_once() {
    let app = spawn_scenario("no-head", &[]).await;
    let path = app.start("river").await;
    let ping = app.events(&path, 1).await.next().await.unwrap();
    assert_eq!((ping.name.as_str(), ping.id), ("ping", 1));
    assert!(ping.retry.is_some());
}

#[actix_web::test]
async fn silence_is_filled_with_pings_that_do_not_move_the_cursor() {
    let app = spawn_scenario("no-head", &["--ping-seconds=0.05"]).await;
    let mut viewer = app.stream("river").await;
    assert_eq!(viewer.next().await.unwrap().name, "start");
    for _ in 0..5 {
        let ping = viewer.next().await.unwrap();
        assert_eq!((ping.name.as_str(), ping.id, ping.retry), ("ping", 1, None));
    }
}

#[actix_web::test]
async fn a_viewer_that_leaves_does_not_stop_the_reply() {
    let app = spawn_stepped(&[]).await;
    let mut viewer = app.stream("river").await;
    let path = viewer.header("location").unwrap().to_owned();
    app.steps.release(5);
    while viewer.next_stored().await.unwrap().id < 4 {}
    drop(viewer);
    app.steps.release(10_000);
    let events = app.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
}
