//! Responses to requests that did not ask for a stream, over either API.
//!
//! Scenarios that apply to a single JSON body apply here. The others, which are about frames, have no
//! effect.

use std::time::Duration;

use serde::Serialize;

use super::{
    http::Head,
    response::{ResponsePlan, Step, WriteMode},
    scenario::Scenario,
    script,
};

/// The time that a real model takes until its first delta.
const FIRST_DELTA_DELAY: Duration = Duration::from_millis(350);
/// The time that a real model takes for each delta.
const DELTA_INTERVAL: Duration = Duration::from_millis(25);

/// Plans a response of JSON that takes a model as long as so many deltas.
pub(super) fn respond(
    scenario: Option<Scenario>,
    json: &impl Serialize,
    deltas: usize,
    head: Head,
) -> ResponsePlan {
    if let Some(plan) = scenario.and_then(script::without_head) {
        return plan;
    }
    let mut head = head.with("Content-Type", "application/json");
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        _ => {}
    }
    // Serialization fails for maps whose keys are not strings; no reply has one.
    let json = serde_json::to_vec(json).unwrap_or_default();
    let mut plan = ResponsePlan::complete(&head, &json);
    // The reply is ready when its last delta would have been.
    plan.delay = FIRST_DELTA_DELAY + DELTA_INTERVAL * u32::try_from(deltas).unwrap_or(u32::MAX);
    let half = plan.first_bytes.len() - json.len() / 2;
    match scenario {
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
        Some(Scenario::Informational) => {
            plan.first_bytes = [script::EARLY_HINTS, &plan.first_bytes].concat();
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
