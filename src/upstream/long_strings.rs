//! Leaves long strings out of JSON that is too long to keep, as it streams by.
//!
//! A string over the limit becomes `false`, which no reader of a string accepts by mistake. All else
//! stays as it is, so the rest of the JSON can be read. This module keeps no text itself.

use memchr::{memchr, memchr2};

/// The longest string that stays, in bytes of JSON. Names, ids and codes are shorter.
const KEPT_STRING_BYTES: usize = 4096;

/// The state between two pieces of the JSON.
#[derive(Debug, Default)]
pub(super) struct LongStrings {
    place: Place,
}

/// Where in the JSON the last piece ended.
#[derive(Debug, Default)]
enum Place {
    /// Between strings.
    #[default]
    Outside,
    /// In a string that begins at this index of the output.
    Inside { begin: usize, after_backslash: bool },
    /// In a string that has been left out.
    LeftOut { after_backslash: bool },
}

impl LongStrings {
    /// Adds a piece of the JSON to `out`, without its long strings.
    pub(super) fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while !piece.is_empty() {
            let taken = match &mut self.place {
                Place::Outside => {
                    let Some(quote) = memchr(b'"', piece) else {
                        out.extend_from_slice(piece);
                        return;
                    };
                    self.place = Place::Inside {
                        begin: out.len() + quote,
                        after_backslash: false,
                    };
                    out.extend_from_slice(&piece[..=quote]);
                    quote + 1
                }
                Place::Inside {
                    begin,
                    after_backslash,
                } => {
                    let (taken, ended) = rest_of_string(piece, after_backslash);
                    out.extend_from_slice(&piece[..taken]);
                    if out.len() - *begin > KEPT_STRING_BYTES {
                        out.truncate(*begin);
                        out.extend_from_slice(b"false");
                        let after_backslash = *after_backslash;
                        self.place = Place::LeftOut { after_backslash };
                    }
                    if ended {
                        self.place = Place::Outside;
                    }
                    taken
                }
                Place::LeftOut { after_backslash } => {
                    let (taken, ended) = rest_of_string(piece, after_backslash);
                    if ended {
                        self.place = Place::Outside;
                    }
                    taken
                }
            };
            piece = &piece[taken..];
        }
    }

    /// How much of `out` is there to stay: a string that has not ended may still be left out.
    pub(super) fn settled(&self, out: &[u8]) -> usize {
        match self.place {
            Place::Inside { begin, .. } => begin,
            Place::Outside | Place::LeftOut { .. } => out.len(),
        }
    }
}

/// How many bytes of `piece` belong to a string that has begun, and whether it ends with them.
fn rest_of_string(piece: &[u8], after_backslash: &mut bool) -> (usize, bool) {
    let mut at = 0;
    if std::mem::take(after_backslash) {
        at = 1;
    }
    while let Some(found) = memchr2(b'"', b'\\', &piece[at..]) {
        let found = at + found;
        if piece[found] == b'"' {
            return (found + 1, true);
        }
        at = found + 2;
        if at > piece.len() {
            *after_backslash = true;
            break;
        }
    }
    (piece.len(), false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn without<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut strings, mut out) = (LongStrings::default(), Vec::new());
        for piece in pieces {
            strings.push(piece, &mut out);
        }
        assert_eq!(strings.settled(&out), out.len(), "all strings have ended");
        out
    }

    #[test]
    fn long_strings_are_left_out_and_all_else_stays() {
        let long = "\\\"".repeat(KEPT_STRING_BYTES);
        let json = json!({"a": long, "b": [1, "\\", long], "c": "\"", "d": {"e": null}});
        let short = json!({"a": false, "b": [1, "\\", false], "c": "\"", "d": {"e": null}});
        let text = json.to_string();
        let out: Value = serde_json::from_slice(&without([text.as_bytes()])).unwrap();
        assert_eq!(out, short);
        // A long string never takes more than the limit in the output, however it is split.
        let (mut strings, mut out) = (LongStrings::default(), Vec::new());
        for byte in text.as_bytes().chunks(1) {
            strings.push(byte, &mut out);
            assert!(out.len() <= KEPT_STRING_BYTES + 64);
        }
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), short);
    }

    #[test]
    fn a_string_of_the_limit_stays() {
        let longest = format!("\"{}\"", "x".repeat(KEPT_STRING_BYTES - 2));
        assert_eq!(without([longest.as_bytes()]), longest.as_bytes());
        let longer = format!("\"{}\"", "x".repeat(KEPT_STRING_BYTES - 1));
        assert_eq!(without([longer.as_bytes()]), b"false");
    }

    proptest! {
        #[test]
        fn the_result_is_the_same_however_the_json_is_split(
            strings in prop::collection::vec(("[\\\\\"a]{0,8}", 0..3_usize), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let strings: Vec<String> = strings
                .iter()
                .map(|(text, size)| text.repeat([1, 500, 2000][*size]))
                .collect();
            let text = json!(strings).to_string();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]);
            let split = without(pieces);
            prop_assert_eq!(&split, &without([text.as_bytes()]));
            let kept: Vec<Value> = serde_json::from_slice(&split).unwrap();
            for (text, kept) in strings.iter().zip(kept) {
                let stays = json!(text).to_string().len() <= KEPT_STRING_BYTES;
                prop_assert_eq!(kept, if stays { json!(text) } else { json!(false) });
            }
        }
    }
}
