//! Reads our own encoded events back: what a reply says, its end, and when it was accepted.
//!
//! It reads only what [`encode`](super::encode) writes. It is no general SSE decoder.

use serde::Deserialize;

use super::{created::Created, end::End, reply_event::Why, transcript::Transcript};

/// What the events of a reply say, taken together.
#[derive(Debug, Default, PartialEq)]
pub struct Content {
    /// The text after the last `replace`.
    pub text: String,
    /// The model's reasoning, after the last `replace` by the content filter.
    pub reasoning: String,
    /// The `end`, if it is among the events.
    pub end: Option<End>,
}

impl Content {
    /// Decodes a reply's encoded events, in order. Anything that is not one of our events is skipped.
    pub fn decode<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut content = Self::default();
        for event in events {
            match name_and_data(event) {
                Some((b"delta", data)) => content.text.push_str(&text_of(data)),
                Some((b"reasoning", data)) => content.reasoning.push_str(&text_of(data)),
                Some((b"replace", data)) => {
                    content.text = text_of(data);
                    if is_retraction(data) {
                        content.reasoning.clear();
                    }
                }
                Some((b"end", data)) => content.end = serde_json::from_slice(data).ok(),
                _ => {}
            }
        }
        content
    }
}

/// Adds an encoded event to the transcript of the events before it.
///
/// Anything that is not one of our events, or has no text, is skipped.
pub fn replay(event: &[u8], transcript: &mut Transcript) {
    match name_and_data(event) {
        Some((b"delta", data)) => transcript.append(&text_of(data)),
        Some((b"replace", data)) => transcript.replace(&text_of(data)),
        _ => {}
    }
}

/// The text in the data of a `delta`, a `reasoning` or a `replace`; empty if the data is not ours.
fn text_of(data: &[u8]) -> String {
    #[derive(Deserialize)]
    struct TextData {
        text: String,
    }
    serde_json::from_slice(data).map_or_else(|_| String::new(), |data: TextData| data.text)
}

/// Whether the data of a `replace` says that the content filter objected.
fn is_retraction(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct WhyData {
        why: Why,
    }
    serde_json::from_slice(data).is_ok_and(|data: WhyData| data.why == Why::ContentFilter)
}

/// Decodes when the reply was accepted from its `start`; `None` for any other event.
#[must_use]
pub fn decode_created(event: &[u8]) -> Option<Created> {
    #[derive(Deserialize)]
    struct StartData<'a> {
        created: &'a str,
    }
    match name_and_data(event)? {
        (b"start", data) => {
            let start: StartData<'_> = serde_json::from_slice(data).ok()?;
            start.created.parse().ok()
        }
        _ => None,
    }
}

/// The name and the JSON of an encoded event; `None` if it is not one of ours.
#[must_use]
pub fn name_and_data(event: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = event.split(|byte| *byte == b'\n').skip(1);
    let name = lines.next()?.strip_prefix(b"event: ")?;
    let data = lines.next()?.strip_prefix(b"data: ")?;
    Some((name, data))
}
