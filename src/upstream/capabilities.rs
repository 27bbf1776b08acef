//! What a deployment has taught us about the fields that it refuses.
//!
//! Models differ in the optional fields that they take, and say so one at a time: a 400 that names a
//! field. The field is then left out or renamed, for this request and for all that follow to the
//! same deployment. This module reads no JSON and sends nothing.

use std::sync::atomic::{AtomicU8, Ordering};

/// An optional field of a request that a model may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The limit of output tokens, under either of its names.
    MaxTokens,
    /// `temperature`
    Temperature,
    /// `reasoning_effort`
    ReasoningEffort,
    /// `stream_options`
    StreamOptions,
}

impl Field {
    /// Every field by the names that upstream may call it, the longer one first where one holds
    /// the other.
    const NAMES: [(&'static str, Self); 5] = [
        ("max_completion_tokens", Self::MaxTokens),
        ("max_tokens", Self::MaxTokens),
        ("temperature", Self::Temperature),
        ("reasoning_effort", Self::ReasoningEffort),
        ("stream_options", Self::StreamOptions),
    ];

    /// The field that a refusal is about: `param` if it names one, else the first one that its
    /// words name.
    pub(super) fn named_in(param: &str, words: &str) -> Option<Self> {
        let named = |text: &str| {
            Self::NAMES
                .iter()
                .find(|(name, _)| text.contains(name))
                .map(|(_, field)| *field)
        };
        named(param).or_else(|| named(words))
    }
}

/// What is left out or renamed. Shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Lessons(AtomicU8);

/// The same, as it stood when a request was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt(u8);

const OTHER_NAME: u8 = 1;
const NO_MAX_TOKENS: u8 = 2;
const NO_TEMPERATURE: u8 = 4;
const NO_REASONING_EFFORT: u8 = 8;
const NO_STREAM_OPTIONS: u8 = 16;

impl Lessons {
    pub(super) fn so_far(&self) -> Learnt {
        Learnt(self.0.load(Ordering::Relaxed))
    }

    /// Takes in that `field` was refused in a request that was made as `learnt` says. False if
    /// there is nothing left to do about it.
    pub(super) fn learn(&self, field: Field, learnt: Learnt) -> bool {
        let lesson = match field {
            Field::MaxTokens if learnt.0 & OTHER_NAME == 0 => OTHER_NAME,
            Field::MaxTokens => NO_MAX_TOKENS,
            Field::Temperature => NO_TEMPERATURE,
            Field::ReasoningEffort => NO_REASONING_EFFORT,
            Field::StreamOptions => NO_STREAM_OPTIONS,
        };
        self.0.fetch_or(lesson, Ordering::Relaxed);
        learnt.0 & lesson == 0
    }
}

impl Learnt {
    /// Whether the limit of output tokens goes under the name that was not tried first.
    pub(super) const fn other_name(self) -> bool {
        self.0 & OTHER_NAME != 0
    }

    /// Whether a field is still sent.
    pub(super) const fn sends(self, field: Field) -> bool {
        let refused = match field {
            Field::MaxTokens => NO_MAX_TOKENS,
            Field::Temperature => NO_TEMPERATURE,
            Field::ReasoningEffort => NO_REASONING_EFFORT,
            Field::StreamOptions => NO_STREAM_OPTIONS,
        };
        self.0 & refused == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_field_by_param_or_in_words() {
        let named = Field::named_in;
        assert_eq!(named("temperature", ""), Some(Field::Temperature));
        assert_eq!(
            named("stream_options.include_usage", ""),
            Some(Field::StreamOptions)
        );
        let words = "Unrecognized request argument supplied: stream_options";
        assert_eq!(named("", words), Some(Field::StreamOptions));
        let words = "'max_tokens' is not supported. Use 'max_completion_tokens' instead.";
        assert_eq!(named("max_tokens", words), Some(Field::MaxTokens));
        assert_eq!(named("", words), Some(Field::MaxTokens));
        assert_eq!(named("messages", "too many"), None);
    }

    #[test]
    fn the_token_limit_is_renamed_first_and_then_left_out() {
        let lessons = Lessons::default();
        let first = lessons.so_far();
        assert!(!first.other_name() && first.sends(Field::MaxTokens));
        assert!(lessons.learn(Field::MaxTokens, first));
        let second = lessons.so_far();
        assert!(second.other_name() && second.sends(Field::MaxTokens));
        assert!(lessons.learn(Field::MaxTokens, second));
        let third = lessons.so_far();
        assert!(!third.sends(Field::MaxTokens));
        assert!(
            !lessons.learn(Field::MaxTokens, third),
            "nothing is left to try"
        );
    }

    #[test]
    fn two_requests_that_are_refused_at_once_learn_one_lesson() {
        let lessons = Lessons::default();
        let (one, other) = (lessons.so_far(), lessons.so_far());
        assert!(lessons.learn(Field::MaxTokens, one));
        assert!(lessons.learn(Field::MaxTokens, other));
        assert!(
            lessons.so_far().sends(Field::MaxTokens),
            "the other name was never tried"
        );
    }
}
