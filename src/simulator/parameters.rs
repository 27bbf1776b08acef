//! The two APIs, and what the requests of both have in common, whatever each calls it.
//!
//! Each API's own `body` fills it from its JSON. The replies' texts, the limits and the scenarios depend
//! on nothing else.

/// The two ways to ask a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    ChatCompletions,
    Responses,
}

/// Characters per token, a rule of thumb for English.
const CHARACTERS_PER_TOKEN: usize = 4;
/// Tokens that each message costs beyond its text.
const TOKENS_PER_MESSAGE: usize = 4;

/// The common part of a valid request.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// The deployment, where the path does not name it.
    pub(super) model: Option<String>,
    /// The text of the last user message.
    pub(super) prompt: String,
    /// The number of messages.
    pub(super) message_count: usize,
    /// The characters of all messages together.
    pub(super) characters: usize,
    pub(super) stream: bool,
    /// Whether deltas are padded with obfuscation.
    pub(super) obfuscate: bool,
    /// The most deltas that the reply may have: the request's own token limit.
    pub(super) max_deltas: Option<usize>,
    /// The parameters that reasoning models do not support, in the order in which they refuse them.
    pub(super) unsupported: Vec<&'static str>,
    pub(super) has_stream_options: bool,
}

impl Parameters {
    /// The tokens of the prompt.
    pub(super) fn input_tokens(&self) -> usize {
        self.characters.div_ceil(CHARACTERS_PER_TOKEN) + self.message_count * TOKENS_PER_MESSAGE
    }

    /// The tokens that rate limiting counts: the length of the prompt, and the most that the reply may
    /// have. A reply without a limit counts as 0.
    pub(super) fn estimated_tokens(&self) -> u64 {
        let prompt = self.characters.div_ceil(CHARACTERS_PER_TOKEN);
        let tokens = prompt.saturating_add(self.max_deltas.unwrap_or(0));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}
