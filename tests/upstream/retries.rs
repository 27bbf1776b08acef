//! Before the first token: retries, other deployments, and requests without a refused field.

use rasta_stream::simulator::{JournalEvent, Record};
use serde_json::Value;

use crate::support::{
    app::{Setup, requests, spawn_app_with, spawn_scenario},
    client::{Event, proven, text_of},
};

pub fn notices(events: &[Event]) -> Vec<&Value> {
    events
        .iter()
        .filter(|event| event.name == "notice")
        .map(|event| &event.data)
        .collect()
}

/// The deployments that were asked, in order.
fn asked(records: &[Record]) -> Vec<String> {
    requests(records)
        .iter()
        .map(|body| body["model"].as_str().unwrap().to_owned())
        .collect()
}

#[actix_web::test]
async fn a_busy_deployment_is_asked_again_after_the_wait_that_it_names() {
    // Every other request is refused, with retry-after-ms: 50, by a status or inside a 200.
    for scenario in ["busy", "busy-in-200"] {
        let app = spawn_scenario(scenario, &[]).await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["status"], "completed", "{scenario}");
        let notices = notices(&events);
        assert_eq!(notices.len(), 1, "{scenario}");
        assert_eq!(notices[0]["code"], "retrying", "{scenario}");
        assert_eq!(notices[0]["attempt"], 2, "{scenario}");
        let wait = notices[0]["retry_after_ms"].as_u64().unwrap();
        assert!(wait <= 50, "{scenario}: {wait}");
        let first = end["ms"]["first"].as_u64().unwrap();
        assert!(first >= 45, "{scenario} did not wait");
        let asked = requests(&app.simulator.journal().records()).len();
        assert_eq!(asked, 2, "{scenario}");
    }
}

#[actix_web::test]
async fn a_failure_without_retry_after_is_retried_too() {
    let app = spawn_scenario("flaky", &[]).await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    let wait = notices(&events)[0]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=500).contains(&wait), "{wait}");
}

#[actix_web::test]
async fn a_wait_over_two_minutes_fails_the_reply_at_once() {
    let app = spawn_scenario("rate-limited-day", &[]).await;
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    assert_eq!(end["error"]["code"], "rate_limited");
    assert_eq!(end["error"]["retry_after_ms"], 86_400_000);
    assert_eq!(notices(&events), Vec::<&Value>::new());
}

#[actix_web::test]
async fn a_wait_beyond_the_time_limit_fails_the_reply_at_once() {
    let app = spawn_scenario("rate-limited", &["--max-reply-seconds=1"]).await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "rate_limited");
    assert_eq!(notices(&events), Vec::<&Value>::new());
}

/// Asserts that the reply fails after one request, although there is another deployment.
async fn fails_at_once(scenario: &str) -> Vec<Event> {
    let deployment = format!("sim-{scenario}");
    let setup = Setup {
        deployment: &deployment,
        more: &["second"],
        ..Setup::default()
    };
    let app = spawn_app_with(setup).await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "failed", "{scenario}");
    let asked = requests(&app.simulator.journal().records()).len();
    assert_eq!(asked, 1, "{scenario}");
    events
}

#[actix_web::test]
async fn errors_that_a_retry_cannot_fix_are_not_retried() {
    for scenario in [
        "unauthorized",
        "prompt-filtered",
        "deployment-not-found",
        "bad-request",
        "filter-in-200",
        "deployment-missing-in-200",
    ] {
        fails_at_once(scenario).await;
    }
}

#[actix_web::test]
async fn nothing_is_retried_once_text_was_shown() {
    for scenario in [
        "truncated",
        "reset",
        "error-in-stream",
        "overloaded-in-stream",
        "rate-limit-in-stream",
    ] {
        let events = fails_at_once(scenario).await;
        assert!(!text_of(&events).is_empty(), "{scenario}");
    }
}

#[actix_web::test]
async fn a_stop_ends_the_wait_for_a_retry() {
    let app = spawn_scenario("rate-limited", &[]).await;
    let mut viewer = app.stream("river").await;
    let path = viewer.header("location").unwrap().to_owned();
    while viewer.next_stored().await.unwrap().name != "notice" {}
    assert_eq!(app.delete(&path).await.json().await["status"], "stopped");
}

