//! The order of a response's events: the opening, a message with its deltas, the terminal event.
//!
//! It follows recorded streams. A message begins with its first delta, so a response may have no message
//! at all, and other items may come before it.

use serde::Serialize;
use serde_json::json;

use super::{
    events::Events,
    object::{Item, Message, Part, Status, Verdict},
};
use crate::simulator::{
    failure::Failure,
    reply::Finish,
    stamp,
    wire::{SseEvent, Wire},
};

/// The tokens of a reasoning that uses up a limit which the request does not set.
const REASONING_TOKENS: usize = 64;

impl Wire for Events {
    fn opening(&mut self) -> Vec<SseEvent> {
        let created = if self.queued {
            let [created, queued] = self.queue();
            vec![created, queued]
        } else {
            vec![self.whole("response.created")]
        };
        let started = self.whole("response.in_progress");
        created.into_iter().chain([started]).collect()
    }

    fn delta(&mut self, text: &str) -> Vec<SseEvent> {
        let mut events = match self.message {
            None => self.open_message(None),
            Some(_) => Vec::new(),
        };
        self.deltas += 1;
        let obfuscation = self.obfuscation(text);
        events.push(if self.refusing {
            let fields = Delta {
                delta: text,
                logprobs: None,
                obfuscation,
            };
            self.placed("response.refusal.delta", &fields)
        } else {
            let fields = Delta {
                delta: text,
                logprobs: Some([]),
                obfuscation,
            };
            self.placed("response.output_text.delta", &fields)
        });
        events
    }

    fn refuse(&mut self) {
        self.refusing = true;
    }

    fn finish(&mut self, finish: Finish, text: &str) -> Vec<SseEvent> {
        let mut events = Vec::new();
        if self.message.is_none() && finish == Finish::Stop {
            events.extend(self.open_message(None));
        }
        if self.deltas == 0 && finish == Finish::Length {
            self.reasoning_tokens = self.parameters.max_deltas.unwrap_or(REASONING_TOKENS);
        }
        events.extend(self.close_message(finish, text));
        events.push(self.terminal(finish, text));
        events
    }

    fn closing(&mut self) -> Vec<SseEvent> {
        Vec::new()
    }

    fn failure(&mut self, failure: &Failure) -> Vec<SseEvent> {
        let mut events = Vec::new();
        if self.is_new() {
            events.push(self.whole("response.created"));
        }
        let error = Error {
            r#type: failure.kind,
            code: failure.code,
            headers: failure
                .from_front_end
                .then(|| json!({"x-ms-fe-error": "true"})),
            message: &failure.message,
            param: (),
        };
        if failure.reason_last {
            events.push(self.failed(None));
            events.push(self.error(&error));
        } else {
            events.push(self.error(&error));
            let code = failure.code.unwrap_or(failure.kind);
            let reason = json!({"code": code, "message": failure.message});
            events.push(self.failed(Some(reason)));
        }
        events
    }
}

impl Events {
    /// The events of a response that has to wait.
    pub(super) fn queue(&mut self) -> [SseEvent; 2] {
        self.response.status = Status::Queued;
        let events = [
            self.whole("response.created"),
            self.whole("response.queued"),
        ];
        self.response.status = Status::InProgress;
        events
    }

    /// Begins a message.
    pub(super) fn open_message(&mut self, phase: Option<&'static str>) -> Vec<SseEvent> {
        let message = Message::new(self.response.item_id("msg"), phase);
        let item = Item::Message(message.clone());
        self.message = Some(message);
        vec![
            self.item("response.output_item.added", &item),
            self.part("response.content_part.added", ""),
        ]
    }

    /// Ends the message that is being sent, if there is one, and puts it into the output.
    pub(super) fn close_message(&mut self, finish: Finish, text: &str) -> Vec<SseEvent> {
        if self.message.is_none() {
            return Vec::new();
        }
        let done = if self.refusing {
            self.placed("response.refusal.done", &json!({"refusal": text}))
        } else {
            let fields = Done { text, logprobs: [] };
            self.placed("response.output_text.done", &fields)
        };
        let part = self.part("response.content_part.done", text);
        let Some(mut message) = self.message.take() else {
            return Vec::new();
        };
        message.content = vec![self.part_of(text)];
        message.status = match finish {
            Finish::Stop => Status::Completed,
            Finish::Length | Finish::ContentFilter => Status::Incomplete,
        };
        let closed = self.close_item(Item::Message(message));
        vec![done, part, closed]
    }

    /// The event that ends the response with this text.
    pub(super) fn terminal(&mut self, finish: Finish, text: &str) -> SseEvent {
        let (status, reason) = match finish {
            Finish::Stop => (Status::Completed, None),
            Finish::Length => (Status::Incomplete, Some("max_output_tokens")),
            Finish::ContentFilter => (Status::Incomplete, Some("content_filter")),
        };
        let blocked = finish == Finish::ContentFilter || self.blocked_late;
        let verdicts = vec![
            Verdict::on_prompt(self.parameters.characters),
            Verdict::on_reply(blocked, text.chars().count()),
        ];
        let usage = self.usage();
        let response = &mut self.response;
        response.status = status;
        response.completed_at = (finish == Finish::Stop).then(stamp::unix_time);
        response.content_filters = (!self.no_verdicts).then_some(verdicts);
        response.incomplete_details = reason.map(|reason| json!({"reason": reason}));
        response.usage = Some(usage);
        if response.service_tier == "auto" {
            response.service_tier = json!("default");
        }
        match finish {
            Finish::Stop => self.whole("response.completed"),
            _ => self.whole("response.incomplete"),
        }
    }

    fn part(&mut self, kind: &str, text: &str) -> SseEvent {
        #[derive(Serialize)]
        struct OfPart {
            part: Part,
        }
        let part = self.part_of(text);
        self.placed(kind, &OfPart { part })
    }

    fn part_of(&self, text: &str) -> Part {
        let text = text.to_owned();
        if self.refusing {
            return Part::Refusal { refusal: text };
        }
        Part::OutputText {
            annotations: [],
            logprobs: [],
            text,
        }
    }
}

#[derive(Serialize)]
struct Delta<'a> {
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<String>,
}

#[derive(Serialize)]
struct Done<'a> {
    text: &'a str,
    logprobs: [(); 0],
}

/// Azure's error. Fields stand in its order.
#[derive(Serialize)]
struct Error<'a> {
    r#type: &'a str,
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<serde_json::Value>,
    message: &'a str,
    param: (),
}
