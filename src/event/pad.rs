//! The padding of the model's words: encoded events come in few lengths.

use rand::Rng as _;

/// Whether the model's words are padded.
///
/// An observer of an encrypted connection sees how long each event is, and can read the topic from
/// the lengths of the deltas ("Whisper Leak"). Azure pads its chunks with an `obfuscation` field; a
/// proxy that drops the field has to pad on its own hop. Random lengths would not do: what is added
/// averages out over a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Events are as long as their text.
    Off,
    /// Each event is padded to the next length class.
    ToClass,
}

/// The setting `PAD`.
impl From<bool> for Padding {
    fn from(pad: bool) -> Self {
        if pad { Self::ToClass } else { Self::Off }
    }
}

/// The distance between two length classes, in bytes.
const CLASS_STEP: usize = 16;

/// The shortest class, in bytes. It leaves 24 for the text in any log. Nearly every token is shorter, so
/// the deltas of a model that sends token by token have one length.
const SHORTEST_CLASS: usize = 80;

/// Appends the random characters that bring an event of `length` bytes to its class.
pub(super) fn append(length: usize, out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let class = length.max(SHORTEST_CLASS).next_multiple_of(CLASS_STEP);
    let begin = out.len();
    out.resize(begin + class - length, 0);
    let pad = &mut out[begin..];
    rand::rng().fill_bytes(pad);
    for byte in pad {
        *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
    }
}
