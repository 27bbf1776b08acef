//! Signing in: a token becomes a cookie, which is worth as much and no longer than the token.

use std::time::Duration;

use rasta_stream::guard::{Clock, SESSION_TTL};

use crate::support::{
    app::{Setup, TestApp, spawn_app, spawn_app_with},
    client::{Response, send, send_raw},
    http::request,
    replica::Scratch,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROMPT: &str = r#"{"prompt":"river"}"#;
const ANN: &str = r#"{"token":"ann-0123456789abcdef"}"#;
const TOKENS: &str = "--access-tokens=ann:ann-0123456789abcdef,bob:bob-0123456789abcdef";

async fn with(flags: &[&str], clock: &Clock) -> TestApp {
    spawn_app_with(Setup {
        flags,
        clock: clock.clone(),
        ..Setup::default()
    })
    .await
}

async fn sign_in(app: &TestApp, body: &str) -> Response {
    send(app.addr, "POST", "/v1/session", &[JSON], Some(body)).await
}

/// Signs in as a browser does; gives what it sends from then on.
async fn signed_in(app: &TestApp, body: &str) -> String {
    let opened = sign_in(app, body).await;
    assert_eq!(opened.status, 200);
    let cookie = opened.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn start(app: &TestApp, cookie: &str) -> Response {
    let headers = [JSON, ("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")];
    send(app.addr, "POST", "/v1/replies", &headers, Some(PROMPT)).await
}

async fn status(app: &TestApp, method: &str, path: &str, cookie: &str) -> u16 {
    let headers = [("Cookie", cookie)];
    send(app.addr, method, path, &headers, None).await.status
}

#[actix_web::test]
async fn a_session_is_worth_as_much_as_its_token() {
    let app = with(&[TOKENS], &Clock::default()).await;
    let opened = sign_in(&app, ANN).await;
    let cookie = opened.header("set-cookie").unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=86400"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("0123456789abcdef"), "{cookie}");
    assert_eq!(opened.header("cache-control"), Some("no-store"));
    assert_eq!(opened.json().await["name"], "ann");
    let ann = signed_in(&app, ANN).await;
    let bob = signed_in(&app, r#"{"token":"bob-0123456789abcdef"}"#).await;
    let path = start(&app, &ann).await;
    let path = path.header("location").unwrap();
    let events = format!("{path}/events");
    for (method, path, worth) in [
        ("GET", path, 200),
        ("GET", &events, 200),
        ("DELETE", path, 202),
    ] {
        assert_eq!(status(&app, method, path, &bob).await, 404);
        assert_eq!(status(&app, method, path, "").await, 401);
        assert_eq!(status(&app, method, path, &format!("{ann}0")).await, 401);
        assert_eq!(
            status(&app, method, path, &ann).await,
            worth,
            "{method} {path}"
        );
    }
    // The token itself opens the same replies.
    let token = [("Authorization", "Bearer ann-0123456789abcdef")];
    assert_eq!(send(app.addr, "GET", path, &token, None).await.status, 200);
}

#[actix_web::test]
async fn under_another_name_than_loopback_the_cookie_needs_tls() {
    let app = with(
        &[TOKENS, "--allowed-hosts=chat.example.com"],
        &Clock::default(),
    )
    .await;
    let bytes = request(
        "POST",
        "/v1/session",
        "chat.example.com",
        &[JSON],
        Some(ANN),
    );
    let opened = send_raw(app.addr, &bytes).await;
    let cookie = opened.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-rasta-session=ann."), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[actix_web::test]
async fn the_session_says_who_is_signed_in_and_ends_on_request() {
    let app = with(&[TOKENS], &Clock::default()).await;
    let ann = signed_in(&app, ANN).await;
    let shown = send(app.addr, "GET", "/v1/session", &[("Cookie", &ann)], None).await;
    assert_eq!(shown.json().await["name"], "ann");
    assert_eq!(status(&app, "GET", "/v1/session", "").await, 401);
    let ended = send(app.addr, "DELETE", "/v1/session", &[("Cookie", &ann)], None).await;
    assert_eq!(ended.status, 204);
    let cookie = ended.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("rasta-session=; ") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    // Where all may ask, there is no name, and no token to sign in with.
    let open = spawn_app().await;
    let shown = open.get("/v1/session").await;
    assert_eq!(shown.json().await["name"], serde_json::Value::Null);
    assert_eq!(sign_in(&open, ANN).await.status, 404);
}

#[actix_web::test]
async fn a_session_ends_after_a_day_and_with_its_token_on_every_replica() {
    let directory = Scratch::new("session");
    let file = directory.path().join("tokens");
    let old = "ann:ann-0123456789abcdef\n";
    std::fs::write(&file, old).unwrap();
    let flag = format!("--access-tokens-file={}", file.to_str().unwrap());
    let clock = Clock::default();
    // No replica remembers a session: what one has opened, the other accepts.
    let (here, there) = (with(&[&flag], &clock).await, with(&[&flag], &clock).await);
    let ann = signed_in(&here, ANN).await;
    assert_eq!(start(&there, &ann).await.status, 201);
    clock.advance(SESSION_TTL - Duration::from_secs(60));
    assert_eq!(start(&there, &ann).await.status, 201);
    clock.advance(Duration::from_secs(60));
    assert_eq!(start(&there, &ann).await.status, 401);
    let ann = signed_in(&here, ANN).await;
    std::fs::write(&file, format!("{old}ann:new-0123456789abcdef\n")).unwrap();
    there.guard.reload();
    assert_eq!(start(&there, &ann).await.status, 201);
    std::fs::write(&file, "ann:new-0123456789abcdef\n").unwrap();
    there.guard.reload();
    assert_eq!(start(&there, &ann).await.status, 401);
}

#[actix_web::test]
async fn other_sites_cannot_sign_a_visitor_in_or_out() {
    let app = with(&[TOKENS], &Clock::default()).await;
    let evil = [JSON, ("Origin", "https://evil.example")];
    for (method, body) in [("POST", Some(ANN)), ("DELETE", None)] {
        let refused = send(app.addr, method, "/v1/session", &evil, body).await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.header("set-cookie"), None);
    }
    for (body, status) in [
        ("{}", 400),
        (r#"{"token":"x","name":"ann"}"#, 400),
        (r#"{"token":1}"#, 400),
    ] {
        assert_eq!(sign_in(&app, body).await.status, status, "{body}");
    }
}

/// A token that is valid is accepted all the same: otherwise one client could lock out all others that share
/// its address.
#[actix_web::test]
async fn a_network_may_guess_ten_tokens_a_minute() {
    let clock = Clock::default();
    let app = with(&[TOKENS], &clock).await;
    let wrong = r#"{"token":"wrong-0123456789abcdef"}"#;
    for _ in 0..10 {
        assert_eq!(sign_in(&app, wrong).await.status, 401);
    }
    let refused = sign_in(&app, ANN).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("6"));
    assert_eq!(refused.json().await["code"], "rate_limited");
    let guess = [("Authorization", "Bearer wrong-0123456789abcdef")];
    let path = "/v1/replies/00000000-0000-4000-8000-000000000000";
    assert_eq!(send(app.addr, "GET", path, &guess, None).await.status, 429);
    let valid = [("Authorization", "Bearer ann-0123456789abcdef")];
    assert_eq!(send(app.addr, "GET", path, &valid, None).await.status, 404);
    clock.advance(Duration::from_secs(6));
    assert_eq!(send(app.addr, "GET", path, &guess, None).await.status, 401);
    clock.advance(Duration::from_secs(6));
    assert_eq!(sign_in(&app, ANN).await.status, 200);
}
