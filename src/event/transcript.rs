//! The text that a reply's events make, and the proof of it: kept while they are written, or read
//! back out of the stored blocks, as is the time in the first of them.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Created, end::End};

/// The text of a reply as it stands, with what [`End`] says of it. Fed either by the generation
/// as it goes, or from the stored blocks of a log.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    hash: Sha256,
    bytes: u64,
}

impl Transcript {
    /// Takes a delta's text.
    pub fn append(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.bytes += text.len() as u64;
    }

    /// Takes a replacement of all that came before.
    pub fn replace(&mut self, text: &str) {
        *self = Self::default();
        self.append(text);
    }

    /// Length of the text in bytes of UTF-8.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the text in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let text = String::with_capacity(2 * bytes.len());
    bytes.iter().fold(text, |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads the text back out of stored blocks, in order: the text after the last `replace`, and the
/// `end` if it is there.
///
/// Blocks that are not ours are passed over; a log holds none.
pub fn read_back<'a>(blocks: impl IntoIterator<Item = &'a [u8]>) -> (String, Option<End>) {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    let mut text = String::new();
    let mut end = None;
    for block in blocks {
        let Some((name, data)) = split_block(block) else {
            continue;
        };
        match name {
            b"delta" => {
                if let Ok(delta) = serde_json::from_slice::<Text>(data) {
                    text.push_str(&delta.text);
                }
            }
            b"replace" => {
                if let Ok(replace) = serde_json::from_slice::<Text>(data) {
                    text = replace.text;
                }
            }
            b"end" => end = serde_json::from_slice(data).ok(),
            _ => {}
        }
    }
    (text, end)
}

/// When the reply was accepted whose `start` this block is; `None` if it is another block.
#[must_use]
pub fn created_of(block: &[u8]) -> Option<Created> {
    #[derive(Deserialize)]
    struct Start<'a> {
        created: &'a str,
    }
    match split_block(block)? {
        (b"start", data) => {
            let start: Start<'_> = serde_json::from_slice(data).ok()?;
            start.created.parse().ok()
        }
        _ => None,
    }
}

fn split_block(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = block.split(|byte| *byte == b'\n').skip(1);
    let name = lines.next()?.strip_prefix(b"event: ")?;
    let data = lines.next()?.strip_prefix(b"data: ")?;
    Some((name, data))
}
