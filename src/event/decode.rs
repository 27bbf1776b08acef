//! Reads our own encoded events back: the text of a reply, its end, and when it was accepted.
//!
//! It reads only what [`encode`](super::encode) writes. It is no general SSE decoder.

use serde::Deserialize;

use super::{created::Created, end::End, transcript::Transcript};

/// Decodes a reply's encoded events, in order: the text after the last `replace`, and the `end` if
/// it is among them.
///
/// Anything that is not one of our events is skipped.
pub fn decode_text<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> (String, Option<End>) {
    let mut text = String::new();
    let mut end = None;
    for event in events {
        match name_and_data(event) {
            Some((b"delta", data)) => text.push_str(&text_of(data)),
            Some((b"replace", data)) => text = text_of(data),
            Some((b"end", data)) => end = serde_json::from_slice(data).ok(),
            _ => {}
        }
    }
    (text, end)
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

/// The text in the data of a `delta` or a `replace`; empty if the data is not ours.
fn text_of(data: &[u8]) -> String {
    #[derive(Deserialize)]
    struct TextData {
        text: String,
    }
    serde_json::from_slice(data).map_or_else(|_| String::new(), |data: TextData| data.text)
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

fn name_and_data(event: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = event.split(|byte| *byte == b'\n').skip(1);
    let name = lines.next()?.strip_prefix(b"event: ")?;
    let data = lines.next()?.strip_prefix(b"data: ")?;
    Some((name, data))
}
