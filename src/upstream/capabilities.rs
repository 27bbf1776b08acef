//! The API that a deployment has, and the optional request fields that it accepts, as far as its
//! refusals show.
//!
//! Models differ in the optional fields that they accept, and report one at a time: a 400 that names a
//! field. The field is then renamed or left out, in this request and in all that follow to the
//! same deployment. This module reads no JSON and sends nothing.

use super::api::Api;

/// An optional field of a request, which a model may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The limit of output tokens, under either of its names.
    MaxTokens,
    /// `temperature`
    Temperature,
    /// `reasoning_effort`, or `reasoning.effort`
    ReasoningEffort,
    /// `reasoning.summary`
    ReasoningSummary,
    /// `reasoning`, with all that it has
    Reasoning,
    /// `stream_options`
    StreamOptions,
    /// `store`
    Store,
}

impl Field {
    /// Each name that upstream may give a field; where one name contains another, the longer one
    /// comes first.
    const NAMES: [(&'static str, Self); 12] = [
        ("max_completion_tokens", Self::MaxTokens),
        ("max_output_tokens", Self::MaxTokens),
        ("max_tokens", Self::MaxTokens),
        ("temperature", Self::Temperature),
        ("reasoning_effort", Self::ReasoningEffort),
        ("reasoning.effort", Self::ReasoningEffort),
        ("reasoning.summary", Self::ReasoningSummary),
        ("stream_options", Self::StreamOptions),
        // Words of ordinary sentences too, so they count in quotes only.
        ("\"reasoning\"", Self::Reasoning),
        ("'reasoning'", Self::Reasoning),
        ("\"store\"", Self::Store),
        ("'store'", Self::Store),
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
        let quoted = format!("\"{param}\"");
        named(&quoted).or_else(|| named(words))
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
    /// The API over which it has answered when the other one was refused.
    pub(super) api: Option<Api>,
    pub(super) token_limit: TokenLimit,
    pub(super) temperature: bool,
    pub(super) reasoning_effort: bool,
    pub(super) reasoning_summary: bool,
    pub(super) stream_options: bool,
    pub(super) store: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            api: None,
            token_limit: TokenLimit::default(),
            temperature: true,
            reasoning_effort: true,
            reasoning_summary: true,
            stream_options: true,
            store: true,
        }
    }
}

impl Capabilities {
    /// What remains after a request over `api`, made with these capabilities, was refused for
    /// `field`; `None` if that request no longer had the field, so that leaving it out cannot help.
    pub(super) fn without(mut self, field: Field, api: Api) -> Option<Self> {
        match field {
            Field::MaxTokens => {
                self.token_limit = match (self.token_limit, api) {
                    (TokenLimit::Unsupported, _) => return None,
                    (TokenLimit::DocumentedName, Api::ChatCompletions) => TokenLimit::OtherName,
                    // The Responses API has one name for it.
                    (_, Api::Responses) | (TokenLimit::OtherName, _) => TokenLimit::Unsupported,
                };
            }
            Field::Temperature => take_away(&mut self.temperature)?,
            Field::ReasoningEffort => take_away(&mut self.reasoning_effort)?,
            Field::ReasoningSummary => take_away(&mut self.reasoning_summary)?,
            Field::Reasoning => {
                let effort = take_away(&mut self.reasoning_effort);
                take_away(&mut self.reasoning_summary).or(effort)?;
            }
            Field::StreamOptions => take_away(&mut self.stream_options)?,
            Field::Store => take_away(&mut self.store)?,
        }
        Some(self)
    }

    /// What both accept: two requests may have been refused at the same time.
    pub(super) fn intersection(self, other: Self) -> Self {
        Self {
            api: self.api.or(other.api),
            token_limit: self.token_limit.max(other.token_limit),
            temperature: self.temperature && other.temperature,
            reasoning_effort: self.reasoning_effort && other.reasoning_effort,
            reasoning_summary: self.reasoning_summary && other.reasoning_summary,
            stream_options: self.stream_options && other.stream_options,
            store: self.store && other.store,
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
        assert_eq!(named("reasoning.effort", ""), Some(Field::ReasoningEffort));
        assert_eq!(
            named("reasoning.summary", ""),
            Some(Field::ReasoningSummary)
        );
        assert_eq!(named("reasoning", ""), Some(Field::Reasoning));
        assert_eq!(named("", "this reasoning model"), None);
        assert_eq!(named("store", ""), Some(Field::Store));
        assert_eq!(named("", "Unknown parameter: 'store'."), Some(Field::Store));
        assert_eq!(named("", "cannot store that"), None);
    }

    #[test]
    fn the_token_limit_is_renamed_first_and_then_left_out() {
        let limits: Vec<TokenLimit> =
            std::iter::successors(Some(Capabilities::default()), |capabilities| {
                capabilities.without(Field::MaxTokens, Api::ChatCompletions)
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
        let refused = Capabilities::default().without(Field::MaxTokens, Api::Responses);
        assert_eq!(refused.unwrap().token_limit, TokenLimit::Unsupported);
    }

    #[test]
    fn each_field_is_left_out_once_and_no_other_with_it() {
        for field in [
            Field::Temperature,
            Field::ReasoningEffort,
            Field::ReasoningSummary,
            Field::StreamOptions,
            Field::Store,
        ] {
            let without =
                |capabilities: Capabilities| capabilities.without(field, Api::ChatCompletions);
            let reduced = without(Capabilities::default()).unwrap();
            assert_eq!(without(reduced), None, "{field:?}");
            let sent = [
                (Field::Temperature, reduced.temperature),
                (Field::ReasoningEffort, reduced.reasoning_effort),
                (Field::ReasoningSummary, reduced.reasoning_summary),
                (Field::StreamOptions, reduced.stream_options),
                (Field::Store, reduced.store),
            ];
            for (other, is_sent) in sent {
                assert_eq!(is_sent, other != field, "{other:?} after {field:?}");
            }
        }
    }

    #[test]
    fn a_model_that_does_not_reason_loses_both_fields() {
        let without = |capabilities: Capabilities| {
            let api = Api::Responses;
            capabilities.without(Field::Reasoning, api)
        };
        let reduced = without(Capabilities::default()).unwrap();
        assert!(!reduced.reasoning_effort && !reduced.reasoning_summary);
        assert_eq!(without(reduced), None);
    }

    #[test]
    fn two_requests_that_are_refused_at_once_skip_no_name() {
        let made_with = Capabilities::default();
        let without = |field| made_with.without(field, Api::ChatCompletions).unwrap();
        let one = without(Field::MaxTokens);
        let other = without(Field::MaxTokens);
        assert_eq!(one.intersection(other).token_limit, TokenLimit::OtherName);
        let cool = without(Field::Temperature);
        let both = one.intersection(cool);
        assert_eq!(both, cool.intersection(one));
        assert!(both.token_limit == TokenLimit::OtherName && !both.temperature);
    }
}
