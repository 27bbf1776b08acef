//! The wire form of a `chat.completion.chunk`: every field is optional, and fields that are seldom
//! needed stay raw JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    event::ErrorCode,
    upstream::{cause::Cause, dialect::surrogates::WireText, fault::Fault},
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
}

impl<'a> WireChunk<'a> {
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
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content_filter_results: Option<&'a RawValue>,
}

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
}

impl WireDelta<'_> {
    /// The model's reasoning, by either of its names; some servers send it under both. It is no
    /// text, so another form counts as absent.
    pub(super) fn reasoning(&self) -> Option<WireText> {
        [self.reasoning_content, self.reasoning]
            .into_iter()
            .flatten()
            .find_map(|json| serde_json::from_str(json.get()).ok())
    }
}
