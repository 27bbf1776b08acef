//! What callers may cost: each has its share, and no one can take that of another.

use std::{collections::BTreeMap, time::Duration};

use rasta_stream::guard::{Clock, Reason};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::{Setup, TestApp, requests, spawn_app_with},
    client::{Response, send},
    http::{Decoder, request},
    redis::Redis,
    replicas::replicas,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const STREAM: (&str, &str) = ("Accept", "text/event-stream");
const PROMPT: &str = r#"{"prompt":"river"}"#;
const TOKENS: &str = "--access-tokens=ann:ann-0123456789abcdef,bob:bob-0123456789abcdef";
const ANN: (&str, &str) = ("Authorization", "Bearer ann-0123456789abcdef");
const BOB: (&str, &str) = ("Authorization", "Bearer bob-0123456789abcdef");

async fn with(flags: &[&str], clock: &Clock) -> TestApp {
    spawn_app_with(Setup {
        flags,
        clock: clock.clone(),
        ..Setup::default()
    })
    .await
}

async fn start(app: &TestApp, headers: &[(&str, &str)]) -> Response {
    let headers = [&[JSON], headers].concat();
    send(app.addr, "POST", "/v1/replies", &headers, Some(PROMPT)).await
}

/// Checks a refusal; gives the seconds after which to ask again.
async fn refused(response: Response, code: &str) -> u64 {
    assert_eq!(response.status, 429);
    let seconds = response.header("retry-after").unwrap().parse().unwrap();
    let body: Value = response.json().await;
    assert_eq!(body["code"], code);
    assert_eq!(body["retry_after_ms"], seconds * 1000);
    seconds
}

/// Sends a POST again and again, on one connection as long as that is open; counts the answers by status.
async fn flood(app: &TestApp, headers: &[(&str, &str)], times: usize) -> BTreeMap<u16, usize> {
    let host = app.addr.to_string();
    let headers = [&[JSON], headers].concat();
    let post = request("POST", "/v1/replies", &host, &headers, Some(PROMPT));
    let mut counts = BTreeMap::new();
    let mut stream = None;
    for _ in 0..times {
        let mut decoder = Decoder::new("POST");
        let open: &mut TcpStream = match &mut stream {
            Some(open) => open,
            none => none.insert(TcpStream::connect(app.addr).await.unwrap()),
        };
        open.write_all(&post).await.unwrap();
        while !decoder.is_complete() {
            let mut piece = [0; 4096];
            let read = open.read(&mut piece).await.unwrap();
            assert!(read > 0, "closed without an answer");
            decoder.push(&piece[..read]).unwrap();
        }
        *counts.entry(decoder.status().unwrap()).or_default() += 1;
        if decoder.head().unwrap().header("connection") == Some("close") {
            stream = None;
        }
    }
    counts
}

#[actix_web::test]
async fn ten_thousand_posts_of_one_caller_cost_what_its_limits_allow_and_leave_others_served() {
    let clock = Clock::default();
    let limits = ["--requests-per-minute=20", "--total-requests-per-minute=30"];
    let app = with(&[TOKENS, limits[0], limits[1]], &clock).await;
    let statuses = flood(&app, &[ANN], 10_000).await;
    let (allowed, refused) = (statuses[&201], statuses[&429]);
    assert_eq!(allowed + refused, 10_000, "{statuses:?}");
    // A request more for each three seconds that the flood takes.
    assert!((20..100).contains(&allowed), "{allowed}");
    assert_eq!(
        app.guard.costs().refusals().of(Reason::Requests),
        refused as u64
    );
    assert_eq!(start(&app, &[BOB]).await.status, 201);
    app.all_ended().await;
    assert_eq!(
        requests(&app.simulator.journal().records()).len(),
        allowed + 1
    );
}

#[actix_web::test]
async fn a_caller_may_ask_again_when_the_answer_says_so() {
    let clock = Clock::default();
    let app = with(&["--requests-per-minute=2"], &clock).await;
    for _ in 0..2 {
        assert_eq!(start(&app, &[]).await.status, 201);
    }
    let wait = refused(start(&app, &[]).await, "rate_limited").await;
    assert_eq!(wait, 30);
    clock.advance(Duration::from_secs(wait));
    assert_eq!(start(&app, &[]).await.status, 201);
    refused(start(&app, &[]).await, "rate_limited").await;
}

