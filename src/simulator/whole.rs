//! Whole replies: the response to a request that did not ask for a stream.
//!
//! The scenarios that can happen to a single JSON body happen to it; the others, which are
//! about frames, leave it as it is.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    body::ChatBody,
    http::Head,
    performance::{Act, Performance, Writing},
    scenario::Scenario,
    script,
    wire::Chunks,
};

/// What a real model takes to its first delta, and for each one.
const FIRST_DELTA: Duration = Duration::from_millis(350);
const PER_DELTA: Duration = Duration::from_millis(25);

/// Writes the response to a request without `stream`.
pub(super) fn whole(scenario: Option<Scenario>, body: &ChatBody, head: Head) -> Performance {
    let mut head = head.with("Content-Type", "application/json");
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        _ => {}
    }
    let completion = completion(scenario, body);
    let json = completion.to_string();
    let mut performance = Performance::whole(&head, json.as_bytes());
    // A whole reply is there when its last delta would be.
    let deltas = completion["usage"]["completion_tokens"]
        .as_u64()
        .unwrap_or_default();
    performance.delay = FIRST_DELTA + PER_DELTA * u32::try_from(deltas).unwrap_or(u32::MAX);
    let half = performance.opening.len() - json.len() / 2;
    match scenario {
        Some(Scenario::NoHead) => return Performance::bare(0, Vec::new(), vec![Act::Silence]),
        Some(Scenario::ResetBeforeHead) => {
            return Performance::bare(0, Vec::new(), vec![Act::Reset]);
        }
        Some(
            fault @ (Scenario::Truncated
            | Scenario::TruncatedFrame
            | Scenario::Reset
            | Scenario::Stall
            | Scenario::Silent
            | Scenario::Endless),
        ) => {
            performance.opening.truncate(half);
            let act = match fault {
                Scenario::Reset => Act::Reset,
                Scenario::Stall | Scenario::Silent | Scenario::Endless => Act::Silence,
                _ => Act::Cut,
            };
            performance.acts = Box::new(std::iter::once(act));
        }
        Some(Scenario::Informational | Scenario::InformationalOnly) => {
            let hints = script::EARLY_HINTS;
            if scenario == Some(Scenario::InformationalOnly) {
                return Performance::bare(103, hints.to_vec(), vec![Act::Silence]);
            }
            performance.opening = [hints, &performance.opening].concat();
        }
        Some(Scenario::OneByte) => performance.writing = Writing::Bytes,
        _ => {}
    }
    performance
}

/// An HTML page where JSON or a stream was expected.
pub(super) fn page(head: Head) -> Performance {
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
                <body><p>Please sign in to the network.</p></body></html>\n";
    Performance::whole(
        &head.with("Content-Type", "text/html; charset=utf-8"),
        page.as_bytes(),
    )
}

fn completion(scenario: Option<Scenario>, body: &ChatBody) -> Value {
    let (deltas, reason) = script::reply(scenario, body);
    let chunks = Chunks::new(body);
    let mut message = json!({
        "annotations": [], "content": deltas.concat(), "refusal": null, "role": "assistant",
    });
    let reason = match scenario {
        Some(Scenario::ReplyFiltered | Scenario::ReplyFilteredCut | Scenario::AsyncFiltered) => {
            // Azure leaves the content out, not null.
            if let Some(message) = message.as_object_mut() {
                message.remove("content");
            }
            "content_filter"
        }
        Some(Scenario::ToolCalls) => {
            let function = json!({"name": "play_riddim", "arguments": "{\"tempo\":72}"});
            message["content"] = Value::Null;
            message["tool_calls"] =
                json!([{"id": "call_0", "type": "function", "function": function}]);
            "tool_calls"
        }
        Some(Scenario::Refusal) => {
            message["content"] = Value::Null;
            message["refusal"] = json!("I'm sorry, but I cannot help with that.");
            "stop"
        }
        _ => reason,
    };
    chunks.completion(&message, reason, deltas.len())
}
