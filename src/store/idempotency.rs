//! Idempotency keys: with one, a repeated POST finds the reply that the first POST started.
//!
//! A client whose POST got no response does not know whether a reply was started. With a key it can
//! repeat the POST and pays once. This module defines valid keys; the memory store and replication
//! store them.

use std::ops::RangeInclusive;

/// The length of a key, in bytes. Shorter keys could collide; longer ones would use up memory.
const KEY_BYTES: RangeInclusive<usize> = 16..=128;

/// A valid `Idempotency-Key`. All callers share one anonymous scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// A key and the request that it was sent with.
#[derive(Clone, Debug)]
pub struct Request {
    /// The key.
    pub key: IdempotencyKey,
    /// A digest of the request: the same key with another digest is a client error.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// Parses a key: 16 to 128 visible ASCII characters. `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = KEY_BYTES.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        valid.then(|| Self(text.into()))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_16_to_128_visible_characters() {
        assert!(IdempotencyKey::parse(&"x".repeat(16)).is_some());
        assert!(IdempotencyKey::parse(&"~".repeat(128)).is_some());
        for bad in [
            "",
            &"x".repeat(15),
            &"x".repeat(129),
            "sixteen chars or",
            "sechzehn-zeichen-ä",
        ] {
            assert!(IdempotencyKey::parse(bad).is_none(), "for {bad:?}");
        }
    }
}
