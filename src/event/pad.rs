//! The padding of deltas.

use rand::Rng as _;

/// Random characters that hide a delta's length from an observer of the encrypted connection.
///
/// Azure pads its chunks with an `obfuscation` field. A proxy that drops the field lets an observer
/// of its own hop read the lengths of the deltas, and from them the topic ("Whisper Leak").
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    pub(super) length: usize,
    pub(super) characters: [u8; Self::MAX],
}

impl Pad {
    /// The most characters that a pad has.
    pub const MAX: usize = 31;

    /// Draws 0 to [`Pad::MAX`] characters; every length is equally likely.
    #[must_use]
    pub fn random() -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // The first byte chooses the length, the others the characters.
        let mut random = [0; Self::MAX + 1];
        rand::rng().fill_bytes(&mut random);
        let [first, mut characters @ ..] = random;
        let length = usize::from(first) % (Self::MAX + 1);
        for byte in &mut characters[..length] {
            *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        Self { length, characters }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.characters[..self.length]).unwrap_or_default()
    }
}
