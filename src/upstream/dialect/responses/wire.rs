//! The wire form of the events of a response: every field is optional, and fields that only some types
//! of events have stay raw JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    event::{ErrorCode, Usage},
    upstream::{cause::Cause, dialect::usage, fault::Fault},
};

/// An event of the stream. Raw fields are parsed lazily and may hold any JSON type.
#[derive(Deserialize)]
pub(super) struct WireEvent<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

impl<'a> WireEvent<'a> {
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

    /// The place in the output that the event is about.
    pub(super) fn place(&self) -> Place {
        Place {
            item: number(self.output_index),
            part: number(self.content_index.or(self.summary_index)),
        }
    }
}

/// A place in the output: an item, and a part of it. Later places are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) item: u64,
    pub(super) part: u64,
}

/// A number, also one in quotes; 0 if there is none.
fn number(json: Option<&RawValue>) -> u64 {
    let digits = json.map(|json| json.get().trim_matches('"'));
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

/// A response, as the events at its begin and its end have it. What has another type counts as absent.
#[derive(Default, Deserialize)]
pub(super) struct WireResponse<'a> {
    #[serde(borrow, default)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_filters: Option<&'a RawValue>,
}

impl<'a> WireResponse<'a> {
    pub(super) fn parse(json: Option<&'a RawValue>) -> Self {
        parsed(json).unwrap_or_default()
    }

    /// The status, as JSON.
    pub(super) fn status(&self) -> &str {
        self.status.map_or("", RawValue::get)
    }

    /// Why the response is incomplete.
    pub(super) fn incomplete_reason(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Details {
            reason: String,
        }
        parsed(self.incomplete_details).map(|details: Details| details.reason)
    }

    /// The token counts, under the names that Chat Completions has for them.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.and_then(usage::read)
    }

    /// The items of the output.
    pub(super) fn output(&self) -> Vec<WireItem<'a>> {
        let items: Vec<&RawValue> = parsed(self.output).unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| parsed(Some(item)))
            .collect()
    }

    /// The verdicts of the content filter.
    pub(super) fn verdicts(&self) -> Vec<WireVerdict<'a>> {
        let verdicts: Vec<&RawValue> = parsed(self.content_filters).unwrap_or_default();
        verdicts
            .into_iter()
            .filter_map(|verdict| parsed(Some(verdict)))
            .collect()
    }
}

/// An item of the output.
#[derive(Deserialize)]
pub(super) struct WireItem<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    phase: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

impl<'a> WireItem<'a> {
    pub(super) fn parse(json: Option<&'a RawValue>) -> Option<Self> {
        parsed(json)
    }

    pub(super) fn is_message(&self) -> bool {
        is(self.kind, "message")
    }

    /// Whether it asks the caller to run a tool.
    pub(super) fn is_tool_call(&self) -> bool {
        ["function_call", "custom_tool_call"]
            .iter()
            .any(|kind| is(self.kind, kind))
    }

    /// Whether it is a message about the work, and not the answer.
    pub(super) fn is_commentary(&self) -> bool {
        is(self.phase, "commentary")
    }

    /// The parts of a message.
    pub(super) fn parts(&self) -> Vec<WirePart<'a>> {
        let parts: Vec<&RawValue> = parsed(self.content).unwrap_or_default();
        parts
            .into_iter()
            .filter_map(|part| parsed(Some(part)))
            .collect()
    }
}

/// A part of a message.
#[derive(Deserialize)]
pub(super) struct WirePart<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
}

impl<'a> WirePart<'a> {
    /// Its text, as JSON.
    pub(super) fn text(&self) -> Option<&'a RawValue> {
        self.text.or(self.refusal)
    }
}

/// A verdict of the content filter, about the prompt or about the reply.
#[derive(Deserialize)]
pub(super) struct WireVerdict<'a> {
    #[serde(borrow, default)]
    blocked: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content_filter_results: Option<&'a RawValue>,
}

impl WireVerdict<'_> {
    pub(super) fn is_about_the_reply(&self) -> bool {
        is(self.source_type, "completion")
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.is_some_and(|blocked| blocked.get() == "true")
    }
}

/// Whether a JSON value is this string.
fn is(json: Option<&RawValue>, text: &str) -> bool {
    json.is_some_and(|json| unquoted(json) == Some(text))
}

/// A string without escapes, without its quotes; `None` for any other value.
pub(super) fn unquoted(json: &RawValue) -> Option<&str> {
    let text = json.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

fn parsed<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}
