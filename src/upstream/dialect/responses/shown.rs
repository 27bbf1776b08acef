//! The text of a reply so far, to compare it with the whole text that upstream repeats at the end of
//! each part.

use super::wire::Place;

/// The most text that is kept for the comparison. Stops a long reply from taking its memory twice; a
/// frame that could repeat more than this is not kept either.
const CHECKED_BYTES_LIMIT: usize = 1 << 20;

/// The text so far, and where its last part begins.
#[derive(Debug, Default)]
pub(super) struct ShownText {
    parts: Parts,
    /// Whether there is any text.
    any: bool,
}

#[derive(Debug)]
enum Parts {
    /// Every part so far came whole and in order.
    InOrder {
        text: String,
        /// The place of the last part, and where it begins in `text`; `None` before the first.
        last: Option<(Place, usize)>,
    },
    /// The text is too long to be kept, or its parts overlap.
    Unknown,
}

impl Default for Parts {
    fn default() -> Self {
        Self::InOrder {
            text: String::new(),
            last: None,
        }
    }
}

/// What the whole text of a part says about the text so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Nothing: it is the same, or cannot be compared.
    Nothing,
    /// The end is missing: this text.
    Rest(String),
    /// The part is another one. The text of the whole reply should be this.
    Contradiction(String),
}

impl ShownText {
    /// Whether there is no text.
    pub(super) const fn is_empty(&self) -> bool {
        !self.any
    }

    /// Adds text that was shown.
    pub(super) fn add(&mut self, place: Place, more: &str) {
        self.any |= !more.is_empty();
        let Parts::InOrder { text, last } = &mut self.parts else {
            return;
        };
        match last {
            Some((at, _)) if *at == place => {}
            Some((at, _)) if *at > place => {
                self.parts = Parts::Unknown;
                return;
            }
            _ => *last = Some((place, text.len())),
        }
        if text.len() + more.len() > CHECKED_BYTES_LIMIT {
            self.parts = Parts::Unknown;
        } else {
            text.push_str(more);
        }
    }

    /// Compares the whole text of a part with what was shown of it.
    pub(super) fn compare(&self, place: Place, whole: &str) -> Comparison {
        let Parts::InOrder { text, last } = &self.parts else {
            return Comparison::Nothing;
        };
        let begin = match last {
            Some((at, begin)) if *at == place => *begin,
            // Other parts have come since: it is too late to add to it.
            Some((at, _)) if *at > place => return Comparison::Nothing,
            _ => text.len(),
        };
        match whole.strip_prefix(&text[begin..]) {
            Some("") => Comparison::Nothing,
            Some(rest) => Comparison::Rest(rest.to_owned()),
            // Some servers leave the whole text out by sending an empty one.
            None if whole.is_empty() => Comparison::Nothing,
            None => Comparison::Contradiction(format!("{}{whole}", &text[..begin])),
        }
    }

    /// Replaces the whole text; its last part remains the last.
    pub(super) fn replace(&mut self, whole: &str, place: Place) {
        if let Parts::InOrder { text, last } = &mut self.parts {
            let begin = match last {
                Some((at, begin)) if *at == place => *begin,
                _ => text.len(),
            };
            *last = Some((place, begin));
            whole.clone_into(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(item: u64) -> Place {
        Place { item, part: 0 }
    }

    fn shown(parts: &[(u64, &str)]) -> ShownText {
        let mut shown = ShownText::default();
        for (item, text) in parts {
            shown.add(at(*item), text);
        }
        shown
    }

    #[test]
    fn a_missing_rest_is_told_from_a_contradiction() {
        use Comparison::{Contradiction, Nothing, Rest};
        let text = shown(&[(1, "first "), (2, "sec"), (2, "ond")]);
        assert_eq!(text.compare(at(2), "second"), Nothing);
        assert_eq!(text.compare(at(2), "seconds"), Rest("s".into()));
        assert_eq!(
            text.compare(at(2), "other"),
            Contradiction("first other".into())
        );
        assert_eq!(
            text.compare(at(2), "sec"),
            Contradiction("first sec".into())
        );
    }

    #[test]
    fn a_part_without_deltas_is_missing_whole() {
        let rest = Comparison::Rest("third".into());
        assert_eq!(shown(&[]).compare(at(0), "third"), rest);
        assert_eq!(shown(&[(1, "first")]).compare(at(2), "third"), rest);
    }

    #[test]
    fn what_cannot_be_compared_says_nothing() {
        let text = shown(&[(1, "first"), (2, "second")]);
        assert_eq!(text.compare(at(1), "other"), Comparison::Nothing);
        assert_eq!(text.compare(at(2), ""), Comparison::Nothing);
        // Parts that overlap.
        let text = shown(&[(1, "fi"), (2, "second"), (1, "rst")]);
        assert_eq!(text.compare(at(1), "other"), Comparison::Nothing);
        assert_eq!(text.compare(at(2), "other"), Comparison::Nothing);
        let long = "x".repeat(CHECKED_BYTES_LIMIT);
        let text = shown(&[(1, &long), (1, "x")]);
        assert_eq!(text.compare(at(1), &long), Comparison::Nothing);
        assert!(!text.is_empty());
    }

    #[test]
    fn after_a_replacement_the_new_text_is_compared() {
        let mut text = shown(&[(1, "first "), (2, "sec")]);
        text.replace("first other", at(2));
        assert_eq!(text.compare(at(2), "other"), Comparison::Nothing);
        text.add(at(2), "s");
        assert_eq!(text.compare(at(2), "others"), Comparison::Nothing);
    }
}