#[actix_web::test]
async fn the_next_deployment_is_asked_when_one_is_busy() {
    for first in [
        "sim-rate-limited-day",
        "sim-unavailable",
        "sim-reset-before-head",
        "sim-429-in-200-error-first",
        "sim-error-first",
    ] {
        let setup = Setup {
            deployment: first,
            more: &["second", "third"],
            ..Setup::default()
        };
        let app = spawn_app_with(setup).await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["status"], "completed", "{first}");
        assert!(end["model"].as_str().is_some());
        let notices = notices(&events);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0]["code"], "other_deployment");
        assert_eq!(notices[0].get("retry_after_ms"), None);
        assert_eq!(asked(&app.simulator.journal().records()), [first, "second"]);
    }
}

#[actix_web::test]
async fn an_open_circuit_spares_the_replies_that_follow_a_request() {
    for (scenario, replies) in [
        ("sim-rate-limited-day", 5),
        // Its circuit is open for four seconds only.
        ("sim-429-in-200-error-first", 2),
    ] {
        let setup = Setup {
            deployment: scenario,
            more: &["second"],
            ..Setup::default()
        };
        let app = spawn_app_with(setup).await;
        for _ in 0..replies {
            let events = app.stream("river").await.rest().await;
            assert_eq!(proven(&events)["status"], "completed");
        }
        let asked = asked(&app.simulator.journal().records());
        let first = asked.iter().filter(|name| *name == scenario).count();
        assert_eq!((first, asked.len()), (1, replies + 1), "{scenario}");
    }
}

#[actix_web::test]
async fn a_circuit_lets_a_request_through_once_its_time_is_over() {
    // Refuses every other request, with retry-after-ms: 50.
    let setup = Setup {
        deployment: "sim-busy",
        more: &["second"],
        ..Setup::default()
    };
    let app = spawn_app_with(setup).await;
    app.stream("river").await.rest().await;
    loop {
        app.stream("river").await.rest().await;
        let asked = asked(&app.simulator.journal().records());
        if asked.iter().filter(|name| *name == "sim-busy").count() == 2 {
            break;
        }
        assert!(asked.len() < 10_000, "the circuit never closed");
    }
}

#[actix_web::test]
async fn a_field_that_the_model_refuses_is_left_out_from_then_on() {
    let flags = [
        "--temperature=0.5",
        "--max-output-tokens=100",
        "--workers=2",
    ];
    let app = spawn_scenario("reasoning-model", &flags).await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    assert_eq!(
        notices(&events),
        Vec::<&Value>::new(),
        "no wait is announced"
    );
    let tries = requests(&app.simulator.journal().records()).len();
    assert!(tries > 1, "a field was refused");
    for _ in 0..6 {
        assert_eq!(
            proven(&app.stream("river").await.rest().await)["status"],
            "completed"
        );
    }
    let sent = requests(&app.simulator.journal().records());
    assert_eq!(sent.len(), tries + 6, "all workers know it");
    assert_eq!(sent.last().unwrap().get("temperature"), None);
    assert_eq!(sent.last().unwrap()["max_completion_tokens"], 100);
}

#[actix_web::test]
async fn a_server_without_stream_options_answers_and_the_usage_is_estimated() {
    let app = spawn_scenario("no-stream-options", &[]).await;
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    assert_eq!(end["status"], "completed");
    assert_eq!(end["usage"]["estimated"], true);
    let records = app.simulator.journal().records();
    let kept = records
        .iter()
        .filter(|r| matches!(r.event, JournalEvent::Request { .. }))
        .count();
    assert_eq!(kept, 2);
}

#[actix_web::test]
async fn a_deployment_that_never_responds_opens_its_circuit() {
    let flags = ["--first-byte-seconds=0.2"];
    let setup = Setup {
        deployment: "sim-no-head",
        more: &["second"],
        flags: &flags,
        ..Setup::default()
    };
    let app = spawn_app_with(setup).await;
    let first = app.stream("river").await.rest().await;
    assert_eq!(proven(&first)["error"]["code"], "upstream_timeout");
    let second = app.stream("river").await.rest().await;
    assert_eq!(proven(&second)["status"], "completed");
    assert_eq!(
        asked(&app.simulator.journal().records()),
        ["sim-no-head", "second"]
    );
}
