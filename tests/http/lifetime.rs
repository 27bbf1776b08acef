//! When a reply stops, how long it is kept, and how many there may be.

use rasta_stream::store::{Log, StopRequest};
use serde_json::json;

use crate::support::{
    app::{Setup, spawn_app, spawn_app_with, spawn_scenario, spawn_stepped},
    client::{blocks, proven, soon},
};

#[actix_web::test]
async fn a_stop_before_the_first_token_closes_upstream_and_every_viewer_sees_the_end() {
    for scenario in ["no-head", "silent"] {
        let app = spawn_scenario(scenario, &[]).await;
        let path = app.start("river").await;
        let mut viewers = [app.events(&path, 0).await, app.events(&path, 0).await];
        app.upstream_was_asked().await;
        let stopped = app.delete(&path).await;
        assert_eq!(stopped.status, 202);
        let snapshot = stopped.json().await;
        assert_eq!(
            (&snapshot["status"], &snapshot["reason"]),
            (&json!("stopped"), &json!("viewer"))
        );
        app.upstream_was_left().await;
        for viewer in &mut viewers {
            let events = viewer.rest().await;
            let end = proven(&events);
            assert_eq!(end["status"], "stopped", "{scenario}");
            assert_eq!(end["finish_reason"], json!(null));
            assert_eq!(end["model"], json!(null));
            // A deployment that has responded has read the prompt.
            match scenario {
                "no-head" => assert_eq!(end["usage"], json!(null)),
                _ => assert_eq!(end["usage"]["completion_tokens"], 0),
            }
            assert_eq!(end["ms"]["first"], json!(null));
        }
    }
}

#[actix_web::test]
async fn a_stop_during_a_reply_keeps_the_text_and_stopping_again_changes_nothing() {
    let app = spawn_stepped(&[]).await;
    let mut viewer = app.stream("river").await;
    let path = viewer.header("location").unwrap().to_owned();
    app.steps.release(8);
    while viewer.next_stored().await.unwrap().id < 7 {}
    let first = app.delete(&path).await.json().await;
    assert_eq!(first["status"], "stopped");
    assert!(!first["text"].as_str().unwrap().is_empty());
    app.upstream_was_left().await;
    let again = app.delete(&path).await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json().await, first);
    let rest = viewer.rest().await;
    assert_eq!(rest.last().unwrap().data["reason"], "viewer");
    app.all_ended().await;
}

#[actix_web::test]
async fn stopping_an_ended_reply_leaves_its_end_as_it_was() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let events = app.events(&path, 0).await.rest().await;
    let snapshot = app.delete(&path).await.json().await;
    assert_eq!(snapshot["status"], "completed");
    assert_eq!(
        blocks(&app.events(&path, 0).await.rest().await),
        blocks(&events)
    );
}

#[actix_web::test]
async fn a_reply_without_readers_is_stopped() {
    let app = spawn_scenario("endless", &["--idle-reader-seconds=0.2"]).await;
    let path = app.start("river").await;
    app.upstream_was_left().await;
    let events = app.events(&path, 0).await.rest().await;
    let end = proven(&events);
    assert_eq!(
        (&end["status"], &end["reason"]),
        (&json!("stopped"), &json!("unread"))
    );
}

#[actix_web::test]
async fn a_reply_whose_reader_asked_for_time_outlives_one_without() {
    let app = spawn_scenario("endless", &["--idle-reader-seconds=0.2"]).await;
    let body = json!({"prompt": "river", "idle_reader_seconds": 300});
    let patient = app.post(&body, &[]).await;
    let patient = patient.header("location").unwrap().to_owned();
    let plain = app.start("river").await;
    // `end` does not count as reading.
    let ended = async {
        while app.log(&plain).await.end().is_none() {
            tokio::task::yield_now().await;
        }
    };
    soon("the reply without readers to end", ended).await;
    assert_eq!(app.snapshot(&plain).await["reason"], "unread");
    assert_eq!(app.snapshot(&patient).await["status"], "running");
    app.delete(&patient).await;
}

#[actix_web::test]
async fn a_viewer_that_disconnects_is_noticed_while_upstream_is_silent() {
    // Nothing is written that could fail: only the closed connection can tell.
    let app = spawn_scenario(
        "silent",
        &["--idle-reader-seconds=0.2", "--ping-seconds=600"],
    )
    .await;
    let viewer = app.stream("river").await;
    app.upstream_was_asked().await;
    assert_eq!(app.store.running(), 1);
    drop(viewer);
    app.upstream_was_left().await;
}

#[actix_web::test]
async fn an_open_viewer_keeps_a_silent_reply_alive() {
    let app = spawn_scenario(
        "silent",
        &["--idle-reader-seconds=0.2", "--ping-seconds=0.1"],
    )
    .await;
    let mut viewer = app.stream("river").await;
    for _ in 0..8 {
        assert_ne!(viewer.next().await.unwrap().name, "end");
    }
    assert_eq!(app.store.running(), 1);
}

#[actix_web::test]
async fn a_reply_is_evicted_when_its_retention_is_over() {
    let app = spawn_app_with(Setup {
        flags: &["--retention-seconds=0.3"],
        ..Setup::default()
    })
    .await;
    let path = app.start("river").await;
    app.events(&path, 0).await.rest().await;
    let gone = async {
        while app.get(&path).await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    soon("the reply to go", gone).await;
    let response = app.get(&format!("{path}/events")).await;
    assert_eq!(response.status, 404);
    assert_eq!(response.json().await["code"], "reply_not_found");
}

#[actix_web::test]
async fn the_oldest_ended_reply_makes_room_and_running_ones_are_refused_more() {
    let flags = ["--max-replies=2"];
    let app = spawn_app_with(Setup {
        pace: None,
        flags: &flags,
        ..Setup::default()
    })
    .await;
    let (first, _second) = (app.start("one").await, app.start("two").await);
    let refused = app.post(&json!({"prompt": "three"}), &[]).await;
    assert_eq!(refused.status, 503);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((2..=8).contains(&wait));
    let body = refused.json().await;
    assert_eq!(body["code"], "overloaded");
    assert_eq!(body["retry_after_ms"], wait * 1000);

    app.delete(&first).await;
    app.start("three").await;
    assert_eq!(app.get(&first).await.status, 404);
}

#[actix_web::test]
async fn a_client_that_sends_half_a_body_is_disconnected() {
    use tokio::io::AsyncWriteExt as _;
    let app = spawn_app().await;
    let mut stream = tokio::net::TcpStream::connect(app.addr).await.unwrap();
    let half = "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{\"prompt\":";
    stream.write_all(half.as_bytes()).await.unwrap();
    drop(stream);
    // The server goes on, and nothing was started.
    app.shut_down().await;
}

#[actix_web::test]
async fn the_first_of_two_stops_decides() {
    let app = spawn_scenario("silent", &[]).await;
    let path = app.start("river").await;
    let Log::Local(log) = app.log(&path).await else {
        panic!("this replica writes it")
    };
    log.request_stop(StopRequest::Viewer);
    log.request_stop(StopRequest::Shutdown);
    let events = app.events(&path, 0).await.rest().await;
    assert_eq!(proven(&events)["reason"], "viewer");
}
