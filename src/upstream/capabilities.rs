//! The optional request fields that a deployment accepts, as far as its refusals show.
//!
//! Models differ in the optional fields that they accept, and report one at a time: a 400 that names a
//! field. The field is then renamed or left out, in this request and in all that follow to the
//! same deployment. This module reads no JSON and sends nothing.

/// An optional field of a request, which a model may refuse.
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
    /// Each name that upstream may give a field; where one name contains another, the longer one
    /// comes first.
    const NAMES: [(&'static str, Self); 5] = [
        ("max_completion_tokens", Self::MaxTokens),
        ("max_tokens", Self::MaxTokens),
        ("temperature", Self::Temperature),
        ("reasoning_effort", Self::ReasoningEffort),
        ("stream_options", Self::StreamOptions),
    ];

    /// The field that a refusal is about: the one that `param` names, else the first that stands
    /// in `words`.
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

/// How a request limits the model's output tokens. In the order in which the ways are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TokenLimit {
    /// Under the name that servers of this kind document.
    #[default]
    DocumentedName,
    /// Under the other name.
    OtherName,
    /// Not at all: both names were refused.
    Unsupported,
}

/// What a deployment accepts. Everything, until it refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) token_limit: TokenLimit,
    pub(super) temperature: bool,
    pub(super) reasoning_effort: bool,
    pub(super) stream_options: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            token_limit: TokenLimit::default(),
            temperature: true,
            reasoning_effort: true,
            stream_options: true,
        }
    }
}

impl Capabilities {
    /// What remains after a request made with these capabilities was refused for `field`; `None` if
    /// that request no longer had the field, so that leaving it out cannot help.
    pub(super) fn without(mut self, field: Field) -> Option<Self> {
        match field {
            Field::MaxTokens => {
                self.token_limit = match self.token_limit {
                    TokenLimit::DocumentedName => TokenLimit::OtherName,
                    TokenLimit::OtherName => TokenLimit::Unsupported,
                    TokenLimit::Unsupported => return None,
                };
            }
            Field::Temperature => take_away(&mut self.temperature)?,
            Field::ReasoningEffort => take_away(&mut self.reasoning_effort)?,
            Field::StreamOptions => take_away(&mut self.stream_options)?,
        }
        Some(self)
    }

    /// What both accept: two requests may have been refused at the same time.
    pub(super) fn intersection(self, other: Self) -> Self {
        Self {
            token_limit: self.token_limit.max(other.token_limit),
            temperature: self.temperature && other.temperature,
            reasoning_effort: self.reasoning_effort && other.reasoning_effort,
            stream_options: self.stream_options && other.stream_options,
        }
    }
}

/// Turns a capability off; `None` if it is off already.
fn take_away(capability: &mut bool) -> Option<()> {
    std::mem::take(capability).then_some(())
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
        let limits: Vec<TokenLimit> =
            std::iter::successors(Some(Capabilities::default()), |capabilities| {
                capabilities.without(Field::MaxTokens)
            })
            .map(|capabilities| capabilities.token_limit)
            .collect();
        assert_eq!(
            limits,
            [
                TokenLimit::DocumentedName,
                TokenLimit::OtherName,
                TokenLimit::Unsupported
            ]
        );
    }

    #[test]
    fn each_field_is_left_out_once_and_no_other_with_it() {
        for field in [
            Field::Temperature,
            Field::ReasoningEffort,
            Field::StreamOptions,
        ] {
            let reduced = Capabilities::default().without(field).unwrap();
            assert_eq!(reduced.without(field), None, "{field:?}");
            let sent = [
                (Field::Temperature, reduced.temperature),
                (Field::ReasoningEffort, reduced.reasoning_effort),
                (Field::StreamOptions, reduced.stream_options),
            ];
            for (other, is_sent) in sent {
                assert_eq!(is_sent, other != field, "{other:?} after {field:?}");
            }
        }
    }

    #[test]
    fn two_requests_that_are_refused_at_once_skip_no_name() {
        let made_with = Capabilities::default();
        let one = made_with.without(Field::MaxTokens).unwrap();
        let other = made_with.without(Field::MaxTokens).unwrap();
        assert_eq!(one.intersection(other).token_limit, TokenLimit::OtherName);
        let cool = made_with.without(Field::Temperature).unwrap();
        let both = one.intersection(cool);
        assert_eq!(both, cool.intersection(one));
        assert!(both.token_limit == TokenLimit::OtherName && !both.temperature);
    }
}
