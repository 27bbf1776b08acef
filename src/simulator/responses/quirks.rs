//! Quirks: events that are legal, or seen in the wild, and are not a plain message.
//!
//! Each function adds its events to the frames. [`script`](super::script) decides which scenario has
//! which quirk.

use serde::Serialize;
use serde_json::json;

use super::{
    events::Events,
    object::{FunctionCall, Item, Part, ReasoningItem},
};
use crate::simulator::{
    frames::Frames,
    reply::Finish,
    wire::{SseEvent, Wire as _},
};

const SUMMARY: [&str; 9] = [
    "**Finding",
    " the",
    " rhyme",
    "**\n\n",
    "The",
    " sea",
    " rhymes",
    " with",
    " free.",
];
const COMMENTARY: [&str; 4] = ["I", " look", " for", " words."];
const ARGUMENTS: [&str; 5] = ["{\"", "tempo", "\":", "72", "}"];

/// A field of an item other than a message.
#[derive(Serialize)]
struct Of<'a, F> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(flatten)]
    fields: F,
}

#[derive(Serialize)]
struct Delta<'a> {
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<String>,
}

#[derive(Serialize)]
struct WithPart {
    part: Part,
}

/// Adds a reasoning item, with its summary if the request asks for one.
pub(super) fn reasoning(mut frames: Frames<Events>) -> Frames<Events> {
    let mut item = ReasoningItem::new(frames.wire.response.item_id("rs"));
    frames.wire.reasoning_tokens += SUMMARY.len();
    let added = Item::Reasoning(item.clone());
    let added = frames.wire.item("response.output_item.added", &added);
    frames = frames.events([added]);
    if frames.wire.summarizes {
        frames = summary(frames, &item.id);
        item.summary = vec![summary_part(&SUMMARY.concat())];
    }
    let done = frames.wire.close_item(Item::Reasoning(item));
    frames.events([done])
}

fn summary(mut frames: Frames<Events>, item_id: &str) -> Frames<Events> {
    let whole = SUMMARY.concat();
    let part = |text| WithPart {
        part: summary_part(text),
    };
    let kind = "response.reasoning_summary_part.added";
    let added = event(&mut frames.wire, kind, item_id, Some(0), part(""));
    frames = frames.events([added]);
    for delta in SUMMARY {
        let fields = Delta {
            delta,
            obfuscation: frames.wire.obfuscation(delta),
        };
        let kind = "response.reasoning_summary_text.delta";
        let delta = event(&mut frames.wire, kind, item_id, Some(0), fields);
        frames = frames.paced([delta]);
    }
    let kind = "response.reasoning_summary_text.done";
    let text = json!({"text": whole});
    let text = event(&mut frames.wire, kind, item_id, Some(0), text);
    let kind = "response.reasoning_summary_part.done";
    let done = event(&mut frames.wire, kind, item_id, Some(0), part(&whole));
    frames.events([text, done])
}

fn summary_part(text: &str) -> Part {
    Part::SummaryText {
        text: text.to_owned(),
    }
}

/// An event about a part of the item after those of the output.
fn event(
    events: &mut Events,
    kind: &str,
    item_id: &str,
    summary_index: Option<usize>,
    fields: impl Serialize,
) -> SseEvent {
    let fields = Of {
        item_id,
        output_index: events.response.output.len(),
        summary_index,
        fields,
    };
    events.event(kind, &fields)
}

/// Adds a message of commentary, and begins the one with the answer.
pub(super) fn commentary(mut frames: Frames<Events>) -> Frames<Events> {
    let opened = frames.wire.open_message(Some("commentary"));
    frames = frames.events(opened);
    for text in COMMENTARY {
        let delta = frames.wire.delta(text);
        frames = frames.paced(delta);
    }
    let text = COMMENTARY.concat();
    let closed = frames.wire.close_message(Finish::Stop, &text);
    let answer = frames.wire.open_message(Some("final_answer"));
    frames.events(closed).events(answer)
}

/// Adds an event that only says that the connection is alive.
pub(super) fn keepalive(mut frames: Frames<Events>) -> Frames<Events> {
    let keepalive = frames.wire.event("keepalive", &json!({}));
    frames.events([keepalive])
}

/// Adds events of types that no client knows, with fields that elsewhere are text.
pub(super) fn unknown(mut frames: Frames<Events>) -> Frames<Events> {
    let fields = json!({"delta": "not text", "text": "nor this"});
    let delta = frames.wire.event("response.moonrise.delta", &fields);
    let fields = json!({"response": null, "item": [1, {"type": "message"}]});
    let other = frames.wire.event("moonrise", &fields);
    frames.events([delta, other])
}

/// Adds a tool call in parts.
pub(super) fn tool_call(mut frames: Frames<Events>) -> Frames<Events> {
    let mut call = FunctionCall::new(frames.wire.response.item_id("fc"));
    let added = Item::FunctionCall(call.clone());
    let added = frames.wire.item("response.output_item.added", &added);
    frames = frames.events([added]);
    for delta in ARGUMENTS {
        let fields = Delta {
            delta,
            obfuscation: frames.wire.obfuscation(delta),
        };
        let kind = "response.function_call_arguments.delta";
        let delta = event(&mut frames.wire, kind, &call.id, None, fields);
        frames = frames.paced([delta]);
    }
    call.complete(ARGUMENTS.concat());
    let kind = "response.function_call_arguments.done";
    let fields = json!({"arguments": call.arguments});
    let done = event(&mut frames.wire, kind, &call.id, None, fields);
    let closed = frames.wire.close_item(Item::FunctionCall(call));
    frames.events([done, closed])
}
