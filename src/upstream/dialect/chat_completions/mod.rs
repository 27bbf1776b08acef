//! The data of one frame in, one [`Chunk`] out: what of a `chat.completion.chunk` concerns a reply.
//!
//! Servers differ, and Microsoft reserves to add fields at any time, so everything that is not
//! needed may be missing, null or of another type. Only what would lose text is an error: data
//! that is not JSON, or text that is not a string.
//!
//! This module knows nothing of connections or of time, and makes no events.

mod request;
mod surrogates;
mod wire;

#[cfg(test)]
mod tests;

use serde_json::{Value, value::RawValue};

pub(in crate::upstream) use self::request::Request;
use self::{surrogates::SurrogateDecoder, wire::WireChunk};
use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{
        chunk::{Chunk, Progress},
        fault::Fault,
    },
};

/// The most of a model's name that is kept. Stops a hostile upstream from growing every `end`.
const MAX_MODEL_CHARS: usize = 128;

/// Turns frames into chunks, and keeps what must be remembered from one to the next.
#[derive(Debug, Default)]
pub struct Normalizer {
    /// The JSON of the newest model's name.
    model: String,
    surrogates: SurrogateDecoder,
}

impl Normalizer {
    /// Reads one frame, and adds its chunk to `chunks`: also one that says nothing that we use,
    /// since it is a sign of life. Data that is empty is no chunk.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `upstream_error` for an error object, `upstream_protocol` for what is not a
    /// chunk. Text that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        // The official clients end on whatever begins so.
        if data.starts_with("[DONE]") {
            return Ok(Progress::Ended);
        }
        if data.trim().is_empty() {
            return Ok(Progress::More);
        }
        let wire = WireChunk::parse(data)?;
        if let Some(error) = wire.error.filter(|error| is_truthy(error)) {
            return Err(Fault::in_stream(error.get()));
        }
        if event == "error"
            || wire
                .object
                .is_some_and(|object| object.get() == "\"error\"")
        {
            return Err(Fault::in_stream(data));
        }
        self.take(wire, chunks)
    }

    /// The end of the stream: half a character that never got its other half.
    pub fn finish(&mut self) -> Option<String> {
        self.surrogates.finish()
    }

    fn take(&mut self, wire: WireChunk<'_>, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let mut chunk = Chunk {
            model: wire.model.and_then(|model| self.new_model(model)),
            // Null in every chunk but the last; in an unknown form it is as good as absent.
            usage: wire
                .usage
                .and_then(|usage| serde_json::from_str(usage.get()).ok()),
            ..Chunk::default()
        };
        let mut fault = None;
        // We ask for one choice. No choice at all does not mean no more text: Azure opens with a
        // chunk that has only filter results, and closes with one that has only usage.
        for choice in wire.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            // Only annotations of the asynchronous filter have no delta. What the other mode
            // lets out was looked at before, and needs not be taken back.
            let annotation = choice.delta.is_none();
            let delta = choice.delta.unwrap_or_default();
            // A refusal is what the model says in the place of an answer.
            for text in [delta.content, delta.refusal].into_iter().flatten() {
                if let Some(text) = self.surrogates.join(text.0) {
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

    fn new_model(&mut self, json: &RawValue) -> Option<String> {
        if json.get() == self.model {
            return None;
        }
        json.get().clone_into(&mut self.model);
        let name: String = serde_json::from_str(json.get()).ok()?;
        Some(shown(&name)).filter(|name| !name.is_empty())
    }
}

/// Appends `more` to `text`; moves it where there is none yet, which is nearly always.
fn append(text: &mut Option<String>, more: String) {
    match text {
        Some(text) => text.push_str(&more),
        None => *text = Some(more),
    }
}

/// As the Chat Completions API has them, and the names that other servers give the same things.
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
            "finish_reason=error".to_owned(),
        )),
        _ => Err(Fault::new(
            ErrorCode::UpstreamProtocol,
            "unknown finish_reason".to_owned(),
        )),
    }
}

/// Whether any category of a filter's verdict says `filtered`. The blocklists are an object or an
/// array of objects; an `error` in the place of a verdict is none.
fn retracts(verdict: &RawValue) -> bool {
    let is_filtered = |verdict: &Value| verdict["filtered"] == Value::Bool(true);
    match serde_json::from_str(verdict.get()) {
        Ok(Value::Object(categories)) => categories.values().any(|category| {
            is_filtered(category)
                || category
                    .as_array()
                    .is_some_and(|list| list.iter().any(is_filtered))
        }),
        _ => false,
    }
}

/// A model's name as clients may see it: llama.cpp's server gives the path of its file, which is
/// nobody's business.
fn shown(name: &str) -> String {
    let is_path = name.starts_with(['/', '~']) || name.contains('\\');
    let name = if is_path {
        name.rsplit(['/', '\\']).next().unwrap_or_default()
    } else {
        name
    };
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_MODEL_CHARS)
        .collect()
}

/// As Python has it, by which the official client decides whether `error` is one.
fn is_truthy(json: &RawValue) -> bool {
    !matches!(json.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}
