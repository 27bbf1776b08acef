//! What the Responses API answers: the stream of each scenario, the complete JSON, and the start of a
//! response in the background.
//!
//! Scenarios that are not only this API's are in the general [`script`].

use serde_json::{Value, json};

use super::{body::ResponsesBody, events::Events, quirks, store::StoredResponses, stored::Stored};
use crate::simulator::{
    frames::Frames,
    http::Head,
    non_streaming,
    pace::Pace,
    refusal::Refusal,
    reply::Finish,
    response::{ResponsePlan, Step},
    scenario::Scenario,
    script::{self, Steps},
    wire::{SseEvent, Wire as _},
};

/// The silence before a `keepalive` event.
const KEEPALIVE_SECONDS: u64 = 30;
/// The time that a response waits in the queue.
const QUEUE_SECONDS: u64 = 3;
/// The length of the instructions of `huge-created`.
const HUGE_INSTRUCTIONS_BYTES: usize = 200 * 1024;

/// Plans the response to a valid request, and stores it if the request says so.
///
/// # Errors
///
/// 400: the request continues a response that is not there.
pub(in crate::simulator) fn respond(
    scenario: Option<Scenario>,
    body: &ResponsesBody,
    head: Head,
    stored: &StoredResponses,
    pace: &Pace,
) -> Result<ResponsePlan, Refusal> {
    if let Some(id) = &body.previous_response_id
        && !stored.has(id)
    {
        let text = format!("Previous response with id '{id}' not found.");
        let code = Some("previous_response_not_found");
        return Err(Refusal::invalid(&text, Some("previous_response_id"), code));
    }
    let parameters = &body.parameters;
    let stream = parameters.stream && scenario != Some(Scenario::Json200);
    let mut begun = Events::new(body);
    begun.queued |= scenario == Some(Scenario::BackgroundQueued);
    let played = script::play(scenario, parameters, begun.clone(), frames_of);
    // A stream without end cannot be stored.
    if !body.store || scenario == Some(Scenario::Endless) {
        return Ok(if stream {
            script::respond(scenario, head, played.steps)
        } else {
            let events = played.wire;
            non_streaming::respond(scenario, &events.response, events.deltas, head)
        });
    }
    let too_old = scenario == Some(Scenario::ResumeTooOld);
    let steps: Vec<_> = played.steps.collect();
    let events = played.wire;
    let response = Stored::new(begun, stream, too_old, &steps, events.response.clone());
    let steps: Steps = Box::new(steps.into_iter());
    Ok(match (response, stream) {
        (Some(response), true) if body.background => {
            let replay = response.replay(0);
            stored.run(response, steps, pace);
            script::respond(scenario, head, replay)
        }
        (Some(response), false) if body.background => {
            let now = response.now();
            stored.run(response, steps, pace);
            // The scenario is the response's, not that of this answer.
            non_streaming::respond(None, &now, 0, head)
        }
        (Some(response), true) => {
            let sending = response.sending(steps);
            stored.keep(response, None);
            script::respond(scenario, head, sending)
        }
        (None, true) => script::respond(scenario, head, steps),
        (response, false) => {
            if let Some(response) = response {
                response.finish();
                stored.keep(response, None);
            }
            non_streaming::respond(scenario, &events.response, events.deltas, head)
        }
    })
}

/// Adds the frames of a scenario.
fn frames_of(scenario: Scenario, frames: Frames<Events>, finish: Finish) -> Frames<Events> {
    match scenario {
        Scenario::ToolCalls => {
            let frames = frames.opening().several_deltas();
            let text = frames.text().to_owned();
            let frames = quirks::tool_call(close_message(frames, &text));
            terminal(frames, finish, &text)
        }
        Scenario::AsyncFilteredLate => frames
            .with(|frames| frames.wire.blocked_late = true)
            .opening()
            .remainder(finish),
        Scenario::ReasoningSummary => quirks::reasoning(frames.opening()).remainder(finish),
        Scenario::CommentaryThenFinal => quirks::commentary(frames.opening()).remainder(finish),
        Scenario::Keepalive => {
            let frames = quirks::keepalive(frames.opening().pause(KEEPALIVE_SECONDS));
            let frames = quirks::keepalive(frames.several_deltas().pause(KEEPALIVE_SECONDS));
            frames.remainder(finish)
        }
        Scenario::UnknownEvent => {
            let frames = quirks::unknown(frames.opening());
            quirks::unknown(frames.several_deltas()).remainder(finish)
        }
        Scenario::HugeCreated => frames
            .with(|frames| frames.wire.response.instructions = huge_instructions())
            .opening()
            .remainder(finish),
        Scenario::DoneDisagrees => {
            let mut frames = frames.opening().several_deltas();
            let text = format!("{}{}", frames.take_text(), frames.take_rest());
            let finish = frames.wire.finish(finish, &text);
            frames.events(finish).close()
        }
        Scenario::DoneLonger => {
            let mut frames = frames.opening().several_deltas();
            let text = format!("{}{}", frames.text().to_owned(), frames.take_rest());
            let finish = frames.wire.finish(finish, &text);
            frames.events(finish).close()
        }
        Scenario::NullContentFilters => frames
            .with(|frames| frames.wire.no_verdicts = true)
            .opening()
            .remainder(finish),
        Scenario::NoEventLines => frames
            .with(|frames| frames.nameless = true)
            .opening()
            .remainder(finish),
        Scenario::DoneAppended => {
            let frames = frames.opening().remaining_deltas().finish(finish);
            frames.events([SseEvent::unnamed(&"[DONE]")]).close()
        }
        Scenario::TerminalWithoutBlankLine => {
            let frames = frames.opening().remaining_deltas().finish(finish);
            frames.without_last_blank_line().close()
        }
        Scenario::NoTerminal => {
            let frames = frames.opening().remaining_deltas();
            let text = frames.text().to_owned();
            close_message(frames, &text).step(Step::End)
        }
        Scenario::FailedUncoded => {
            let mut frames = frames.opening();
            let message = "The model could not answer.";
            let failed = frames.wire.failed(Some(json!({"message": message})));
            frames.events([failed]).step(Step::End)
        }
        Scenario::ErrorFlat => {
            let mut frames = frames.opening();
            let message = "Rate limit reached for this model. Please try again in 4s.";
            let error = frames.wire.flat_error("rate_limit_exceeded", message);
            frames.events([error]).step(Step::End)
        }
        Scenario::BackgroundQueued => {
            let mut frames = frames.with(|frames| frames.wire.queued = true);
            let queued = frames.wire.queue();
            let mut frames = frames.events(queued).pause(QUEUE_SECONDS);
            let started = frames.wire.whole("response.in_progress");
            frames.events([started]).remainder(finish)
        }
        _ => script::general(scenario, frames, finish),
    }
}

fn close_message(mut frames: Frames<Events>, text: &str) -> Frames<Events> {
    let events = frames.wire.close_message(Finish::Stop, text);
    frames.events(events)
}

fn terminal(mut frames: Frames<Events>, finish: Finish, text: &str) -> Frames<Events> {
    let terminal = frames.wire.terminal(finish, text);
    frames.events([terminal]).close()
}

fn huge_instructions() -> Value {
    let text = "Answer in rhyme, and keep the riddim. ".chars().cycle();
    Value::String(text.take(HUGE_INSTRUCTIONS_BYTES).collect())
}
