//! The Chat Completions API: the body of a request out, the data of its frames in.
//!
//! Servers differ, and Microsoft may add fields at any time, so every field that is not needed may be
//! missing, null or of another type. Only what would lose text is an error: data that is not JSON, or
//! text that is not a string.
//!
//! This module knows nothing of connections or of time, and makes no events.

mod request;
mod wire;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub(in crate::upstream) use self::request::Request;
use self::wire::WireChunk;
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{
        chunk::{Chunk, Progress},
        dialect::{
            content_filter::retracts,
            error_object,
            model_names::ModelNames,
            surrogates::{SurrogateDecoder, WireText},
        },
        fault::Fault,
        secrets::Secrets,
    },
};

/// Turns frames into chunks, and keeps what one frame needs of the frames before it.
#[derive(Debug, Default)]
pub struct Normalizer {
    models: ModelNames,
    surrogates: SurrogateDecoder,
    reasoning_surrogates: SurrogateDecoder,
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
    /// A [`Fault`] with `upstream_error` for an error object, `upstream_protocol` for data that is
    /// no chunk. Text that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        // The official clients end on any data that begins like this.
        if data.starts_with("[DONE]") {
            return Ok(Progress::Ended);
        }
        if data.trim().is_empty() {
            return Ok(Progress::More);
        }
        let wire = WireChunk::parse(data)?;
        if let Some(error) = wire.error.filter(|error| is_truthy(error)) {
            return Err(error_object::in_stream(error.get()));
        }
        if event == "error"
            || wire
                .object
                .is_some_and(|object| object.get() == "\"error\"")
        {
            return Err(error_object::in_stream(data));
        }
        self.take(wire, chunks)
    }

    /// Ends the stream. Returns the replacement for half a character whose other half never came.
    pub fn finish(&mut self) -> Option<String> {
        self.surrogates.finish()
    }

    fn take(&mut self, wire: WireChunk<'_>, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let mut chunk = Chunk {
            model: wire.model.and_then(|model| self.models.read(model)),
            // Null in every chunk but the last. An unknown form counts as absent.
            usage: wire
                .usage
                .and_then(|usage| serde_json::from_str(usage.get()).ok()),
            ..Chunk::default()
        };
        let mut fault = None;
        // Requests ask for one choice. A chunk without choices does not end the text: Azure's first
        // chunk has filter results only, and its last one has usage only.
        for choice in wire.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            // Only annotations of the asynchronous filter have no delta. The synchronous filter
            // checks text before it is sent, so its verdicts retract nothing.
            let annotation = choice.delta.is_none();
            let delta = choice.delta.unwrap_or_default();
            if let Some(WireText(text)) = delta.reasoning()
                && let Some(text) = self.reasoning_surrogates.decode(text)
            {
                append(&mut chunk.reasoning, text);
            }
            // A refusal is the model's own text in place of an answer.
            for text in [delta.content, delta.refusal].into_iter().flatten() {
                if let Some(text) = self.surrogates.decode(text.0) {
                    append(&mut chunk.text, text);
                }
            }
            match choice.finish_reason.map(finish_reason) {
                Some(Ok(reason)) => chunk.finish = reason.or(chunk.finish),
                Some(Err(bad)) => fault = Some(bad),
                None => {}
            }
            chunk.retracted |= annotation
                && (chunk.finish == Some(FinishReason::ContentFilter)
                    || choice.content_filter_results.is_some_and(retracts));
        }
        if chunk.finish.is_some()
            && let Some(rest) = self.surrogates.finish()
        {
            append(&mut chunk.text, rest);
        }
        chunks.push(chunk);
        fault.map_or(Ok(Progress::More), Err)
    }
}

/// Appends `more` to `text`; moves it where there is none yet, which is nearly always.
fn append(text: &mut Option<String>, more: String) {
    match text {
        Some(text) => text.push_str(&more),
        None => *text = Some(more),
    }
}

/// The finish reasons of the Chat Completions API, and other servers' names for the same.
fn finish_reason(json: &RawValue) -> Result<Option<FinishReason>, Fault> {
    let Ok(reason) = serde_json::from_str::<String>(json.get()) else {
        return Ok(None);
    };
    match reason.as_str() {
        "" => Ok(None),
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => Ok(Some(FinishReason::Stop)),
        "length" | "max_tokens" | "model_length" => Ok(Some(FinishReason::Length)),
        "tool_calls" => Ok(Some(FinishReason::ToolCalls)),
        "function_call" => Ok(Some(FinishReason::FunctionCall)),
        "content_filter" => Ok(Some(FinishReason::ContentFilter)),
        "error" => Err(Fault::new(
            ErrorCode::UpstreamError,
            "finish reason \"error\"",
        )),
        _ => Err(Fault::new(
            ErrorCode::UpstreamProtocol,
            "unknown finish reason",
        )),
    }
}

/// Truth as Python defines it: the official client decides so whether `error` is an error.
fn is_truthy(json: &RawValue) -> bool {
    !matches!(json.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}
