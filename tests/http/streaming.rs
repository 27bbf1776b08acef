//! Each piece is passed on the instant it comes, whatever else goes on.

use std::sync::atomic::Ordering;

use rasta_stream::simulator::{JournalEvent, Record};
use serde_json::json;

use crate::support::{
    app::{Setup, chunked, spawn_app_with, spawn_canned, spawn_scenario, spawn_stepped},
    client::{proven, text_of},
};

fn frames_sent(records: &[Record]) -> usize {
    records
        .iter()
        .filter(|record| matches!(record.event, JournalEvent::FrameSent { .. }))
        .count()
}

#[actix_web::test]
async fn each_delta_is_out_before_the_next_chunk_is_in() {
    let app = spawn_stepped(&[]).await;
    let mut viewer = app.stream("river").await;
    assert_eq!(viewer.next_stored().await.unwrap().name, "start");
    // The filter results of the prompt and the role: frames without text.
    app.steps.release(2);
    for delta in 1..=20 {
        app.steps.release(1);
        // Upstream holds the next chunk back until this one has come out at the other end.
        let event = viewer.next_stored().await.unwrap();
        assert_eq!((event.name.as_str(), event.id), ("delta", delta + 1));
        assert_eq!(
            frames_sent(&app.simulator.journal().records()),
            2 + delta as usize
        );
    }
    app.steps.release(10_000);
    let rest = viewer.rest().await;
    assert_eq!(rest.last().unwrap().data["status"], "completed");
}

#[actix_web::test]
async fn the_start_is_out_before_upstream_has_said_anything() {
    let app = spawn_scenario("no-head", &[]).await;
    let mut viewer = app.stream("river").await;
    let start = viewer.next().await.unwrap();
    assert_eq!((start.id, start.name.as_str()), (1, "start"));
    app.upstream_was_asked().await;
}

#[actix_web::test]
async fn chunks_that_come_in_one_read_are_not_merged() {
    let app = spawn_scenario("burst", &[]).await;
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    let deltas = events.iter().filter(|event| event.name == "delta").count();
    assert_eq!(
        end["usage"]["completion_tokens"], deltas,
        "one chunk with text is one delta"
    );
}

#[actix_web::test]
async fn bytes_that_come_one_by_one_make_the_same_text() {
    let whole = spawn_scenario("burst", &[])
        .await
        .stream("river")
        .await
        .rest()
        .await;
    let bytes = spawn_scenario("one-byte", &[])
        .await
        .stream("river")
        .await
        .rest()
        .await;
    assert_eq!(proven(&bytes)["status"], "completed");
    // The simulator plays one stanza of the verse so: it takes a write for each byte.
    let (whole, stanza) = (text_of(&whole), text_of(&bytes));
    assert!(stanza.len() > 50 && whole.starts_with(&stanza), "{stanza}");
}

#[actix_web::test]
async fn more_than_a_hundred_replies_stream_at_once_on_one_worker() {
    let app = spawn_stepped(&[]).await;
    let mut viewers = Vec::new();
    for _ in 0..150 {
        viewers.push(app.stream("river").await);
    }
    // All of them are being answered: none waits for another to end.
    app.upstream_saw("150 requests", |records| {
        let asked = records
            .iter()
            .filter(|r| matches!(r.event, JournalEvent::Request { .. }));
        asked.count() == 150
    })
    .await;
    assert_eq!(app.store.running(), 150);
    app.steps.release(150 * 10_000);
    for viewer in &mut viewers {
        assert_eq!(proven(&viewer.rest().await)["status"], "completed");
    }
    app.all_ended().await;
}

#[actix_web::test]
async fn a_large_event_comes_whole_in_pieces() {
    let text = "Jah is love, \u{1F981} and love is all. ".repeat(4000);
    let chunk = json!({"choices": [{"delta": {"content": text}}]});
    let finish = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let body = format!("data: {chunk}\n\ndata: {finish}\n\ndata: [DONE]\n\n");
    let (upstream, asked) = spawn_canned(chunked(body.as_bytes())).await;
    let endpoint = Some(format!("http://{upstream}"));
    let app = spawn_app_with(Setup {
        endpoint,
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    assert_eq!(text_of(&events), text);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn a_server_that_speaks_the_openai_protocol_is_an_upstream_too() {
    let plain = spawn_scenario("burst", &[]).await;
    let endpoint = Some(format!("{}/openai/v1", plain.simulator.url()));
    let app = spawn_app_with(Setup {
        endpoint,
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    let (_, path_and_query, headers) = plain.first_request();
    assert_eq!(path_and_query, "/openai/v1/chat/completions");
    let header = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    assert_eq!(header("authorization").unwrap().1, "Bearer k");
    assert_eq!(header("api-key"), None);
}

#[actix_web::test]
async fn azure_is_asked_with_its_own_header_and_nothing_of_the_callers() {
    let flags = ["--azure-openai-api-version=2024-10-21"];
    let app = spawn_app_with(Setup {
        flags: &flags,
        ..Setup::default()
    })
    .await;
    let headers = [
        ("Accept", "text/event-stream"),
        ("Cookie", "session=1"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Authorization", "Bearer callers-own"),
    ];
    app.post(&json!({"prompt": "river"}), &headers)
        .await
        .rest()
        .await;
    let (method, path_and_query, headers) = app.first_request();
    assert_eq!(method, "POST");
    assert_eq!(
        path_and_query,
        "/openai/deployments/any/chat/completions?api-version=2024-10-21"
    );
    let mut names: Vec<String> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "api-key",
            "connection",
            "content-length",
            "content-type",
            "date",
            "host",
            "user-agent"
        ]
    );
    let encoding = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
    assert_eq!(
        encoding.unwrap().1,
        "identity",
        "a compressed stream is a buffered one"
    );
}

#[actix_web::test]
async fn no_header_of_upstreams_reaches_a_viewer() {
    let body = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let answer = String::from_utf8(chunked(body)).unwrap().replacen(
        "Content-Type",
        "Access-Control-Allow-Origin: *\r\nX-Ms-Region: node-17\r\n\
         X-Request-Id: upstreams-own-id\r\nSet-Cookie: a=b\r\nContent-Type",
        1,
    );
    let (upstream, _) = spawn_canned(answer.into_bytes()).await;
    let endpoint = Some(format!("http://{upstream}"));
    let app = spawn_app_with(Setup {
        endpoint,
        ..Setup::default()
    })
    .await;
    let mut viewer = app.stream("river").await;
    let mut names: Vec<&str> = viewer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "cache-control",
            "content-security-policy",
            "content-type",
            "cross-origin-opener-policy",
            "cross-origin-resource-policy",
            "date",
            "location",
            "permissions-policy",
            "referrer-policy",
            "transfer-encoding",
            "x-accel-buffering",
            "x-content-type-options",
            "x-request-id"
        ]
    );
    assert_ne!(viewer.header("x-request-id"), Some("upstreams-own-id"));
    assert_eq!(proven(&viewer.rest().await)["status"], "completed");
}
