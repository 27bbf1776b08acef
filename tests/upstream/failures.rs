//! The table of outcomes, row by row: what upstream does, and how the reply ends.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::retries::notices;
use crate::support::{
    app::{Setup, chunked, requests, spawn_app_with, spawn_canned, spawn_scenario},
    client::{Event, proven, text_of},
};

async fn played(scenario: &str, flags: &[&str]) -> Vec<Event> {
    let app = spawn_scenario(scenario, flags).await;
    let events = app.stream("Tell me of the river").await.rest().await;
    proven(&events);
    events
}

fn end(events: &[Event]) -> &Value {
    &events.last().unwrap().data
}

/// What the person at the page reads, word for word.
const SENTENCES: &[(&str, &str)] = &[
    (
        "context_too_long",
        "The conversation is longer than the model can read; please start a new one.",
    ),
    (
        "deployment_not_found",
        "The model's service has no deployment of the configured name.",
    ),
    (
        "prompt_filtered",
        "The content filter refused the prompt; please reword it.",
    ),
    (
        "rate_limited",
        "The model's service is at its rate limit; please try again.",
    ),
    ("reply_filtered", "The content filter cut the reply off."),
    (
        "upstream_auth",
        "The model's service did not accept this server's credentials.",
    ),
    (
        "upstream_error",
        "The model's service reported an error in the middle of the reply.",
    ),
    (
        "upstream_protocol",
        "The model's service sent a response that this server does not understand.",
    ),
    (
        "upstream_rejected",
        "The model's service refused the request.",
    ),
    (
        "upstream_truncated",
        "The connection to the model's service ended before the reply did.",
    ),
    (
        "upstream_unavailable",
        "The model's service could not be reached; please try again.",
    ),
];

