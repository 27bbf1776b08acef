//! Responses to requests that did not ask for a stream.
//!
//! Scenarios that apply to a single JSON body apply here. The others, which are about frames, have no
//! effect.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    body::ChatBody,
    chunks::Chunks,
    http::Head,
    response::{ResponsePlan, Step, WriteMode},
    scenario::Scenario,
    script,
};

/// The time that a real model takes until its first delta.
const FIRST_DELTA_DELAY: Duration = Duration::from_millis(350);
/// The time that a real model takes for each delta.
const DELTA_INTERVAL: Duration = Duration::from_millis(25);

/// Plans the response to a request without `stream`.
pub(super) fn respond(scenario: Option<Scenario>, body: &ChatBody, head: Head) -> ResponsePlan {
    let mut head = head.with("Content-Type", "application/json");
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        _ => {}
    }
    let completion = completion(scenario, body);
    let json = completion.to_string();
    let mut plan = ResponsePlan::complete(&head, json.as_bytes());
    // The reply is ready when its last delta would have been.
    let deltas = completion["usage"]["completion_tokens"]
        .as_u64()
        .unwrap_or_default();
    plan.delay = FIRST_DELTA_DELAY + DELTA_INTERVAL * u32::try_from(deltas).unwrap_or(u32::MAX);
    let half = plan.first_bytes.len() - json.len() / 2;
    match scenario {
        Some(Scenario::NoHead) => return ResponsePlan::raw(0, Vec::new(), vec![Step::Hang]),
        Some(Scenario::ResetBeforeHead) => {
            return ResponsePlan::raw(0, Vec::new(), vec![Step::Reset]);
        }
        Some(
            fault @ (Scenario::Truncated
            | Scenario::TruncatedFrame
            | Scenario::Reset
            | Scenario::Stall
            | Scenario::Silent
            | Scenario::Endless),
        ) => {
            plan.first_bytes.truncate(half);
            let step = match fault {
                Scenario::Reset => Step::Reset,
                Scenario::Stall | Scenario::Silent | Scenario::Endless => Step::Hang,
                _ => Step::Cut,
            };
            plan.steps = Box::new(std::iter::once(step));
        }
        Some(Scenario::Informational | Scenario::InformationalOnly) => {
            let hints = script::EARLY_HINTS;
            if scenario == Some(Scenario::InformationalOnly) {
                return ResponsePlan::raw(103, hints.to_vec(), vec![Step::Hang]);
            }
            plan.first_bytes = [hints, &plan.first_bytes].concat();
        }
        Some(Scenario::OneByte) => plan.write_mode = WriteMode::PerByte,
        _ => {}
    }
    plan
}

/// Plans an HTML page in place of JSON or a stream.
pub(super) fn html_page(head: Head) -> ResponsePlan {
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
                <body><p>Please sign in to the network.</p></body></html>\n";
    ResponsePlan::complete(
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
            // Azure omits the content; it does not send null.
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
