//! The Chat Completions API: the body of a request out, the data of its frames in.
//!
//! Servers differ, and Microsoft may add fields at any time, so every field that is not needed may be
//! missing, null or of another type. A frame of the usual form is parsed in one pass; what does not have
//! it is read again, in a way that accepts every form that servers are known to send. Only what would
//! lose text is an error: data that is not JSON, or text of a type that holds none.
//!
//! This module knows nothing of connections or of time, and makes no events.

mod elsewhere;
mod finish;
mod loose;
mod message;
mod object;
mod parts;
mod request;
mod wire;

#[cfg(test)]
mod tests;

use log::info;
use serde_json::value::RawValue;

pub(in crate::upstream) use self::request::Request;
use self::{
    finish::Finish,
    message::Message,
    object::LosesText,
    wire::{WireChoice, WireChunk, WireDelta},
};
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{
        chunk::{Chunk, Progress},
        dialect::{
            content_filter::retracts, error_object, model_names::ModelNames, repair,
            surrogates::SurrogateDecoder, usage,
        },
        fault::Fault,
        secrets::Secrets,
        word::Word,
    },
};

/// Names of frames that only keep the connection open. Their data may be anything.
const KEEPALIVES: [&str; 4] = ["ping", "keepalive", "keep-alive", "heartbeat"];

/// Turns frames into chunks, and keeps what one frame needs of the frames before it.
#[derive(Debug, Default)]
pub struct Normalizer {
    models: ModelNames,
    surrogates: SurrogateDecoder,
    reasoning_surrogates: SurrogateDecoder,
    message: Message,
    elsewhere: Elsewhere,
    told: Told,
}

/// Whether there was text in a place that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Elsewhere {
    #[default]
    NotSeen,
    Seen,
}

/// What the log has of this stream.
#[derive(Debug, Default)]
struct Told {
    part: bool,
    finish: bool,
}

impl Normalizer {
    /// Makes a normalizer for the response to a request that carried these credentials.
    pub(in crate::upstream) fn new(secrets: Secrets) -> Self {
        Self {
            models: ModelNames::new(secrets),
            ..Self::default()
        }
    }

