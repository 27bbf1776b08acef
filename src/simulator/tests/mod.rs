//! The simulator from outside, through a raw TCP client.

mod client;
mod expected;
mod journal;
mod limits;
mod requests;
mod responses;
mod scenarios;
mod streams;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const KEY: &str = "api-key: test-key\r\n";
const QUERY: &str = "api-version=2024-10-21";

/// Longer than any step takes; a test that reaches it has failed.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

async fn start(options: Options) -> Simulator {
    Simulator::start(Options {
        journal: true,
        ..options
    })
    .await
    .unwrap()
}

async fn instant() -> Simulator {
    start(Options {
        pace: Pace::Instant,
        ..Options::default()
    })
    .await
}

fn path(deployment: &str) -> String {
    format!("/openai/deployments/{deployment}/chat/completions?{QUERY}")
}

fn streaming() -> Value {
    json!({
        "messages": [{"role": "user", "content": "Tell me about the ocean"}],
        "stream": true, "stream_options": {"include_usage": true},
    })
}

fn non_streaming() -> Value {
    json!({"messages": [{"role": "user", "content": "Tell me about the ocean"}]})
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(STEP_TIMEOUT, future)
        .await
        .expect("deadline")
}
