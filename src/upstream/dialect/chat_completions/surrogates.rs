//! Characters whose two UTF-16 halves come in two chunks.
//!
//! A server that counts in UTF-16 may cut a surrogate pair in two. JSON can write half a pair, a
//! `String` cannot hold it; WTF-8 can, which is UTF-8 with the halves in three bytes each.

/// Makes text of WTF-8, and keeps a first half until the second one comes.
#[derive(Debug, Default)]
pub(super) struct SurrogateDecoder {
    high: Option<u16>,
}

impl SurrogateDecoder {
    /// A half that never got its other half.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.high
            .take()
            .map(|_| char::REPLACEMENT_CHARACTER.to_string())
    }

    /// Makes a string of `text`, which may begin with the second half of a surrogate pair and end
    /// with the first.
    pub(super) fn join(&mut self, text: Vec<u8>) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if self.high.is_none() {
            match String::from_utf8(text) {
                Ok(text) => return Some(text),
                Err(error) => return self.join_halves(error.as_bytes()),
            }
        }
        self.join_halves(&text)
    }

    fn join_halves(&mut self, text: &[u8]) -> Option<String> {
        let mut joined = String::with_capacity(text.len() + 4);
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((half, after)) = split_half(rest) {
                rest = after;
                match (self.high.take(), half) {
                    (Some(high), 0xDC00..=0xDFFF) => {
                        let pair = char::decode_utf16([high, half]);
                        joined.extend(pair.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                    }
                    (earlier, _) => {
                        joined.extend(earlier.map(|_| char::REPLACEMENT_CHARACTER));
                        if half < 0xDC00 {
                            self.high = Some(half);
                        } else {
                            joined.push(char::REPLACEMENT_CHARACTER);
                        }
                    }
                }
            } else {
                joined.extend(self.high.take().map(|_| char::REPLACEMENT_CHARACTER));
                let end = next_half(rest).unwrap_or(rest.len());
                joined.push_str(&String::from_utf8_lossy(&rest[..end]));
                rest = &rest[end..];
            }
        }
        (!joined.is_empty()).then_some(joined)
    }
}

/// Half a surrogate pair at the beginning of `bytes`, as WTF-8 writes it in three bytes.
fn split_half(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([0xED, second @ 0xA0..=0xBF, third], rest) = bytes.split_first_chunk()? else {
        return None;
    };
    let half = 0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
    Some((half, rest))
}

fn next_half(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0xED, bytes).find(|at| split_half(&bytes[*at..]).is_some())
}
