//! The running length and hash of a reply's text, so that its `end` can prove the text complete.

use sha2::{Digest as _, Sha256};

/// Length and SHA-256 of the text after the last `replace`.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    hash: Sha256,
    bytes: u64,
}

impl Transcript {
    /// Adds the text of a delta.
    pub fn append(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.bytes += text.len() as u64;
    }

    /// Starts again with the text of a `replace`.
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
        base16ct::lower::encode_string(&self.hash.clone().finalize())
    }
}
