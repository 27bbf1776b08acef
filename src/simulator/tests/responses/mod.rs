//! The Responses API from outside: requests, streams, scenarios, stored responses.

mod endings;
mod expected;
mod requests;
mod scenarios;
mod stored;
mod streams;

use super::{
    client::{Call, Response, call, post},
    *,
};

const PROMPT: &str = "Tell me about the ocean";
const V1: &str = "/openai/v1/responses";
const CLASSIC: &str = "/openai/responses?api-version=2025-03-01-preview";

fn body(deployment: &str) -> Value {
    json!({"model": deployment, "input": [{"role": "user", "content": PROMPT}]})
}

fn streaming(deployment: &str) -> Value {
    let mut body = body(deployment);
    body["stream"] = json!(true);
    body["store"] = json!(false);
    body
}

async fn play(scenario: &str) -> Response {
    let simulator = instant().await;
    post(&simulator, V1, &streaming(&format!("sim-{scenario}"))).await
}

/// The text of a response's messages.
fn output_text(response: &Value) -> String {
    let items = response["output"].as_array().unwrap().iter();
    let parts = items.flat_map(|item| item["content"].as_array().cloned().unwrap_or_default());
    parts
        .filter_map(|part| Some(part["text"].as_str()?.to_owned()))
        .collect()
}
