//! The simulator from outside: a client of raw TCP, and what it must see.

mod client;
mod doors;
mod expected;
mod journal;
mod limits;
mod scenarios;
mod streams;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const KEY: &str = "api-key: test-key\r\n";
const QUERY: &str = "api-version=2024-10-21";

/// Longer than anything takes; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

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

fn whole() -> Value {
    json!({"messages": [{"role": "user", "content": "Tell me about the ocean"}]})
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("deadline")
}
