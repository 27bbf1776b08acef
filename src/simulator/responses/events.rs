//! The numbered events of a streamed response, from 0 without a gap, and the response that they tell of.
//!
//! The shapes and the order of fields are those of recorded streams. This module knows nothing of SSE
//! syntax, scenarios or time; [`wire`](super::wire) says which event comes when.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    body::ResponsesBody,
    object::{Item, Message, ResponseObject, Status},
};
use crate::simulator::{parameters::Parameters, stamp, wire::SseEvent};

/// The text of a delta and its obfuscation together are a multiple of this many characters.
const OBFUSCATION_STEP: usize = 16;
/// The events until a response that had to wait begins.
const OPENING_OF_QUEUED: usize = 3;

/// Builds the events of one response.
#[derive(Clone, Debug)]
pub(super) struct Events {
    /// The response so far; complete after the finish.
    pub(super) response: ResponseObject,
    pub(super) parameters: Parameters,
    /// The message that is being sent.
    pub(super) message: Option<Message>,
    pub(super) deltas: usize,
    pub(super) reasoning_tokens: usize,
    pub(super) refusing: bool,
    /// Whether the request asks for a summary of the reasoning.
    pub(super) summarizes: bool,
    /// Whether the response waits before it begins.
    pub(super) queued: bool,
    /// Whether the terminal event lacks the verdicts of the content filter.
    pub(super) no_verdicts: bool,
    /// Whether the content filter blocks the reply after its end.
    pub(super) blocked_late: bool,
    next_number: u64,
}

impl Events {
    pub(super) fn new(body: &ResponsesBody) -> Self {
        Self {
            response: ResponseObject::new(body),
            parameters: body.parameters.clone(),
            message: None,
            deltas: 0,
            reasoning_tokens: 0,
            refusing: false,
            summarizes: body.summarizes,
            queued: body.background,
            no_verdicts: false,
            blocked_late: false,
            next_number: 0,
        }
    }

    /// Whether no event has been made.
    pub(super) fn is_new(&self) -> bool {
        self.next_number == 0
    }

    /// Whether a response of which so many events have been sent still waits.
    pub(super) fn is_queued(&self, sent: usize) -> bool {
        self.queued && sent < OPENING_OF_QUEUED
    }

    /// The event after so many others that says that the response is cancelled, and the response.
    pub(super) fn cancelled(mut self, sent: usize) -> (SseEvent, ResponseObject) {
        self.next_number = u64::try_from(sent).unwrap_or(u64::MAX);
        self.response.status = Status::Cancelled;
        (self.whole("response.cancelled"), self.response)
    }

    /// An event of this type, with its number and then these fields.
    pub(super) fn event(&mut self, kind: &str, fields: &impl Serialize) -> SseEvent {
        #[derive(Serialize)]
        struct Numbered<'a, F> {
            r#type: &'a str,
            sequence_number: u64,
            #[serde(flatten)]
            fields: &'a F,
        }
        let event = Numbered {
            r#type: kind,
            sequence_number: self.number(),
            fields,
        };
        named(kind, &event)
    }

    /// An event with the whole response so far.
    pub(super) fn whole(&mut self, kind: &str) -> SseEvent {
        #[derive(Serialize)]
        struct Whole<'a> {
            r#type: &'a str,
            sequence_number: u64,
            response: &'a ResponseObject,
        }
        let event = Whole {
            r#type: kind,
            sequence_number: self.number(),
            response: &self.response,
        };
        named(kind, &event)
    }

    /// An event about the item after those of the output.
    pub(super) fn item(&mut self, kind: &str, item: &Item) -> SseEvent {
        #[derive(Serialize)]
        struct OfItem<'a> {
            output_index: usize,
            item: &'a Item,
        }
        let fields = OfItem {
            output_index: self.response.output.len(),
            item,
        };
        self.event(kind, &fields)
    }

    /// The event that ends an item, which becomes a part of the output.
    pub(super) fn close_item(&mut self, item: Item) -> SseEvent {
        let event = self.item("response.output_item.done", &item);
        self.response.output.push(item);
        event
    }

    /// An event about the message that is being sent.
    pub(super) fn placed(&mut self, kind: &str, fields: &impl Serialize) -> SseEvent {
        #[derive(Serialize)]
        struct Placed<'a, F> {
            item_id: &'a str,
            output_index: usize,
            content_index: usize,
            #[serde(flatten)]
            fields: &'a F,
        }
        let id = self.message.as_ref().map(|message| message.id.clone());
        let event = Placed {
            item_id: &id.unwrap_or_default(),
            output_index: self.response.output.len(),
            content_index: 0,
            fields,
        };
        self.event(kind, &event)
    }

    /// Azure's error event, whose number comes last.
    pub(super) fn error(&mut self, error: &impl Serialize) -> SseEvent {
        #[derive(Serialize)]
        struct Error<'a, E> {
            r#type: &'static str,
            error: &'a E,
            sequence_number: u64,
        }
        let event = Error {
            r#type: "error",
            error,
            sequence_number: self.number(),
        };
        named("error", &event)
    }

    /// OpenAI's error event, whose fields are not nested.
    pub(super) fn flat_error(&mut self, code: &str, message: &str) -> SseEvent {
        #[derive(Serialize)]
        struct Flat<'a> {
            r#type: &'static str,
            code: &'a str,
            message: &'a str,
            param: (),
            sequence_number: u64,
        }
        let event = Flat {
            r#type: "error",
            code,
            message,
            param: (),
            sequence_number: self.number(),
        };
        named("error", &event)
    }

    /// The end of a response that failed, whose number comes last.
    pub(super) fn failed(&mut self, error: Option<Value>) -> SseEvent {
        #[derive(Serialize)]
        struct Failed<'a> {
            r#type: &'static str,
            response: &'a ResponseObject,
            sequence_number: u64,
        }
        self.response.status = Status::Failed;
        self.response.error = error;
        let event = Failed {
            r#type: "response.failed",
            sequence_number: self.number(),
            response: &self.response,
        };
        named("response.failed", &event)
    }

    /// The `usage` of the response so far.
    pub(super) fn usage(&self) -> Value {
        let input = self.parameters.input_tokens();
        let output = self.deltas + self.reasoning_tokens;
        json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": input + output,
        })
    }

    /// Padding of a delta to a multiple of [`OBFUSCATION_STEP`], which hides lengths within classes of that
    /// size; `None` if the request does not want it.
    pub(super) fn obfuscation(&self, delta: &str) -> Option<String> {
        let over = delta.chars().count() % OBFUSCATION_STEP;
        let length = (OBFUSCATION_STEP - over) % OBFUSCATION_STEP;
        self.parameters
            .obfuscate
            .then(|| stamp::obfuscation(length))
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

fn named(kind: &str, event: &impl Serialize) -> SseEvent {
    SseEvent {
        name: Some(kind.to_owned()),
        // Serialization fails for maps whose keys are not strings; no event has one.
        data: serde_json::to_string(event).unwrap_or_default(),
    }
}
