//! The Responses API: the body of a request out, the data of its events in.
//!
//! The type of an event says what it is; events of unknown types are skipped. The stream repeats the
//! whole text at its end, which makes it possible to check the deltas. As in every dialect, fields
//! that are not needed may be missing, null or of another type, and only what would lose text is an
//! error.
//!
//! This module knows nothing of connections or of time, and makes no events.

mod ending;
mod request;
mod shown;
mod wire;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub(in crate::upstream) use self::request::Request;
use self::{
    ending::{Ending, incomplete, is_blocked, unreadable, whole_text},
    shown::{Comparison, ShownText},
    wire::{Place, WireEvent, WireItem, WireResponse, unquoted},
};
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{
        chunk::{Chunk, Progress},
        dialect::{
            error_object,
            model_names::ModelNames,
            repair,
            surrogates::{SurrogateDecoder, WireText, decoded},
        },
        fault::Fault,
        secrets::Secrets,
    },
};

/// Turns events into chunks, and keeps what one event needs of those before it.
#[derive(Debug, Default)]
pub struct Normalizer {
    models: ModelNames,
    surrogates: SurrogateDecoder,
    reasoning_surrogates: SurrogateDecoder,
    /// The part of the last reasoning.
    reasoned: Option<Place>,
    shown: ShownText,
    /// The item whose text is about the work, and not the answer.
    commentary: Option<u64>,
    tool: Tool,
    stage: Stage,
}

/// Whether the model asks the caller to run a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tool {
    #[default]
    NotCalled,
    Called,
}

/// How far the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The response has failed. Only the event with the reason counts now.
    Failed,
}

impl Normalizer {
    /// Makes a normalizer for the response to a request that carried these credentials.
    pub(in crate::upstream) fn new(secrets: Secrets) -> Self {
        Self {
            models: ModelNames::new(secrets),
            ..Self::default()
        }
    }