/// Scenario, code, retryable, finish reason, whether text came before.
type Row = (&'static str, &'static str, bool, Option<&'static str>, bool);

#[actix_web::test]
async fn every_fault_of_upstream_ends_the_reply_with_its_code() {
    for row in [
        ("unauthorized", "upstream_auth", false, None, false),
        ("token-expired", "upstream_auth", false, None, false),
        ("permission-denied", "upstream_auth", false, None, false),
        ("forbidden", "upstream_auth", false, None, false),
        (
            "deployment-not-found",
            "deployment_not_found",
            false,
            None,
            false,
        ),
        ("not-found", "upstream_rejected", false, None, false),
        ("invalid-prompt", "upstream_rejected", false, None, false),
        ("api-version", "upstream_rejected", false, None, false),
        ("keys-disabled", "upstream_auth", false, None, false),
        ("blocked", "upstream_auth", false, None, false),
        ("too-large", "upstream_rejected", false, None, false),
        ("too-many-headers", "upstream_rejected", false, None, false),
        ("bad-request", "upstream_rejected", false, None, false),
        (
            "unsupported-parameter",
            "upstream_rejected",
            false,
            None,
            false,
        ),
        ("error-string", "upstream_rejected", false, None, false),
        ("redirect", "upstream_rejected", false, None, false),
        ("prompt-filtered", "prompt_filtered", false, None, false),
        ("context-too-long", "context_too_long", false, None, false),
        ("rate-limited-day", "rate_limited", true, None, false),
        (
            "async-filtered",
            "reply_filtered",
            false,
            Some("content_filter"),
            false,
        ),
        (
            "async-filtered-late",
            "reply_filtered",
            false,
            Some("content_filter"),
            false,
        ),
        (
            "reply-filtered",
            "reply_filtered",
            false,
            Some("content_filter"),
            true,
        ),
        (
            "reply-filtered-cut",
            "reply_filtered",
            false,
            Some("content_filter"),
            true,
        ),
        ("truncated", "upstream_truncated", true, None, true),
        ("truncated-clean", "upstream_truncated", true, None, true),
        ("truncated-frame", "upstream_truncated", true, None, true),
        ("reset", "upstream_truncated", true, None, true),
        (
            "done-without-finish",
            "upstream_truncated",
            true,
            None,
            true,
        ),
        ("error-in-stream", "upstream_error", true, None, true),
        ("error-event", "upstream_error", true, None, true),
        ("error-numeric", "upstream_error", true, None, true),
        ("filter-in-200", "prompt_filtered", false, None, false),
        (
            "context-too-long-in-200",
            "context_too_long",
            false,
            None,
            false,
        ),
        ("rate-limit-in-stream", "rate_limited", true, None, true),
        (
            "overloaded-in-stream",
            "upstream_unavailable",
            true,
            None,
            true,
        ),
        ("filter-in-stream", "reply_filtered", false, None, true),
        ("text-elsewhere", "upstream_protocol", true, None, false),
        (
            "deployment-missing-in-200",
            "deployment_not_found",
            false,
            None,
            false,
        ),
        ("bad-json", "upstream_protocol", true, None, true),
        ("html-200", "upstream_protocol", true, None, false),
        ("json-200", "upstream_protocol", true, None, false),
        ("long-line", "upstream_protocol", true, None, true),
    ] {
        check(&row, &played(row.0, &[]).await);
    }
}

/// Each takes the time of its waits, so they are played side by side.
#[actix_web::test]
async fn every_fault_that_outlasts_the_retries_ends_the_reply_after_three_attempts() {
    let rows = [
        ("rate-limited", "rate_limited", Some(1500)),
        ("rate-limited-silent", "rate_limited", None),
        ("conflict", "upstream_unavailable", None),
        ("timeout-408", "upstream_unavailable", None),
        ("server-error", "upstream_unavailable", None),
        ("bad-gateway", "upstream_unavailable", None),
        ("unavailable", "upstream_unavailable", None),
        ("gateway-timeout", "upstream_unavailable", None),
        ("reset-before-head", "upstream_unavailable", None),
        ("429-in-200-error-first", "rate_limited", Some(4000)),
        ("quota-in-200", "rate_limited", None),
        ("overloaded-in-200", "upstream_unavailable", None),
        ("json-error-in-200", "rate_limited", Some(4000)),
        ("error-first", "upstream_error", None),
    ];
    // Boxed, because so many futures in one array overflow the stack of a test.
    let plays = rows.map(|row| Box::pin(outlasts_the_retries(row)));
    join_all(plays).await;
}

async fn outlasts_the_retries((scenario, code, wait): (&'static str, &'static str, Option<u64>)) {
    let app = spawn_scenario(scenario, &[]).await;
    let events = app.stream("Tell me of the river").await.rest().await;
    check(&(scenario, code, true, None, false), &events);
    let error = &proven(&events)["error"];
    assert_eq!(error.get("retry_after_ms").and_then(Value::as_u64), wait);
    let notices = notices(&events);
    let attempts = notices.iter().map(|notice| notice["attempt"].as_u64());
    assert_eq!(attempts.collect::<Vec<_>>(), [Some(2), Some(3)]);
    let asked = requests(&app.simulator.journal().records()).len();
    assert_eq!(asked, 3, "{scenario}");
}

fn check((scenario, code, retryable, finish_reason, text): &Row, events: &[Event]) {
    let end = end(events);
    assert_eq!(end["status"], "failed", "{scenario}: {end}");
    assert_eq!(end["error"]["code"], *code, "{scenario}: {end}");
    assert_eq!(end["error"]["retryable"], *retryable, "{scenario}");
    assert_eq!(end["finish_reason"], json!(finish_reason), "{scenario}");
    assert_eq!(!text_of(events).is_empty(), *text, "{scenario}");
    let sentence = SENTENCES.iter().find(|(known, _)| known == code).unwrap().1;
    assert_eq!(end["error"]["message"], sentence, "{scenario}");
}

#[actix_web::test]
async fn responses_that_only_look_like_faults_complete_the_reply() {
    for (scenario, finish_reason) in [
        ("length", "length"),
        ("length-empty", "length"),
        ("empty", "stop"),
        ("refusal", "stop"),
        ("tool-calls", "tool_calls"),
        ("no-done", "stop"),
        ("crlf", "stop"),
        ("cr", "stop"),
        ("comments", "stop"),
        ("markdown", "stop"),
        ("multibyte", "stop"),
        ("surrogates", "stop"),
        ("no-content-type", "stop"),
        ("blank-content-type", "stop"),
        ("async-filter", "stop"),
        ("bom", "stop"),
        ("no-space", "stop"),
        ("multi-line", "stop"),
        ("close-delimited", "stop"),
        ("oddities", "stop"),
        ("usage-on-deltas", "stop"),
        ("filter-outage", "stop"),
        ("message-for-delta", "stop"),
        ("content-parts", "stop"),
        ("finish-unknown", "other"),
        ("think", "stop"),
        ("slow", "stop"),
    ] {
        let events = played(scenario, &[]).await;
        let end = end(&events);
        assert_eq!(end["status"], "completed", "{scenario}: {end}");
        assert_eq!(end["finish_reason"], finish_reason, "{scenario}");
        assert_eq!(end.get("error"), None, "{scenario}");
    }
}

#[actix_web::test]
async fn silence_after_the_finish_reason_completes_the_reply() {
    let events = played("stall-after-finish", &[]).await;
    assert_eq!(end(&events)["status"], "completed");
    let usage = &end(&events)["usage"];
    assert_eq!(usage["estimated"], true, "{usage}");
    assert!(usage["completion_tokens"].as_u64().unwrap() > 0, "{usage}");
}

#[actix_web::test]
async fn each_phase_has_its_own_limit_of_silence() {
    for (scenario, flag, code) in [
        ("no-head", "--first-byte-seconds=0.2", "upstream_timeout"),
        (
            "informational-only",
            "--first-byte-seconds=0.2",
            "upstream_timeout",
        ),
        ("silent", "--first-delta-seconds=0.2", "upstream_stalled"),
        ("stall", "--stall-seconds=0.2", "upstream_stalled"),
        ("endless", "--max-reply-seconds=0.5", "reply_timeout"),
        ("endless", "--max-reply-bytes=1000", "too_long"),
    ] {
        let app = spawn_scenario(scenario, &[flag]).await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["error"]["code"], code, "{scenario} with {flag}: {end}");
        assert!(end["bytes"].as_u64().unwrap() <= 1_000_000);
        app.upstream_was_left().await;
    }
}

