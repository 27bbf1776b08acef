//! Strings that hold half a surrogate pair, and pairs that are split over two chunks.
//!
//! A server that counts in UTF-16 may cut a surrogate pair in two. JSON can express half a pair, but a
//! `String` cannot hold it. WTF-8 can: it is UTF-8 in which a lone surrogate takes three bytes.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::value::RawValue;

/// A JSON string as WTF-8. serde_json returns strings that may hold half a surrogate pair as bytes
/// only.
pub(super) struct WireText(pub(super) Vec<u8>);

impl WireText {
    /// The string that `json` is; `None` for any other value.
    pub(super) fn parse(json: &RawValue) -> Option<Self> {
        let json = json.get();
        if memchr::memchr(b'\\', json.as_bytes()).is_some() {
            return serde_json::from_str(json).ok();
        }
        let text = json.strip_prefix('"')?.strip_suffix('"')?;
        Some(Self(text.as_bytes().to_vec()))
    }
}

impl<'de> Deserialize<'de> for WireText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = WireText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<WireText, E> {
                Ok(WireText(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A whole JSON string, in which half a surrogate pair becomes U+FFFD; `None` for any other value.
pub(super) fn decoded(json: &RawValue) -> Option<String> {
    let mut surrogates = SurrogateDecoder::default();
    let mut text = surrogates
        .decode(WireText::parse(json)?.0)
        .unwrap_or_default();
    text.extend(surrogates.finish());
    Some(text)
}

/// Decodes WTF-8 into text, and keeps a high surrogate until its low one comes.
#[derive(Debug, Default)]
pub(super) struct SurrogateDecoder {
    high: Option<u16>,
}

impl SurrogateDecoder {
    /// Ends the text. Returns the replacement for a high surrogate whose low one never came.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.high
            .take()
            .map(|_| char::REPLACEMENT_CHARACTER.to_string())
    }

    /// Decodes `text`, which may begin with a low surrogate and end with a high one. Returns `None`
    /// if no text is complete yet.
    pub(super) fn decode(&mut self, text: Vec<u8>) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if self.high.is_none() {
            match String::from_utf8(text) {
                Ok(text) => return Some(text),
                Err(error) => return self.decode_surrogates(error.as_bytes()),
            }
        }
        self.decode_surrogates(&text)
    }

    fn decode_surrogates(&mut self, text: &[u8]) -> Option<String> {
        let mut decoded = String::with_capacity(text.len() + 4);
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((surrogate, after)) = split_surrogate(rest) {
                rest = after;
                match (self.high.take(), surrogate) {
                    (Some(high), 0xDC00..=0xDFFF) => {
                        let pair = char::decode_utf16([high, surrogate]);
                        decoded.extend(pair.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                    }
                    (earlier, _) => {
                        decoded.extend(earlier.map(|_| char::REPLACEMENT_CHARACTER));
                        if surrogate < 0xDC00 {
                            self.high = Some(surrogate);
                        } else {
                            decoded.push(char::REPLACEMENT_CHARACTER);
                        }
                    }
                }
            } else {
                decoded.extend(self.high.take().map(|_| char::REPLACEMENT_CHARACTER));
                let end = next_surrogate(rest).unwrap_or(rest.len());
                decoded.push_str(&String::from_utf8_lossy(&rest[..end]));
                rest = &rest[end..];
            }
        }
        (!decoded.is_empty()).then_some(decoded)
    }
}

/// A surrogate at the beginning of `bytes`, as WTF-8 writes it in three bytes.
fn split_surrogate(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([0xED, second @ 0xA0..=0xBF, third], rest) = bytes.split_first_chunk()? else {
        return None;
    };
    let surrogate = 0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
    Some((surrogate, rest))
}

fn next_surrogate(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0xED, bytes).find(|at| split_surrogate(&bytes[*at..]).is_some())
}
