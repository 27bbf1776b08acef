//! The text of a reply and nothing else, for people with `curl`.
//!
//! Plain text has no word for a failure, or for text that is replaced. There the body breaks off,
//! which HTTP tells from its end.

use bytes::Bytes;
use serde::Deserialize;

use super::encoded::{Encoded, Then};
use crate::event::{Status, name_and_data};

pub(super) fn encode(stored: &[u8]) -> Encoded {
    match name_and_data(stored) {
        Some((b"delta", data)) => Encoded::more(text_of(data)),
        Some((b"replace", _)) => ABORT,
        Some((b"end", data)) if completed(data) => Encoded::last("\n"),
        Some((b"end", _)) => ABORT,
        _ => Encoded::nothing(),
    }
}

/// Ends the body so that its client notices.
pub(super) const ABORT: Encoded = Encoded {
    bytes: Bytes::new(),
    then: Then::Abort,
};

fn text_of(data: &[u8]) -> String {
    #[derive(Deserialize)]
    struct TextData {
        text: String,
    }
    serde_json::from_slice(data).map_or_else(|_| String::new(), |data: TextData| data.text)
}

fn completed(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct EndData {
        status: Status,
    }
    serde_json::from_slice(data).is_ok_and(|end: EndData| end.status == Status::Completed)
}