#[actix_web::test]
async fn the_request_id_is_passed_on_and_the_error_text_is_not() {
    let events = played("unauthorized", &[]).await;
    let error = &end(&events)["error"];
    assert_eq!(error["request_id"].as_str().unwrap().len(), 36);
    assert!(!error["message"].as_str().unwrap().contains("subscription"));
}

#[actix_web::test]
async fn a_redirect_is_not_followed_because_it_would_take_the_key_along() {
    let app = spawn_scenario("redirect", &[]).await;
    app.stream("river").await.rest().await;
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);
}

#[actix_web::test]
async fn each_client_gets_the_response_to_its_own_request_after_an_interim_one() {
    let app = spawn_scenario("informational", &[]).await;
    for prompt in ["river", "mountain", "ocean"] {
        let events = app.stream(prompt).await.rest().await;
        assert_eq!(proven(&events)["status"], "completed");
        assert!(text_of(&events).to_lowercase().contains(prompt));
    }
}

#[actix_web::test]
async fn an_upstream_that_cannot_be_reached_is_unavailable() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (plain, _) = spawn_canned(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let no_tls = format!("https://127.0.0.1:{}", plain.port());
    let endpoints = [closed, no_tls, "https://no-such-host.invalid".to_owned()];
    join_all(endpoints.map(async |endpoint| {
        let app = spawn_app_with(Setup {
            endpoint: Some(endpoint.clone()),
            ..Setup::default()
        })
        .await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["error"]["code"], "upstream_unavailable", "{endpoint}");
        assert_eq!(end["error"]["retryable"], true);
    }))
    .await;
}

#[actix_web::test]
async fn a_response_that_is_not_http_is_a_protocol_error() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
        b"HTTP/1.1 999999 What\r\n\r\n",
    ] {
        let (upstream, _) = spawn_canned(answer.to_vec()).await;
        let endpoint = Some(format!("http://{upstream}"));
        let app = spawn_app_with(Setup {
            endpoint,
            ..Setup::default()
        })
        .await;
        let events = app.stream("river").await.rest().await;
        assert_eq!(proven(&events)["error"]["code"], "upstream_protocol");
    }
}

#[actix_web::test]
async fn a_refusal_with_an_endless_body_is_a_refusal() {
    let mut answer = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..64 {
        answer.extend_from_slice(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).as_bytes());
    }
    let (upstream, asked) = spawn_canned(answer).await;
    let endpoint = Some(format!("http://{upstream}"));
    let app = spawn_app_with(Setup {
        endpoint,
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_unavailable");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "it was asked again as any 503 is"
    );
}

#[actix_web::test]
async fn a_full_log_ends_the_reply() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let body = chunk.repeat((1 << 18) + 10);
    let (upstream, _) = spawn_canned(chunked(body.as_bytes())).await;
    let endpoint = Some(format!("http://{upstream}"));
    let flags = ["--max-reply-bytes=1000000", "--pad=false"];
    let app = spawn_app_with(Setup {
        endpoint,
        flags: &flags,
        ..Setup::default()
    })
    .await;
    let path = app.start("river").await;
    let log = app.log(&path).await;
    let mut reader = log.reader();
    crate::support::client::soon(
        "the end",
        reader.read_after(rasta_stream::event::Seq(u64::MAX)),
    )
    .await;
    let end = log.end().unwrap();
    assert_eq!(
        end.error.unwrap().code,
        rasta_stream::event::ErrorCode::TooLong
    );
    assert!(log.position().seq.0 <= 1 << 18);
    assert_eq!(
        log.snapshot().await.unwrap().content.text.len() as u64,
        end.bytes
    );
}

#[actix_web::test]
async fn text_that_the_filter_retracts_is_replaced_for_every_viewer() {
    for scenario in ["async-filtered", "async-filtered-late"] {
        let app = spawn_scenario(scenario, &[]).await;
        let path = app.start("river").await;
        let (first, late) = (
            app.events(&path, 0).await.rest().await,
            app.events(&path, 0).await.rest().await,
        );
        assert_eq!(
            crate::support::client::blocks(&first),
            crate::support::client::blocks(&late)
        );
        assert!(
            first.iter().any(|event| event.name == "delta"),
            "late viewers see what was shown"
        );
        let replace = first.iter().find(|event| event.name == "replace").unwrap();
        assert_eq!(replace.data, json!({"text": "", "why": "content_filter"}));
        let end = proven(&first);
        assert_eq!(
            (&end["bytes"], &end["finish_reason"]),
            (&json!(0), &json!("content_filter"))
        );
        let snapshot = app.snapshot(&path).await;
        assert_eq!(
            (&snapshot["text"], &snapshot["status"]),
            (&json!(""), &json!("failed"))
        );
    }
}
