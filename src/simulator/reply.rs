//! The text of a reply: its deltas, and why it ends.
//!
//! Both APIs send the same text for the same request. How they send it is not known here.

use super::{parameters::Parameters, scenario::Scenario, verse};

/// What the model says when it refuses.
const REFUSAL: [&str; 8] = [
    "I'm", " sorry,", " but", " I", " cannot", " help", " with", " that.",
];

/// Why a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is complete.
    Stop,
    /// It has reached its token limit.
    Length,
    /// The content filter has ended it.
    ContentFilter,
}

/// The text of a reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) deltas: Vec<String>,
    pub(super) finish: Finish,
}

impl Reply {
    /// The reply that a scenario gives to a request.
    pub(super) fn new(scenario: Option<Scenario>, parameters: &Parameters) -> Self {
        let Parameters {
            prompt,
            message_count,
            ..
        } = parameters;
        let verse = match scenario {
            Some(Scenario::Multibyte) => verse::compose_multibyte(prompt, *message_count),
            Some(Scenario::Markdown) => verse::MARKDOWN.to_owned(),
            _ => verse::compose(prompt, *message_count),
        };
        let mut deltas = match scenario {
            // One stanza is enough: each byte is a write.
            Some(Scenario::OneByte) => {
                verse::deltas(verse.split("\n\n").next().unwrap_or_default())
            }
            Some(Scenario::Refusal) => REFUSAL.map(str::to_owned).to_vec(),
            Some(Scenario::Empty) => Vec::new(),
            _ => verse::deltas(&verse),
        };
        let mut limit = parameters.max_deltas.unwrap_or(usize::MAX);
        match scenario {
            Some(Scenario::Length) => limit = limit.min(deltas.len() / 2),
            Some(Scenario::LengthEmpty) => limit = 0,
            Some(Scenario::Refusal) => limit = usize::MAX,
            _ => {}
        }
        let finish = if limit < deltas.len() {
            Finish::Length
        } else {
            Finish::Stop
        };
        deltas.truncate(limit);
        Self { deltas, finish }
    }
}
