//! The same reply as lines of JSON, as plain text, and as OpenAI's chunks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    app::{spawn_app, spawn_scenario, spawn_stepped},
    client::{self, Ending, proven, text_of},
};

/// The JSON objects of a body of lines.
fn lines(body: &str) -> Vec<Value> {
    assert!(body.ends_with('\n'), "{body}");
    body.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[actix_web::test]
async fn lines_of_json_are_the_native_events() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let events = app.events(&path, 0).await.rest().await;
    let response = app.get(&format!("{path}/events?format=ndjson")).await;
    assert_eq!(
        response.header("content-type"),
        Some("application/x-ndjson; charset=utf-8")
    );
    let lines = lines(&response.text().await);
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(&events) {
        let expected = json!({"id": event.id, "event": event.name, "data": event.data});
        assert_eq!(*line, expected);
    }
}

#[actix_web::test]
async fn lines_of_json_can_be_resumed_at_every_event() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let all = app.events(&path, 0).await.rest().await;
    let body = app.get(&format!("{path}/events?format=ndjson")).await;
    let whole = lines(&body.text().await);
    for cursor in 0..all.len() - 1 {
        let path = format!("{path}/events?format=ndjson&after={cursor}");
        let rest = lines(&app.get(&path).await.text().await);
        assert_eq!(rest, whole[cursor..], "after {cursor}");
    }
    let last = format!("{path}/events?format=ndjson&after={}", all.len());
    assert_eq!(app.get(&last).await.status, 204);
}

#[actix_web::test]
async fn plain_text_is_the_reply_and_nothing_else_as_it_is_written() {
    let app = spawn_stepped(&[]).await;
    let body = json!({"prompt": "river"});
    let response = app.post(&body, &[("Accept", "text/plain, */*")]).await;
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let path = response.header("location").unwrap().to_owned();
    app.steps.release(10_000);
    let (text, ending) = response.text_to_its_end().await;
    let events = app.events(&path, 0).await.rest().await;
    proven(&events);
    assert_eq!(text, text_of(&events) + "\n");
    assert_eq!(ending, Ending::Whole);
}

#[actix_web::test]
async fn plain_text_of_a_reply_that_fails_or_is_stopped_is_cut() {
    let app = spawn_scenario("truncated", &[]).await;
    let body = json!({"prompt": "river"});
    let response = app.post(&body, &[("Accept", "text/plain")]).await;
    let path = response.header("location").unwrap().to_owned();
    let (text, ending) = response.text_to_its_end().await;
    assert_eq!(ending, Ending::Cut);
    let events = app.events(&path, 0).await.rest().await;
    assert_eq!(events.last().unwrap().data["status"], "failed");
    assert_eq!(text, text_of(&events), "what came before it is not lost");

    let app = spawn_stepped(&[]).await;
    app.steps.release(6);
    let response = app.post(&body, &[("Accept", "text/plain")]).await;
    let path = response.header("location").unwrap().to_owned();
    assert_eq!(app.delete(&path).await.status, 202);
    assert_eq!(response.text_to_its_end().await.1, Ending::Cut);
}

#[actix_web::test]
async fn chunks_can_be_resumed_at_every_event() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let count = app.events(&path, 0).await.rest().await.len();
    let chunks = |after: usize| {
        let path = format!("{path}/events?format=openai&after={after}");
        let app = &app;
        async move {
            let body = app.get(&path).await.text().await;
            let (retry, frames) = body.split_once('\n').unwrap();
            assert!(retry.starts_with("retry: "), "{retry}");
            frames.to_owned()
        }
    };
    let whole = chunks(0).await;
    assert!(
        whole.ends_with(&format!("id: {count}\ndata: [DONE]\n\n")),
        "{whole}"
    );
    for cursor in 1..count {
        let rest = chunks(cursor).await;
        assert!(whole.ends_with(&rest), "after {cursor}: {rest}");
        let seen = whole.strip_suffix(&rest).unwrap();
        let last = seen.rmatches("id: ").count();
        assert_eq!(last, cursor, "{seen}");
    }
}

#[actix_web::test]
async fn an_unknown_format_is_refused() {
    let app = spawn_app().await;
    let path = app.start("river").await;
    let response = app.get(&format!("{path}/events?format=xml")).await;
    assert_eq!(response.status, 400);
    assert_eq!(response.json().await["code"], "bad_request");
}

#[actix_web::test]
async fn clients_that_do_not_reconnect_get_503_from_a_server_that_drains() {
    let app = spawn_stepped(&[]).await;
    let path = app.start("river").await;
    app.drain.start(Duration::ZERO);
    for (format, status) in [
        ("events", 200),
        ("openai", 200),
        ("ndjson", 503),
        ("text", 503),
    ] {
        let path = format!("{path}/events?format={format}");
        let response = client::send(app.addr, "GET", &path, &[], None).await;
        assert_eq!(response.status, status, "{format}");
    }
    app.steps.release(10_000);
}
