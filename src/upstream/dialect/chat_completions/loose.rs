//! Chunks of an unusual form: what the types of [`wire`](super::wire) do not accept.
//!
//! The same field twice (the last one counts, as in Python and JavaScript), a number as a string, text
//! in parts, a delta that is a string. Only what would lose text is an error. This is the slow way: it
//! is taken only if the usual one fails.

use serde_json::value::RawValue;

use super::{
    object::{LosesText, Object},
    parts::{self, Parts},
    wire::{WireChoice, WireChunk, WireDelta},
};

/// Parses the data of a frame.
pub(super) fn parse(data: &str) -> Result<WireChunk<'_>, LosesText> {
    let chunk = Object::parse(data)?;
    let choices = match chunk.get("choices") {
        None => None,
        Some(choices) => {
            let choices: Vec<&RawValue> = serde_json::from_str(choices.get())?;
            let choices = choices.into_iter().filter(|choice| choice.get() != "null");
            Some(choices.map(choice).collect::<Result<_, _>>()?)
        }
    };
    Ok(WireChunk {
        choices,
        model: chunk.get("model"),
        object: chunk.get("object"),
        usage: chunk.get("usage"),
        error: chunk.get("error"),
        finish_reason: chunk.get("finish_reason"),
        x_groq: chunk.get("x_groq"),
    })
}

fn choice(json: &RawValue) -> Result<WireChoice<'_>, LosesText> {
    let choice = Object::parse(json.get())?;
    Ok(WireChoice {
        index: choice.get("index").and_then(index),
        delta: choice.get("delta").map(delta).transpose()?,
        message: choice.get("message"),
        finish_reason: choice.get("finish_reason"),
        camel_case_reason: choice.get("finishReason"),
        finish_details: choice.get("finish_details"),
        error: choice.get("error"),
        content_filter_results: choice.get("content_filter_results"),
        usage: choice.get("usage"),
    })
}

/// A number, or a string that holds one.
fn index(json: &RawValue) -> Option<u64> {
    let number: f64 = json.get().trim_matches('"').trim().parse().ok()?;
    // Only the first choice is read, so that the others need not be told apart.
    Some(u64::from(number != 0.0))
}

/// A delta, or a message in place of one: an object, or the text alone.
pub(super) fn delta(json: &RawValue) -> Result<WireDelta<'_>, LosesText> {
    let Ok(delta) = Object::parse(json.get()) else {
        return Ok(WireDelta::of_parts(parts::read(json)?));
    };
    let mut parts = Parts::default();
    if let Some(content) = delta.get("content") {
        parts = parts::read(content)?;
    }
    if let Some(refusal) = delta.get("refusal") {
        // No server has been seen to put anything but text there, so that nothing is lost.
        parts.extend(parts::read(refusal).unwrap_or_default());
    }
    let mut read = WireDelta::of_parts(parts);
    read.reasoning_content = delta.get("reasoning_content");
    read.reasoning = delta.get("reasoning");
    read.finish_reason = delta.get("finish_reason");
    Ok(read)
}
