//! The same POST sent twice: which key, of whom, with which request.
//!
//! A client whose POST got no answer cannot know whether a reply was started. With a key it may
//! ask again and pays once. Keys are valid only as the contract says, and two callers can never
//! meet in one key.

/// The shortest and longest key: shorter ones collide, longer ones fill the memory.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// A valid `Idempotency-Key`, within its caller's scope. Everybody is one anonymous caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// A key, and the request that it stands for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The key.
    pub key: IdempotencyKey,
    /// A digest of what is asked.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// Takes 16 to 128 visible ASCII characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = LENGTH.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
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
