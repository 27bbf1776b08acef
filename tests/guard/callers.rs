//! Who may ask, and that a reply is its caller's on every route and every replica.

use std::{path::Path, time::Duration};

use rasta_stream::guard::Clock;
use serde_json::Value;

use crate::support::{
    app::{Setup, TestApp, spawn_app, spawn_app_with},
    client::{Response, send},
    program::{Serving, refusal, run},
    redis::Redis,
    replica::Scratch,
    replicas::replicas,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const STREAM: (&str, &str) = ("Accept", "text/event-stream");
const PROMPT: &str = r#"{"prompt":"river"}"#;
const TOKENS: &str = "--access-tokens=ann:ann-0123456789abcdef,bob:bob-0123456789abcdef";
const ANN: (&str, &str) = ("Authorization", "Bearer ann-0123456789abcdef");
const BOB: (&str, &str) = ("Authorization", "Bearer bob-0123456789abcdef");

async fn with(flags: &[&str]) -> TestApp {
    spawn_app_with(Setup {
        flags,
        ..Setup::default()
    })
    .await
}

async fn start(app: &TestApp, headers: &[(&str, &str)]) -> Response {
    let headers = [&[JSON], headers].concat();
    send(app.addr, "POST", "/v1/replies", &headers, Some(PROMPT)).await
}

async fn path_of(app: &TestApp, headers: &[(&str, &str)]) -> String {
    let started = start(app, headers).await;
    assert!([200, 201].contains(&started.status), "{}", started.status);
    started.header("location").unwrap().to_owned()
}

/// The status of each way to a reply that exists.
async fn statuses(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> [u16; 3] {
    let events = format!("{path}/events");
    let mut statuses = [0; 3];
    for (at, (method, path)) in [("GET", path), ("GET", &events), ("DELETE", path)]
        .into_iter()
        .enumerate()
    {
        statuses[at] = send(app.addr, method, path, headers, None).await.status;
    }
    statuses
}

#[actix_web::test]
async fn every_route_of_replies_needs_a_valid_token() {
    let clock = Clock::default();
    let app = spawn_app_with(Setup {
        flags: &[TOKENS],
        clock: clock.clone(),
        ..Setup::default()
    })
    .await;
    let path = path_of(&app, &[ANN]).await;
    let in_query = format!("{path}?access_token=ann-0123456789abcdef&token=ann-0123456789abcdef");
    for headers in [
        &[][..],
        &[("Authorization", "Bearer ann-0123456789abcdeF")],
        &[("Authorization", "Bearer ann")],
        &[("Authorization", "Basic ann-0123456789abcdef")],
        &[("X-Forwarded-User", "ann")],
        // Of two values, none counts.
        &[ANN, BOB],
    ] {
        let refused = start(&app, headers).await;
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap();
        assert_eq!(challenge, "Bearer realm=\"rasta-stream\"");
        let body: Value = refused.json().await;
        assert_eq!(body["code"], "unauthorized");
        assert_eq!(statuses(&app, &path, headers).await, [401; 3]);
        assert_eq!(statuses(&app, &in_query, headers).await, [401; 3]);
        // For a minute, a network may send no more than ten wrong tokens.
        clock.advance(Duration::from_secs(60));
    }
    // The page and the probes need none.
    for path in ["/", "/livez", "/readyz"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    assert_eq!(statuses(&app, &path, &[ANN]).await, [200, 200, 202]);
}

#[actix_web::test]
async fn another_callers_reply_is_not_found_on_any_route() {
    let app = with(&[TOKENS]).await;
    let path = path_of(&app, &[ANN]).await;
    assert_eq!(statuses(&app, &path, &[BOB]).await, [404; 3]);
    let bobs = send(app.addr, "GET", &path, &[BOB], None).await;
    let none = "/v1/replies/00000000-0000-4000-8000-000000000000";
    let missing = send(app.addr, "GET", none, &[BOB], None).await;
    // Nothing tells it from one that does not exist.
    let (mut bobs, mut missing) = (bobs.json().await, missing.json().await);
    for body in [&mut bobs, &mut missing] {
        // Each request has its own.
        assert!(body["request_id"].take().is_string());
    }
    assert_eq!(bobs, missing);
    assert_eq!(statuses(&app, &path, &[ANN]).await, [200, 200, 202]);
}

#[actix_web::test]
async fn a_key_that_two_callers_choose_leads_each_to_a_reply_of_its_own() {
    let app = with(&[TOKENS]).await;
    let key = ("Idempotency-Key", "0123456789abcdef");
    let (anns, bobs) = (
        path_of(&app, &[ANN, key]).await,
        path_of(&app, &[BOB, key]).await,
    );
    assert_ne!(anns, bobs);
    assert_eq!(path_of(&app, &[ANN, key]).await, anns);
    // As a stream, too.
    assert_eq!(path_of(&app, &[BOB, key, STREAM]).await, bobs);
}

#[actix_web::test]
async fn a_reply_is_its_callers_on_every_replica() {
    let redis = Redis::start().await;
    let [here, there] = replicas(&redis.url(), &[TOKENS]).await;
    let key = ("Idempotency-Key", "0123456789abcdef");
    let path = path_of(&here, &[ANN, key]).await;
    for app in [&here, &there] {
        assert_eq!(statuses(app, &path, &[BOB]).await, [404; 3]);
        assert_eq!(statuses(app, &path, &[]).await, [401; 3]);
        assert_ne!(path_of(app, &[BOB, key]).await, path);
        assert_eq!(path_of(app, &[ANN, key]).await, path);
    }
    let snapshot = send(there.addr, "GET", &path, &[ANN], None).await;
    assert_eq!(snapshot.json().await["status"], "running");
    assert_eq!(statuses(&there, &path, &[ANN]).await, [200, 200, 202]);
    // Redis has a digest of the caller and not its name.
    let key = format!("rasta:{{{}}}:events", path.rsplit('/').next().unwrap());
    let stored = redis.command(&["XRANGE", &key, "-", "1-0"]).await;
    let stored = format!("{stored:?}");
    assert!(
        stored.contains("owner") && !stored.contains("ann"),
        "{stored}"
    );
}

/// Versions before access tokens stored no owner, and neither does a replica without tokens.
#[actix_web::test]
async fn a_reply_without_an_owner_is_every_signed_in_callers() {
    let redis = Redis::start().await;
    let [open] = replicas(&redis.url(), &[]).await;
    let [closed] = replicas(&redis.url(), &[TOKENS]).await;
    let path = path_of(&open, &[]).await;
    let read = send(closed.addr, "GET", &path, &[BOB], None).await;
    assert_eq!(read.status, 200);
    assert_eq!(statuses(&closed, &path, &[]).await, [401; 3]);
    // The other way round it is still another caller's.
    let owned = path_of(&closed, &[ANN]).await;
    assert_eq!(statuses(&open, &owned, &[]).await, [404; 3]);
}

#[actix_web::test]
async fn a_rotated_token_is_refused_and_its_caller_keeps_its_replies() {
    let directory = Scratch::new("tokens");
    let file = directory.path().join("tokens");
    std::fs::write(&file, "ann:ann-0123456789abcdef\n").unwrap();
    let flag = format!("--access-tokens-file={}", file.to_str().unwrap());
    let app = with(&[&flag]).await;
    let path = path_of(&app, &[ANN]).await;
    let new = ("Authorization", "Bearer new-0123456789abcdef");
    let both = "ann:ann-0123456789abcdef\nann:new-0123456789abcdef\n";
    for (list, valid, invalid) in [
        (both, &[ANN, new][..], &[][..]),
        ("ann:new-0123456789abcdef\n", &[new], &[ANN]),
        // An unusable file changes nothing.
        ("", &[new], &[ANN]),
    ] {
        std::fs::write(&file, list).unwrap();
        app.guard.reload();
        for header in valid {
            let read = send(app.addr, "GET", &path, &[*header], None).await;
            assert_eq!(read.status, 200, "{list}");
        }
        for header in invalid {
            assert_eq!(statuses(&app, &path, &[*header]).await, [401; 3]);
        }
    }
}

#[actix_web::test]
async fn a_trusted_proxy_names_the_caller() {
    let header = "--trusted-user-header=X-Forwarded-User";
    let trusting = with(&["--trusted-proxies=127.0.0.1", header]).await;
    let (ann, bob) = (
        ("X-Forwarded-User", "ann@example.com"),
        ("X-Forwarded-User", "bob"),
    );
    let path = path_of(&trusting, &[ann]).await;
    assert_eq!(statuses(&trusting, &path, &[bob]).await, [404; 3]);
    assert_eq!(statuses(&trusting, &path, &[]).await, [401; 3]);
    assert_eq!(
        statuses(&trusting, &path, &[("X-Forwarded-User", "")]).await,
        [401; 3]
    );
    assert_eq!(statuses(&trusting, &path, &[ann, bob]).await, [401; 3]);
    assert_eq!(statuses(&trusting, &path, &[ann]).await, [200, 200, 202]);
    // Any other peer sends the header in vain.
    let distrusting = with(&["--trusted-proxies=192.0.2.1", header]).await;
    assert_eq!(start(&distrusting, &[ann]).await.status, 401);
}

#[actix_web::test]
async fn on_loopback_any_client_may_ask() {
    let app = spawn_app().await;
    assert_eq!(start(&app, &[]).await.status, 201);
    assert_eq!(start(&app, &[ANN]).await.status, 201);
}

#[test]
fn an_open_server_on_a_public_address_does_not_start_unless_it_is_meant_to_be() {
    let public = [("HOST", "0.0.0.0"), ("PORT", "0")];
    let sentence = refusal(&run("open", &[], &public));
    assert_eq!(
        sentence,
        "rasta-stream: on 0.0.0.0:0, any client could use the deployment: set ACCESS_TOKENS, \
         TRUSTED_USER_HEADER or HOST=127.0.0.1, or ALLOW_ANONYMOUS=true if all may ask\n"
    );
    for setting in [
        ("ALLOW_ANONYMOUS", "true"),
        ("ACCESS_TOKENS", "ann:ann-0123456789abcdef"),
    ] {
        let serving = Serving::start("public", &[public[0], setting]);
        serving.signal("-TERM");
        assert_eq!(serving.finish().0, Some(0), "{setting:?}");
    }
}

#[test]
fn settings_that_cannot_name_callers_are_refused_without_a_token_in_the_message() {
    let canary = "CANARYTOKEN0123456789";
    let list = Scratch::new("lists");
    let file = list.path().join("tokens");
    std::fs::write(&file, format!("ann:{canary}\n{canary}\n")).unwrap();
    let missing = Path::new("/nonexistent/tokens");
    let (file, missing) = (file.to_str().unwrap(), missing.to_str().unwrap());
    let named = format!("ann:{canary}");
    for (settings, sentence) in [
        (
            &[("ACCESS_TOKENS", canary)][..],
            "ACCESS_TOKENS is invalid: entry 1 must be NAME:TOKEN",
        ),
        (
            &[("ACCESS_TOKENS", "ann:short")],
            "ACCESS_TOKENS is invalid: entry 1 must be",
        ),
        (
            &[("ACCESS_TOKENS_FILE", file)],
            "ACCESS_TOKENS_FILE is invalid: entry 2 must be",
        ),
        (
            &[("ACCESS_TOKENS_FILE", missing)],
            "ACCESS_TOKENS_FILE cannot be read (No such file",
        ),
        (
            &[("ACCESS_TOKENS", &named), ("ACCESS_TOKENS_FILE", file)],
            "ACCESS_TOKENS and ACCESS_TOKENS_FILE are both set",
        ),
        (
            &[("TRUSTED_USER_HEADER", "X-Forwarded-User")],
            "TRUSTED_USER_HEADER is set, but TRUSTED_PROXIES is not",
        ),
        (
            &[("TRUSTED_PROXIES", "0.0.0.0/0")],
            "TRUSTED_PROXIES must be",
        ),
        (
            &[("TRUSTED_USER_HEADER", "X User")],
            "TRUSTED_USER_HEADER must be",
        ),
    ] {
        let refused = refusal(&run("callers", &[], settings));
        assert!(refused.contains(sentence), "{refused}");
        assert!(!refused.contains(canary), "{refused}");
    }
}