#[actix_web::test]
async fn all_callers_together_have_a_limit() {
    let app = with(
        &[TOKENS, "--total-requests-per-minute=2"],
        &Clock::default(),
    )
    .await;
    for caller in [ANN, BOB] {
        assert_eq!(start(&app, &[caller]).await.status, 201);
    }
    refused(start(&app, &[ANN]).await, "rate_limited").await;
    assert_eq!(app.guard.costs().refusals().of(Reason::TotalRequests), 1);
}

#[actix_web::test]
async fn running_replies_are_limited_until_one_of_them_ends() {
    let app = spawn_app_with(Setup {
        pace: None,
        flags: &[TOKENS, "--replies-at-once=2", "--total-replies-at-once=3"],
        ..Setup::default()
    })
    .await;
    let first = start(&app, &[ANN]).await;
    let path = first.header("location").unwrap().to_owned();
    assert_eq!(start(&app, &[ANN]).await.status, 201);
    refused(start(&app, &[ANN]).await, "rate_limited").await;
    assert_eq!(start(&app, &[BOB]).await.status, 201);
    refused(start(&app, &[BOB]).await, "rate_limited").await;
    let refusals = app.guard.costs().refusals();
    assert_eq!(refusals.of(Reason::Replies), 1);
    assert_eq!(refusals.of(Reason::TotalReplies), 1);
    // A viewer who sees the end may ask for the next reply at once.
    let stopped = send(app.addr, "DELETE", &path, &[ANN], None).await;
    assert_eq!(stopped.json().await["status"], "stopped");
    assert_eq!(start(&app, &[BOB]).await.status, 201);
}

#[actix_web::test]
async fn a_repeated_post_finds_its_reply_also_at_the_limit() {
    let redis = Redis::start().await;
    let flags = ["--replies-at-once=1"];
    let key = ("Idempotency-Key", "0123456789abcdef");
    let [here, there] = replicas(&redis.url(), &flags).await;
    let alone = spawn_app_with(Setup {
        pace: None,
        flags: &flags,
        ..Setup::default()
    })
    .await;
    for app in [&here, &alone] {
        let path = start(app, &[key])
            .await
            .header("location")
            .unwrap()
            .to_owned();
        refused(start(app, &[]).await, "rate_limited").await;
        for headers in [&[key][..], &[key, STREAM]] {
            let again = start(app, headers).await;
            assert_eq!(
                (again.status, again.header("location").unwrap()),
                (200, path.as_str())
            );
        }
        let other = ("Idempotency-Key", "another-key-0123");
        refused(start(app, &[other]).await, "rate_limited").await;
    }
    // The limit is one of each process.
    assert_eq!(start(&there, &[]).await.status, 201);
}

#[actix_web::test]
async fn behind_a_proxy_each_client_has_a_share_of_its_own() {
    let limit = "--requests-per-minute=1";
    let client = |address| ("X-Forwarded-For", address);
    let trusting = with(&[limit, "--trusted-proxies=127.0.0.1"], &Clock::default()).await;
    for address in [
        "203.0.113.1",
        "203.0.113.2",
        "2001:db8:1:2::1",
        "1.1.1.1, 203.0.113.3",
    ] {
        assert_eq!(
            start(&trusting, &[client(address)]).await.status,
            201,
            "{address}"
        );
    }
    // What stands before the client's address is the claim of the client.
    for address in [
        "203.0.113.1",
        "9.9.9.9, 203.0.113.1",
        "2001:db8:1:2:ffff::9",
    ] {
        refused(start(&trusting, &[client(address)]).await, "rate_limited").await;
    }
    let distrusting = with(&[limit], &Clock::default()).await;
    assert_eq!(
        start(&distrusting, &[client("203.0.113.1")]).await.status,
        201
    );
    refused(
        start(&distrusting, &[client("203.0.113.2")]).await,
        "rate_limited",
    )
    .await;
}

/// An `EventSource` gives up after a 429.
#[actix_web::test]
async fn reading_a_reply_is_not_limited() {
    let app = with(&["--requests-per-minute=1"], &Clock::default()).await;
    let path = start(&app, &[])
        .await
        .header("location")
        .unwrap()
        .to_owned();
    refused(start(&app, &[]).await, "rate_limited").await;
    for _ in 0..20 {
        app.events(&path, 0).await;
        app.snapshot(&path).await;
    }
    assert_eq!(app.delete(&path).await.status, 202);
}
