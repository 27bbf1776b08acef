//! The day's tokens: reserved by a POST, settled at the end of its reply, and shared by all replicas.

use std::time::Duration;

use rasta_stream::guard::{Clock, Reason};
use serde_json::{Value, json};

use crate::support::{
    app::{Setup, TestApp, spawn_app_with},
    client::{Response, send, soon},
    redis::{Answer, Redis},
    replicas::{replicas_at, store_is},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const STREAM: (&str, &str) = ("Accept", "text/event-stream");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TOKENS: &str = "--access-tokens=ann:ann-0123456789abcdef,bob:bob-0123456789abcdef";
const ANN: (&str, &str) = ("Authorization", "Bearer ann-0123456789abcdef");
const BOB: (&str, &str) = ("Authorization", "Bearer bob-0123456789abcdef");
/// No system prompt to speak of, so that the request has few tokens beside the reply's.
const SHORT: &str = "--system-prompt=x";

async fn start(app: &TestApp, headers: &[(&str, &str)]) -> Response {
    let headers = [&[JSON], headers].concat();
    let body = json!({"prompt": "river"}).to_string();
    send(app.addr, "POST", "/v1/replies", &headers, Some(&body)).await
}

/// Checks that the day's tokens are used up; gives the time until there are new ones.
async fn used_up(response: Response) -> Duration {
    assert_eq!(response.status, 429);
    let seconds: u64 = response.header("retry-after").unwrap().parse().unwrap();
    let body: Value = response.json().await;
    assert_eq!(body["code"], "budget_exceeded");
    assert_eq!(body["retry_after_ms"], seconds * 1000);
    Duration::from_secs(seconds)
}

#[actix_web::test]
async fn a_reply_costs_what_its_end_says_and_not_what_was_reserved() {
    let clock = Clock::default();
    let app = spawn_app_with(Setup {
        flags: &[
            SHORT,
            "--max-output-tokens=5000",
            "--tokens-per-day-per-caller=5400",
        ],
        clock: clock.clone(),
        ..Setup::default()
    })
    .await;
    let mut used = 0;
    let wait = loop {
        let mut reply = start(&app, &[STREAM]).await;
        if reply.status != 200 {
            break used_up(reply).await;
        }
        let events = reply.rest().await;
        let usage = &events.last().unwrap().data["usage"];
        used += usage["total_tokens"].as_u64().unwrap();
        // With what was reserved, the second reply would be refused.
        assert!(used <= 5400);
    };
    assert!(used > 300, "{used} were used");
    assert_eq!(app.guard.costs().refusals().of(Reason::Tokens), 1);
    assert!(wait <= DAY);
    clock.advance(wait);
    assert_eq!(start(&app, &[]).await.status, 201);
}

#[actix_web::test]
async fn a_reply_that_upstream_refuses_costs_nothing() {
    let app = spawn_app_with(Setup {
        deployment: "sim-unauthorized",
        flags: &[SHORT, "--max-output-tokens=500", "--tokens-per-day=600"],
        ..Setup::default()
    })
    .await;
    for _ in 0..5 {
        let mut reply = start(&app, &[STREAM]).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.rest().await.last().unwrap().data["status"], "failed");
    }
}

#[actix_web::test]
async fn limits_hold_over_three_replicas_until_their_time_is_over() {
    let redis = Redis::start().await;
    let clock = Clock::default();
    let flags = [
        TOKENS,
        SHORT,
        "--max-output-tokens=1000",
        "--tokens-per-day-per-caller=4300",
        "--requests-per-minute=3",
    ];
    let replicas: [TestApp; 3] = replicas_at(&redis.url(), &flags, &clock).await;
    let minute = Duration::from_secs(60);
    let mut started = 0;
    let (mut rate_limited, mut exceeded) = (0, 0);
    for _ in 0..3 {
        for app in replicas.iter().cycle().take(9) {
            let reply = start(app, &[ANN]).await;
            if reply.status == 201 {
                started += 1;
                continue;
            }
            assert_eq!(reply.status, 429);
            match reply.json().await["code"].as_str().unwrap() {
                "rate_limited" => rate_limited += 1,
                "budget_exceeded" => exceeded += 1,
                other => panic!("{other}"),
            }
        }
        clock.advance(minute);
    }
    // Nine of each replica's, were the limits not shared.
    assert_eq!(started, 4, "four of a thousand tokens each");
    assert!(
        rate_limited > 0 && exceeded > 0,
        "{rate_limited}, {exceeded}"
    );
    for app in &replicas {
        used_up(start(app, &[ANN]).await).await;
        assert_eq!(start(app, &[BOB]).await.status, 201);
        clock.advance(minute);
    }
    clock.advance(DAY);
    assert_eq!(start(&replicas[1], &[ANN]).await.status, 201);
}

#[actix_web::test]
async fn what_was_used_survives_a_restart_of_the_program_and_of_redis() {
    let mut redis = Redis::start().await;
    let clock = Clock::default();
    let flags = [SHORT, "--max-output-tokens=1000", "--tokens-per-day=1100"];
    let [first] = replicas_at(&redis.url(), &flags, &clock).await;
    assert_eq!(start(&first, &[]).await.status, 201);
    // Another process, which has counted nothing itself.
    let [second] = replicas_at(&redis.url(), &flags, &clock).await;
    used_up(start(&second, &[]).await).await;
    // The names of callers are not stored.
    let Answer::List(keys) = redis.command(&["KEYS", "rasta:count:*"]).await else {
        panic!("a list")
    };
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(!format!("{keys:?}").contains("127.0.0.1"), "{keys:?}");
    for key in &keys {
        let Answer::Text(key) = key else {
            panic!("{key:?}")
        };
        let ttl = redis.command(&["PTTL", key]).await;
        assert!(matches!(ttl, Answer::Number(ttl) if ttl > 0), "{ttl:?}");
    }
    redis.restart().await;
    store_is(&second, "up").await;
    // It is empty, and the first replica that counts restores what it knows.
    let refused = soon("an answer of the store", async {
        loop {
            let refused = start(&second, &[]).await;
            if refused.status != 503 {
                break refused;
            }
        }
    })
    .await;
    used_up(refused).await;
}