    /// Reads one frame and adds its chunk to `chunks`. A chunk without anything of use is added
    /// too: it shows that upstream is alive. Empty data is no chunk.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that an error object stands for, or `upstream_protocol` for data that is no
    /// chunk. Text that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        // The official clients end on any data that begins like this.
        if data.trim_start().starts_with("[DONE]") {
            return Ok(Progress::Ended);
        }
        if data.trim().is_empty() || KEEPALIVES.contains(&event) {
            return Ok(Progress::More);
        }
        if event == "error" {
            return Err(error_object::in_stream(data));
        }
        match WireChunk::parse(data) {
            Ok(wire) => self.take(wire, data, chunks),
            Err(fault) => self.read_unusual(data, fault, chunks),
        }
    }

    /// Reads data that does not have the usual form; `fault` is what is wrong with it.
    fn read_unusual(
        &mut self,
        data: &str,
        fault: Fault,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        if let Ok(wire) = loose::parse(data) {
            return self.take(wire, data, chunks);
        }
        // Where a repair does not help, the position of the first mistake is the one to tell.
        let unrepaired = |error: Fault| match error.error.code {
            ErrorCode::UpstreamProtocol => fault.clone(),
            _ => error,
        };
        if let Some(data) = repair::without_non_numbers(data) {
            return self.read("", &data, chunks).map_err(unrepaired);
        }
        let Some(lines) = repair::lines(data) else {
            return Err(fault);
        };
        for line in lines {
            let read = self.read("", line, chunks).map_err(unrepaired)?;
            if read == Progress::Ended {
                return Ok(read);
            }
        }
        Ok(Progress::More)
    }

    /// The fault of a stream that has had text, but none that was understood.
    #[must_use]
    pub fn not_understood(&self) -> Option<Fault> {
        (self.message.is_empty() && self.elsewhere == Elsewhere::Seen).then(|| {
            let cause = "the text is in a place that this program does not know";
            Fault::new(ErrorCode::UpstreamProtocol, cause)
        })
    }

    /// Ends the stream. Returns the replacement for half a character whose other half never came.
    pub fn finish(&mut self) -> Option<String> {
        self.surrogates.finish()
    }

    fn take(
        &mut self,
        wire: WireChunk<'_>,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        let mut fault = error_in(&wire, data);
        let mut chunk = Chunk {
            model: wire.model.and_then(|model| self.models.read(model)),
            // Null in every chunk but the last.
            usage: wire.usages().find_map(usage::read),
            ..Chunk::default()
        };
        if let Some(reason) = wire.finish_reason {
            self.finish_with(reason, &mut chunk, &mut fault);
        }
        // Requests ask for one choice. A chunk without choices does not end the text: Azure's first
        // chunk has filter results only, and its last one has usage only.
        for choice in wire.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) == 0 {
                self.take_choice(choice, &mut chunk, &mut fault);
            }
        }
        if chunk.finish.is_some()
            && let Some(rest) = self.surrogates.finish()
        {
            append(&mut chunk.text, rest);
        }
        if self.message.is_empty() {
            fault = fault.or_else(|| self.look_elsewhere(&chunk, data));
        }
        if fault.is_some() {
            // After a finish reason nothing would fail.
            chunk.finish = None;
        }
        chunks.push(chunk);
        fault.map_or(Ok(Progress::More), Err)
    }

    fn take_choice(
        &mut self,
        mut choice: WireChoice<'_>,
        chunk: &mut Chunk,
        fault: &mut Option<Fault>,
    ) {
        // Only annotations of the asynchronous filter have no delta. The synchronous filter checks
        // text before it is sent, so its verdicts retract nothing.
        let annotation = choice.delta.is_none() && choice.message.is_none();
        if let Some(error) = choice.error.filter(|error| is_truthy(error)) {
            fault.get_or_insert_with(|| error_object::in_stream(error.get()));
        }
        for reason in choice.finish_reasons() {
            self.finish_with(reason, chunk, fault);
        }
        let (mut reasoning, mut text) = (None, None);
        if let Some(delta) = &mut choice.delta {
            self.tell_part(delta.unknown_part());
            reasoning = delta.take_reasoning();
            text = delta.take_text();
        }
        match choice.message.map(message) {
            None => {
                if text.is_some() {
                    self.message.add_delta();
                }
            }
            Some(Ok(mut message)) => {
                self.tell_part(message.unknown_part());
                if let Some(reason) = message.finish_reason {
                    self.finish_with(reason, chunk, fault);
                }
                if self.message.is_empty() {
                    reasoning = reasoning.or_else(|| message.take_reasoning());
                }
                text = self.message.add(text, message.take_text());
            }
            Some(Err(LosesText)) => {
                let cause = "the message has text of another type";
                fault.get_or_insert(Fault::new(ErrorCode::UpstreamProtocol, cause));
            }
        }
        if let Some(text) = reasoning.and_then(|text| self.reasoning_surrogates.decode(text)) {
            append(&mut chunk.reasoning, text);
        }
        if let Some(text) = text.and_then(|text| self.surrogates.decode(text)) {
            append(&mut chunk.text, text);
        }
        chunk.retracted |= annotation
            && (chunk.finish == Some(FinishReason::ContentFilter)
                || choice.content_filter_results.is_some_and(retracts));
    }

    fn finish_with(&mut self, reason: &RawValue, chunk: &mut Chunk, fault: &mut Option<Fault>) {
        let reason = match finish::read(reason) {
            None => return,
            Some(Finish::Failed(failed)) => {
                fault.get_or_insert(*failed);
                return;
            }
            Some(Finish::Reason(reason)) => reason,
            Some(Finish::Unknown(word)) => {
                if !std::mem::replace(&mut self.told.finish, true) {
                    info!(finish_reason:% = word; "unknown finish reason");
                }
                FinishReason::Other
            }
        };
        if chunk.finish.is_none() || reason == FinishReason::ContentFilter {
            chunk.finish = Some(reason);
        }
    }

    /// Looks for text in places that are not known, in a stream that has had none. A model that
    /// finishes with an answer of which nothing was understood is a fault.
    fn look_elsewhere(&mut self, chunk: &Chunk, data: &str) -> Option<Fault> {
        if chunk.reasoning.is_none()
            && self.elsewhere == Elsewhere::NotSeen
            && elsewhere::has_text(data)
        {
            self.elsewhere = Elsewhere::Seen;
        }
        let answered = matches!(
            chunk.finish,
            Some(FinishReason::Stop | FinishReason::Length | FinishReason::Other)
        );
        answered.then(|| self.not_understood()).flatten()
    }

    fn tell_part(&mut self, kind: Option<Word>) {
        if let Some(kind) = kind
            && !std::mem::replace(&mut self.told.part, true)
        {
            info!(kind:% = kind; "part of the content skipped");
        }
    }
}

/// Reads a message. Only the servers that send one have the cost of reading it apart.
fn message(json: &RawValue) -> Result<WireDelta<'_>, LosesText> {
    serde_json::from_str(json.get()).or_else(|_| loose::delta(json))
}

/// The fault that a chunk stands for, if it is an error.
fn error_in(wire: &WireChunk<'_>, data: &str) -> Option<Fault> {
    if let Some(error) = wire.error.filter(|error| is_truthy(error)) {
        return Some(error_object::in_stream(error.get()));
    }
    if wire
        .object
        .is_some_and(|object| object.get() == "\"error\"")
    {
        return Some(error_object::in_stream(data));
    }
    // What has choices, or counts tokens, is no error.
    let is_chunk = wire.choices.is_some() || wire.usage.is_some();
    (!is_chunk).then(|| error_object::disguised(data)).flatten()
}

/// Appends `more` to `text`; moves it where there is none yet, which is nearly always.
fn append(text: &mut Option<String>, more: String) {
    match text {
        Some(text) => text.push_str(&more),
        None => *text = Some(more),
    }
}

/// Truth as Python defines it: the official client decides so whether `error` is an error.
fn is_truthy(json: &RawValue) -> bool {
    !matches!(json.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}
