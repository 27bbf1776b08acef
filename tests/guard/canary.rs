//! What callers say never leaves: tokens, cookies, prompts and whatever stands in a header or a path reach no
//! log at any level, no error, no health page and no name in Redis.
//!
//! The real program runs with every line of its log on. Each request has a canary in another place.

use serde_json::{Value, json};

use crate::support::{
    client::{Response, send, send_raw, soon},
    http::request,
    program::Serving,
    redis::{Answer, Redis},
};

/// Part of every secret, and of nothing else.
const CANARY: &str = "canary";
const TOKEN: &str = "canaryTOKEN-5d1f8e2c7b";
const BEARER: (&str, &str) = ("Authorization", "Bearer canaryTOKEN-5d1f8e2c7b");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const STREAM: (&str, &str) = ("Accept", "text/event-stream");
const CROSS_SITE: (&str, &str) = ("Sec-Fetch-Site", "cross-site");
const REPLIES: &str = "/v1/replies";

fn is_clean(what: &str, text: &str) {
    let leak = text
        .lines()
        .find(|line| line.to_lowercase().contains(CANARY));
    assert_eq!(leak, None, "{what}");
}

async fn is_clean_error(what: &str, response: Response) {
    assert!(response.status >= 400, "{what}: {}", response.status);
    is_clean(what, &format!("{:?}", response.headers));
    is_clean(what, &response.text().await);
}

/// Requests that are refused, each with a canary in another place.
async fn refused(serving: &Serving) {
    let addr = serving.addr;
    let host = addr.to_string();
    let prompt = json!({"prompt": "canaryPROMPT"}).to_string();
    let wrong = ("Authorization", "Bearer canaryWRONG-0123456789");
    let in_query = format!("{REPLIES}?access_token={TOKEN}&token={TOKEN}");
    let path = format!("{REPLIES}/canary-0000-4000-8000-000000000000");
    let key = ("Idempotency-Key", "canary");
    let cursor = ("Last-Event-ID", "canary");
    let events = format!("{path}/events");
    for (what, method, path, headers, body) in [
        (
            "wrong token",
            "POST",
            REPLIES,
            &[JSON, wrong][..],
            prompt.as_str(),
        ),
        (
            "other scheme",
            "POST",
            REPLIES,
            &[JSON, ("Authorization", "Basic canary")],
            &prompt,
        ),
        (
            "wrong session",
            "POST",
            REPLIES,
            &[JSON, ("Cookie", "rasta-session=canary.9.9")],
            &prompt,
        ),
        ("token in the query", "POST", &in_query, &[JSON], &prompt),
        (
            "other user",
            "POST",
            REPLIES,
            &[JSON, ("X-Forwarded-User", "canary")],
            &prompt,
        ),
        (
            "other site",
            "POST",
            REPLIES,
            &[
                JSON,
                BEARER,
                CROSS_SITE,
                ("Origin", "https://canary.example"),
            ],
            &prompt,
        ),
        (
            "malformed body",
            "POST",
            REPLIES,
            &[JSON, BEARER],
            "{\"prompt\": canary",
        ),
        (
            "unknown field",
            "POST",
            REPLIES,
            &[JSON, BEARER],
            "{\"canary\": 1}",
        ),
        (
            "other type",
            "POST",
            REPLIES,
            &[("Content-Type", "text/canary"), BEARER],
            &prompt,
        ),
        (
            "malformed key",
            "POST",
            REPLIES,
            &[JSON, BEARER, key],
            &prompt,
        ),
        ("unknown path", "GET", "/canary?canary", &[BEARER], ""),
        ("unknown reply", "GET", &path, &[BEARER], ""),
        ("malformed cursor", "GET", &events, &[BEARER, cursor], ""),
        ("other method", "CANARY", REPLIES, &[BEARER], ""),
        (
            "malformed sign-in",
            "POST",
            "/v1/session",
            &[JSON],
            "{\"token\": canary",
        ),
        (
            "wrong sign-in",
            "POST",
            "/v1/session",
            &[JSON],
            "{\"token\": \"canary\"}",
        ),
    ] {
        let body = Some(body).filter(|body| !body.is_empty());
        is_clean_error(what, send(addr, method, path, headers, body).await).await;
    }
    let other_host = request("GET", "/", "canary.example", &[], None);
    is_clean_error("other host", send_raw(addr, &other_host).await).await;
    for (what, text) in [
        ("no HTTP", "canary canary\r\n\r\n".to_owned()),
        (
            "bad header",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\ncanary canary\r\n\r\n"),
        ),
    ] {
        is_clean_error(what, send_raw(addr, text.as_bytes()).await).await;
    }
}

/// A reply that is started, repeated, read and stopped with a token, and one with a session.
async fn served(serving: &Serving) {
    let addr = serving.addr;
    let body = json!({"prompt": "canaryPROMPT"}).to_string();
    let sign_in = json!({"token": TOKEN}).to_string();
    let opened = send(addr, "POST", "/v1/session", &[JSON], Some(&sign_in)).await;
    assert_eq!(opened.status, 200);
    let cookie = opened.header("set-cookie").unwrap().to_owned();
    is_clean("the cookie", &cookie);
    let cookie = ("Cookie", cookie.split(';').next().unwrap());
    let key = ("Idempotency-Key", "canaryKEY-0123456789");
    for caller in [BEARER, cookie] {
        let mut reply = send(
            addr,
            "POST",
            REPLIES,
            &[JSON, STREAM, caller, key],
            Some(&body),
        )
        .await;
        assert_eq!(reply.status, 200);
        let path = reply.header("location").unwrap().to_owned();
        for event in soon("the reply", reply.rest()).await {
            if event.name != "delta" {
                is_clean("an event that is no text", &event.block);
            }
        }
        let snapshot = send(addr, "GET", &path, &[caller], None).await;
        let mut snapshot: Value = snapshot.json().await;
        snapshot["text"].take();
        is_clean("the snapshot beside its text", &snapshot.to_string());
        assert_eq!(
            send(addr, "DELETE", &path, &[caller], None).await.status,
            202
        );
    }
    for path in ["/readyz", "/livez", "/metrics"] {
        is_clean(
            path,
            &send(addr, "GET", path, &[BEARER], None).await.text().await,
        );
    }
}

async fn nothing_leaks(format: &str) {
    let redis = Redis::start().await;
    let tokens = format!("ann:{TOKEN}");
    let url = redis.url();
    let serving = Serving::start(
        &format!("canary-{format}"),
        &[
            ("ACCESS_TOKENS", tokens.as_str()),
            ("REDIS_URL", &url),
            ("RUST_LOG", "trace"),
            ("LOG_FORMAT", format),
        ],
    );
    served(&serving).await;
    refused(&serving).await;
    let Answer::List(keys) = redis.command(&["KEYS", "*"]).await else {
        panic!("a list")
    };
    assert!(!keys.is_empty());
    is_clean("the keys in Redis", &format!("{keys:?}"));
    serving.signal("-TERM");
    let (_, output) = serving.finish();
    // The log does name the caller.
    assert!(
        output.contains("reply accepted") && output.contains("ann"),
        "{output}"
    );
    is_clean("the log", &output);
}

#[actix_web::test]
async fn no_secret_of_a_caller_reaches_the_log_or_an_error() {
    nothing_leaks("text").await;
    nothing_leaks("json").await;
}