    /// Reads one event and adds its chunk to `chunks`. A chunk without anything of use is added
    /// too: it shows that upstream is alive. Empty data is no chunk.
    ///
    /// # Errors
    ///
    /// A [`Fault`] for a failure that the event reports, `upstream_protocol` for data that would
    /// lose text. Text that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        // Not part of the API, but some gateways add it.
        if data.starts_with("[DONE]") {
            return Ok(Progress::Ended);
        }
        if data.trim().is_empty() {
            return Ok(Progress::More);
        }
        match WireEvent::parse(data) {
            Ok(wire) => self.read_event(event, &wire, data, chunks),
            // Another protocol's event, such as a gateway's sign of life.
            Err(_) if !matters(event) => {
                chunks.push(Chunk::default());
                Ok(Progress::More)
            }
            // Where a repair does not help, the position of the first mistake is the one to tell.
            Err(fault) => match repair::without_non_numbers(data) {
                Some(data) => {
                    let wire = WireEvent::parse(&data).map_err(|_| fault)?;
                    self.read_event(event, &wire, &data, chunks)
                }
                None => Err(fault),
            },
        }
    }

    fn read_event(
        &mut self,
        event: &str,
        wire: &WireEvent<'_>,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        let kind = wire.kind.and_then(unquoted).unwrap_or(event);
        if let Some(fault) = reported(kind, wire, data) {
            return Err(fault);
        }
        let mut chunk = Chunk::default();
        let read = match self.stage {
            Stage::Open => self.take(kind, wire, &mut chunk),
            Stage::Failed => Ok(Progress::More),
        };
        chunks.push(chunk);
        read
    }

    /// The failure that upstream has reported without a reason, which may follow.
    pub(in crate::upstream) fn failure(&self) -> Option<Fault> {
        (self.stage == Stage::Failed).then(|| {
            let cause = "the response failed, and no reason came";
            Fault::new(ErrorCode::UpstreamError, cause)
        })
    }

    /// Ends the stream. Returns the replacement for half a character whose other half never came.
    pub fn finish(&mut self) -> Option<String> {
        self.surrogates.finish()
    }

    fn take(
        &mut self,
        kind: &str,
        wire: &WireEvent<'_>,
        chunk: &mut Chunk,
    ) -> Result<Progress, Fault> {
        match kind {
            // A refusal is the model's own text in place of an answer.
            "response.output_text.delta" | "response.refusal.delta" => {
                self.take_delta(wire.place(), wire.delta, chunk)?;
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = wire.delta.and_then(WireText::parse) {
                    self.reason(wire.place(), text, chunk);
                }
            }
            "response.output_text.done" => self.check(wire.place(), wire.text, chunk),
            "response.refusal.done" => self.check(wire.place(), wire.refusal, chunk),
            "response.output_item.added" | "response.output_item.done" => self.take_item(wire),
            "response.created" | "response.queued" | "response.in_progress" => {
                let response = WireResponse::parse(wire.response);
                chunk.model = response.model.and_then(|model| self.models.read(model));
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let response = WireResponse::parse(wire.response);
                return self.end(Ending::of(kind, &response), &response, chunk);
            }
            _ => {}
        }
        Ok(Progress::More)
    }

    fn take_item(&mut self, wire: &WireEvent<'_>) {
        let Some(item) = WireItem::parse(wire.item) else {
            return;
        };
        if item.is_commentary() {
            self.commentary = Some(wire.place().item);
        }
        if item.is_tool_call() {
            self.tool = Tool::Called;
        }
    }

    fn take_delta(
        &mut self,
        place: Place,
        delta: Option<&RawValue>,
        chunk: &mut Chunk,
    ) -> Result<(), Fault> {
        let text = delta.and_then(WireText::parse).ok_or_else(unreadable)?;
        if self.commentary == Some(place.item) {
            self.reason(place, text, chunk);
            return Ok(());
        }
        chunk.text = self.surrogates.decode(text.0);
        if let Some(text) = &chunk.text {
            self.shown.add(place, text);
        }
        Ok(())
    }

    /// Adds to the reasoning. A blank line separates its parts.
    fn reason(&mut self, place: Place, text: WireText, chunk: &mut Chunk) {
        let Some(text) = self.reasoning_surrogates.decode(text.0) else {
            return;
        };
        let is_new_part = self
            .reasoned
            .replace(place)
            .is_some_and(|last| last != place);
        chunk.reasoning = Some(if is_new_part {
            format!("\n\n{text}")
        } else {
            text
        });
    }

    /// Compares the deltas of a part with its whole text, if that came in bounds.
    fn check(&mut self, place: Place, whole: Option<&RawValue>, chunk: &mut Chunk) {
        if self.commentary == Some(place.item) {
            return;
        }
        if let Some(half) = self.surrogates.finish() {
            self.shown.add(place, &half);
            chunk.text = Some(half);
        }
        let Some(whole) = whole.and_then(decoded) else {
            return;
        };
        match self.shown.compare(place, &whole) {
            Comparison::Nothing => {}
            Comparison::Rest(rest) => {
                self.shown.add(place, &rest);
                chunk.text.get_or_insert_default().push_str(&rest);
            }
            Comparison::Contradiction(text) => {
                self.shown.replace(&text, place);
                chunk.text = None;
                chunk.corrected = Some(text);
            }
        }
    }

    fn end(
        &mut self,
        ending: Ending,
        response: &WireResponse<'_>,
        chunk: &mut Chunk,
    ) -> Result<Progress, Fault> {
        chunk.model = response.model.and_then(|model| self.models.read(model));
        chunk.usage = response.usage();
        chunk.text = self.surrogates.finish();
        let finish = match ending {
            Ending::Completed => {
                let calls_tool = self.tool == Tool::Called
                    || response.output().iter().any(WireItem::is_tool_call);
                if calls_tool {
                    FinishReason::ToolCalls
                } else {
                    FinishReason::Stop
                }
            }
            Ending::Incomplete => incomplete(response)?,
            Ending::Failed => {
                self.stage = Stage::Failed;
                return Ok(Progress::More);
            }
            Ending::Cancelled => {
                let cause = "upstream cancelled the response";
                return Err(Fault::new(ErrorCode::UpstreamError, cause));
            }
        };
        if self.shown.is_empty() && chunk.text.is_none() {
            chunk.text = whole_text(response)?;
        }
        chunk.finish = Some(finish);
        // A filter that cut the text off has checked what came before.
        chunk.retracted = finish != FinishReason::ContentFilter && is_blocked(response);
        Ok(Progress::Ended)
    }
}

/// Whether an event of this name would be read.
fn matters(event: &str) -> bool {
    event.is_empty() || event == "error" || event == "message" || event.starts_with("response.")
}

/// The failure that an event reports together with its reason, in any of the forms of that.
fn reported(kind: &str, wire: &WireEvent<'_>, data: &str) -> Option<Fault> {
    let is_truthy = |json: &&RawValue| !matches!(json.get(), "null" | "false" | "\"\"" | "{}");
    let error = match kind {
        // Nested at Azure, flat at OpenAI; a gateway's own object has no type.
        "error" => Some(wire.error.filter(is_truthy).map_or(data, RawValue::get)),
        "" | "message" => wire.error.filter(is_truthy).map(RawValue::get),
        "response.failed" => {
            let response = WireResponse::parse(wire.response);
            response.error.filter(is_truthy).map(RawValue::get)
        }
        _ => None,
    };
    error.map(error_object::in_stream)
}
