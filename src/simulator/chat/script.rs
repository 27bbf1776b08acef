//! What Chat Completions answers: the stream of each scenario, and the complete JSON.
//!
//! Scenarios that are not only this API's are in the general [`script`].

use serde_json::{Value, json};

use super::{
    body::ChatBody,
    chunks::{self, Chunks, Filter},
    quirks,
};
use crate::simulator::{
    failure::Failure,
    frames::Frames,
    http::Head,
    non_streaming,
    reply::{Finish, Reply},
    response::{ResponsePlan, Step},
    scenario::Scenario,
    script,
    wire::SseEvent,
};

/// Plans the response to a valid request.
pub(in crate::simulator) fn respond(
    scenario: Option<Scenario>,
    body: &ChatBody,
    head: Head,
) -> ResponsePlan {
    let parameters = &body.parameters;
    if scenario == Some(Scenario::Json200) || !parameters.stream {
        let scenario = scenario.filter(|scenario| *scenario != Scenario::Json200);
        let (completion, deltas) = completion(scenario, body);
        return non_streaming::respond(scenario, &completion, deltas, head);
    }
    let played = script::play(scenario, parameters, Chunks::new(body), frames_of);
    script::respond(scenario, head, played.steps)
}

/// Adds the frames of a scenario.
fn frames_of(scenario: Scenario, frames: Frames<Chunks>, finish: Finish) -> Frames<Chunks> {
    match scenario {
        Scenario::ToolCalls => {
            let frames = quirks::tool_call(frames.opening().several_deltas());
            let finished = SseEvent::unnamed(&frames.wire.finished("tool_calls"));
            frames.events([finished]).close()
        }
        Scenario::Oddities => quirks::oddities(frames).remainder(finish),
        Scenario::NoDone => {
            let frames = frames.opening().remaining_deltas().finish(finish);
            usage(frames).step(Step::End)
        }
        Scenario::UsageOnDeltas => {
            let frames = frames.with(|frames| frames.wire.running_usage = true);
            let role = SseEvent::unnamed(&frames.wire.role());
            frames.events([role]).remainder(finish)
        }
        Scenario::AsyncFilter => {
            let frames = asynchronous(frames).several_deltas();
            let frames = annotation(frames, "protected_material_code", false, None);
            let frames = frames.remaining_deltas().finish(finish);
            let frames = ["hate", "self_harm", "sexual", "violence"]
                .into_iter()
                .fold(frames, |frames, filter| {
                    annotation(frames, filter, false, None)
                });
            frames.close()
        }
        Scenario::FilterOutage => {
            let frames = frames.with(|frames| frames.wire.filter = Filter::Outage);
            frames.opening().remainder(finish)
        }
        Scenario::ReplyFilteredCut => {
            let frames = frames.opening().several_deltas();
            frames.finish(Finish::ContentFilter).step(Step::Cut)
        }
        Scenario::AsyncFiltered => {
            let frames = asynchronous(frames).several_deltas();
            let frames = annotation(frames, "hate", false, None).several_deltas();
            let frames = annotation(frames, "violence", true, Some("content_filter"));
            done(frames).step(Step::End)
        }
        Scenario::AsyncFilteredLate => {
            let frames = asynchronous(frames).remaining_deltas().finish(finish);
            let frames = annotation(frames, "hate", false, None);
            annotation(frames, "violence", true, None).close()
        }
        Scenario::DoneWithoutFinish => done(frames.opening().several_deltas()).step(Step::End),
        Scenario::ErrorEvent => {
            let message = "The model has crashed without additional information.";
            let error = json!({"error": {"message": message}, "message": message});
            let event = SseEvent {
                name: Some("error".to_owned()),
                data: error.to_string(),
            };
            let frames = frames.opening().several_deltas();
            frames.events([event]).step(Step::End)
        }
        Scenario::ErrorNumeric => {
            let error = json!({"error": {
                "message": "the engine is gone", "type": "InternalServerError", "param": null,
                "code": 500,
            }});
            let frames = frames.opening().several_deltas();
            done(frames.events([SseEvent::unnamed(&error)])).step(Step::End)
        }
        Scenario::ErrorInStream => {
            let frames = frames.opening().several_deltas();
            done(frames.failure(&Failure::of_model())).step(Step::End)
        }
        Scenario::MessageForDelta => {
            let frames = quirks::reshape(
                frames.opening(),
                |text| json!({"index": 0, "message": {"role": "assistant", "content": text}}),
            );
            frames.complete(finish)
        }
        Scenario::ContentParts => {
            let thinking = [json!({"type": "text", "text": "A rhyme on that."})];
            let thinking = json!([{"type": "thinking", "thinking": thinking}]);
            let thinking = json!({"choices": [{"index": 0, "delta": {"content": thinking}}]});
            let frames = frames.opening().events([SseEvent::unnamed(&thinking)]);
            let frames = quirks::reshape(
                frames,
                |text| json!({"index": 0, "delta": {"content": [{"type": "text", "text": text}]}}),
            );
            frames.complete(finish)
        }
        Scenario::TextElsewhere => {
            let frames = quirks::reshape(
                frames.opening(),
                |text| json!({"index": 0, "delta": {"role": "assistant"}, "song": text}),
            );
            frames.complete(finish)
        }
        Scenario::FinishUnknown => {
            let frames = frames.opening().remaining_deltas();
            let finished = SseEvent::unnamed(&frames.wire.finished("moonrise"));
            frames.events([finished]).close()
        }
        _ => script::general(scenario, frames, finish),
    }
}

fn asynchronous(frames: Frames<Chunks>) -> Frames<Chunks> {
    frames
        .with(|frames| frames.wire.filter = Filter::Asynchronous)
        .opening()
}

/// Adds an annotation of the asynchronous filter about the text so far.
fn annotation(
    frames: Frames<Chunks>,
    filter: &str,
    filtered: bool,
    reason: Option<&str>,
) -> Frames<Chunks> {
    let annotation = frames.wire.annotation(filter, filtered, reason);
    frames.events([annotation])
}

fn usage(frames: Frames<Chunks>) -> Frames<Chunks> {
    let usage = frames.wire.usage();
    frames.events(usage)
}

fn done(frames: Frames<Chunks>) -> Frames<Chunks> {
    frames.events([chunks::done()])
}

/// The complete `chat.completion`, and the number of its deltas.
fn completion(scenario: Option<Scenario>, body: &ChatBody) -> (Value, usize) {
    let Reply { deltas, finish } = Reply::new(scenario, &body.parameters);
    let mut message = json!({
        "annotations": [], "content": deltas.concat(), "refusal": null, "role": "assistant",
    });
    let reason = match scenario {
        Some(Scenario::ReplyFiltered | Scenario::ReplyFilteredCut | Scenario::AsyncFiltered) => {
            // Azure omits the content; it does not send null.
            if let Some(message) = message.as_object_mut() {
                message.remove("content");
            }
            chunks::reason(Finish::ContentFilter)
        }
        Some(Scenario::ToolCalls) => {
            let function = json!({"name": "play_riddim", "arguments": "{\"tempo\":72}"});
            message["content"] = Value::Null;
            message["tool_calls"] =
                json!([{"id": "call_0", "type": "function", "function": function}]);
            "tool_calls"
        }
        Some(Scenario::Refusal) => {
            message["refusal"] = message["content"].take();
            chunks::reason(finish)
        }
        _ => chunks::reason(finish),
    };
    let completion = Chunks::new(body).completion(&message, reason, deltas.len());
    (completion, deltas.len())
}
