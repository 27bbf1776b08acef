//! Requests and tokens per minute. The tests pause the clock and advance it themselves, so they use
//! no sockets: with a clock that jumps, the server's own timeouts would expire.

use std::collections::BTreeMap;

use tokio::time::advance;

use super::{
    client::{Call, post},
    *,
};
use crate::simulator::{gateway::Gateway, http::Request, limits::RateLimiter};

fn gateway(requests: Option<u64>, tokens: Option<u64>) -> Gateway {
    Gateway {
        limiter: RateLimiter::new(Limits {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
        }),
        ..Gateway::default()
    }
}

/// A prompt of 40 characters: ten tokens.
fn ten_tokens() -> Value {
    json!({"messages": [{"role": "user", "content": "x".repeat(40)}]})
}

/// The status of the response, and its rate limit headers.
fn ask(gateway: &Gateway, deployment: &str, body: &Value) -> (u16, BTreeMap<String, String>) {
    let plan = gateway.respond(&Request {
        method: "POST".to_owned(),
        target: path(deployment),
        headers: vec![("api-key".to_owned(), "any".to_owned())],
        body: body.to_string().into_bytes(),
    });
    let head = String::from_utf8(plan.first_bytes).unwrap();
    let headers = head
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.starts_with("x-ratelimit-") || name.starts_with("retry-after"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (plan.status, headers)
}

fn headers_of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn requests(limit: &str, remaining: &str, reset: &str) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-requests", limit.to_owned()),
        ("x-ratelimit-remaining-requests", remaining.to_owned()),
        ("x-ratelimit-reset-requests", reset.to_owned()),
    ]
}

fn owned<const N: usize>(pairs: [(&'static str, String); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_over_the_limit_learns_when_the_minute_ends() {
    let gateway = gateway(Some(2), None);
    let ask = || ask(&gateway, "chat", &ten_tokens());
    assert_eq!(ask(), (200, owned(requests("2", "1", "60"))));
    advance(Duration::from_millis(12_400)).await;
    assert_eq!(ask(), (200, owned(requests("2", "0", "48"))));
    advance(Duration::from_millis(100)).await;

    let (status, headers) = ask();
    let mut expected = owned(requests("2", "0", "48"));
    expected.extend(headers_of(&[
        ("retry-after", "48"),
        ("retry-after-ms", "47500"),
    ]));
    assert_eq!((status, headers), (429, expected));

    advance(Duration::from_millis(47_499)).await;
    assert_eq!(ask().1["retry-after-ms"], "1");
    advance(Duration::from_millis(1)).await;
    assert_eq!(ask(), (200, owned(requests("2", "1", "60"))));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated_from_the_prompt_and_the_requests_own_limit() {
    let gateway = gateway(None, Some(100));
    let remaining = |body: &Value| {
        let (status, headers) = ask(&gateway, "chat", body);
        (status, headers["x-ratelimit-remaining-tokens"].clone())
    };
    let mut body = ten_tokens();
    assert_eq!(remaining(&body), (200, "90".to_owned()));
    body["max_tokens"] = json!(50);
    assert_eq!(remaining(&body), (200, "30".to_owned()));
    // A refused request uses no tokens, so a smaller one still fits.
    assert_eq!(remaining(&body), (429, "30".to_owned()));
    body["max_tokens"] = json!(20);
    assert_eq!(remaining(&body), (200, "0".to_owned()));
    assert_eq!(remaining(&ten_tokens()), (429, "0".to_owned()));
    let (_, headers) = ask(&gateway, "chat", &ten_tokens());
    assert!(!headers.contains_key("x-ratelimit-limit-requests"));
    advance(Duration::from_secs(60)).await;
    assert_eq!(remaining(&ten_tokens()), (200, "90".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_for_its_tokens_counts_as_a_request() {
    let gateway = gateway(Some(3), Some(10));
    let statuses: Vec<_> = (0..4)
        .map(|_| ask(&gateway, "chat", &ten_tokens()).0)
        .collect();
    assert_eq!(statuses, [200, 429, 429, 429]);
    let (_, headers) = ask(&gateway, "chat", &ten_tokens());
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
}

#[tokio::test(start_paused = true)]
async fn each_deployment_has_its_own_minute() {
    let gateway = gateway(Some(1), None);
    assert_eq!(ask(&gateway, "one", &ten_tokens()).0, 200);
    advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&gateway, "two", &ten_tokens()).0, 200);
    advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&gateway, "one", &ten_tokens()).0, 200);
    assert_eq!(ask(&gateway, "two", &ten_tokens()).0, 429);
}

#[tokio::test(start_paused = true)]
async fn invalid_requests_do_not_count_and_scenarios_do() {
    let gateway = gateway(Some(1), None);
    assert_eq!(ask(&gateway, "chat", &json!({})).0, 400);
    assert_eq!(ask(&gateway, "chat", &ten_tokens()).0, 200);
    assert_eq!(ask(&gateway, "sim-server-error", &ten_tokens()).0, 500);
    assert_eq!(ask(&gateway, "sim-server-error", &ten_tokens()).0, 429);
}

#[tokio::test]
async fn without_limits_nothing_is_refused_and_with_them_the_body_is_azures() {
    let simulator = instant().await;
    for _ in 0..20 {
        assert_eq!(
            post(&simulator, &path("chat"), &non_streaming())
                .await
                .status,
            200
        );
    }
    for (requests, tokens, what) in [(Some(1), None, "call"), (None, Some(6), "token")] {
        let simulator = start(Options {
            pace: Pace::Instant,
            limits: Limits {
                requests_per_minute: requests,
                tokens_per_minute: tokens,
            },
            ..Options::default()
        })
        .await;
        let first = Call::post(&simulator, &path("chat"), &streaming()).await;
        let first = first.finish().await;
        assert_eq!((first.status, first.done()), (200, true));
        let second = post(&simulator, &path("chat"), &streaming()).await;
        assert_eq!(second.status, 429);
        let error = second.json()["error"].take();
        assert_eq!(error["code"], "429");
        let message = error["message"].as_str().unwrap();
        let words = format!("have exceeded {what} rate limit of your current OpenAI S0 pricing");
        assert!(message.contains(&words), "{message}");
    }
}
