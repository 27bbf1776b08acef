//! The wire form of a `chat.completion.chunk`: every field is optional, and fields that are seldom
//! needed stay raw JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parts::Parts;
use crate::{
    event::ErrorCode,
    upstream::{cause::Cause, dialect::surrogates::WireText, fault::Fault, word::Word},
};

/// Raw fields are parsed lazily and may hold any JSON type.
#[derive(Deserialize)]
pub(super) struct WireChunk<'a> {
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<WireChoice<'a>>>,
    #[serde(borrow, default)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// Some servers put it beside the choices.
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) x_groq: Option<&'a RawValue>,
}

impl<'a> WireChunk<'a> {
    /// The token counts, in each place where a server puts them: Moonshot in the choice, Groq in a
    /// member of its own.
    pub(super) fn usages(&self) -> impl Iterator<Item = &'a RawValue> {
        #[derive(Deserialize)]
        struct WithUsage<'a> {
            #[serde(borrow)]
            usage: &'a RawValue,
        }
        let groq = || {
            let groq: WithUsage<'a> = serde_json::from_str(self.x_groq?.get()).ok()?;
            Some(groq.usage)
        };
        let in_choices = self
            .choices
            .iter()
            .flatten()
            .filter_map(|choice| choice.usage);
        self.usage.into_iter().chain(in_choices).chain(groq())
    }

    /// Parses the data of a frame.
    pub(super) fn parse(data: &'a str) -> Result<Self, Fault> {
        let fault = |cause: Cause| Fault::new(ErrorCode::UpstreamProtocol, cause);
        // serde would take an array for the list of the fields.
        if !data.trim_start().starts_with('{') {
            return Err(fault("the frame is not a JSON object".into()));
        }
        // Only the position: serde's own text may quote the reply.
        serde_json::from_str(data).map_err(|error| {
            fault(Cause::Json {
                line: error.line(),
                column: error.column(),
            })
        })
    }
}

#[derive(Deserialize)]
pub(super) struct WireChoice<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) delta: Option<WireDelta<'a>>,
    /// What servers send that do not stream, or that send the whole text so far each time: of the
    /// form of a delta.
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "finishReason")]
    pub(super) camel_case_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content_filter_results: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
}

impl<'a> WireChoice<'a> {
    /// The finish reason, in each place where a server puts it.
    pub(super) fn finish_reasons(&self) -> impl Iterator<Item = &'a RawValue> {
        let in_delta = || self.delta.as_ref()?.finish_reason;
        [
            self.finish_reason,
            self.camel_case_reason,
            self.finish_details,
            in_delta(),
        ]
        .into_iter()
        .flatten()
    }
}

/// A delta, or a message.
#[derive(Default, Deserialize)]
pub(super) struct WireDelta<'a> {
    #[serde(default)]
    pub(super) content: Option<WireText>,
    #[serde(default)]
    pub(super) refusal: Option<WireText>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    /// What parts of the content hold beside text. In a box, because it is rare, and every delta would
    /// have room for it.
    #[serde(skip)]
    beside_text: Option<Box<BesideText>>,
}

/// What parts of a content hold beside text.
struct BesideText {
    thinking: WireText,
    unknown_part: Option<Word>,
}

impl WireDelta<'_> {
    pub(super) fn of_parts(parts: Parts) -> Self {
        let beside_text = BesideText {
            thinking: WireText(parts.thinking),
            unknown_part: parts.unknown,
        };
        Self {
            content: Some(WireText(parts.text)),
            beside_text: Some(Box::new(beside_text)),
            ..Self::default()
        }
    }

    /// The kind of a part of the content that is neither text nor reasoning.
    pub(super) fn unknown_part(&self) -> Option<Word> {
        self.beside_text.as_ref()?.unknown_part
    }

    /// The text. A refusal is the model's own text in place of an answer.
    pub(super) fn take_text(&mut self) -> Option<Vec<u8>> {
        match (self.content.take(), self.refusal.take()) {
            (Some(WireText(content)), Some(WireText(refusal))) => Some([content, refusal].concat()),
            (Some(WireText(text)), None) | (None, Some(WireText(text))) => Some(text),
            (None, None) => None,
        }
        .filter(|text| !text.is_empty())
    }

    /// The model's reasoning, by either of its names; some servers send it under both. It is no
    /// text, so another form counts as absent.
    pub(super) fn take_reasoning(&mut self) -> Option<Vec<u8>> {
        let named = [self.reasoning_content, self.reasoning]
            .into_iter()
            .flatten()
            .find_map(|json| serde_json::from_str(json.get()).ok());
        let in_parts = || Some(self.beside_text.take()?.thinking);
        let WireText(text) = named.or_else(in_parts)?;
        (!text.is_empty()).then_some(text)
    }
}
