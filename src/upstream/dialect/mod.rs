//! The APIs by which a deployment can be asked, one module each.
//!
//! A dialect has a `Request`, which encodes the body of a request, and a `Normalizer`, which turns the
//! frames of the response into [`Chunk`]s. The types here pick one of them; nothing above this module
//! depends on which. The forms of an error are common to all of them.

pub mod chat_completions;
mod content_filter;
pub mod error_object;
mod model_names;
mod repair;
pub mod responses;
mod surrogates;
mod usage;

use bytes::Bytes;

use super::{
    api::Api,
    capabilities::{Capabilities, Field},
    chunk::{Chunk, Progress},
    endpoint::Endpoint,
    fault::Fault,
    options::ModelOptions,
    secrets::Secrets,
    sse::Decoder,
};
use crate::chat::ChatRequest;

/// What all requests to one deployment have in common, for each API.
pub(super) struct Request {
    chat_completions: chat_completions::Request,
    responses: responses::Request,
}

impl Request {
    pub(super) fn new(endpoint: &Endpoint, settings: &ModelOptions) -> Self {
        Self {
            chat_completions: chat_completions::Request::new(endpoint, settings),
            responses: responses::Request::new(endpoint, settings),
        }
    }

    /// Encodes the body for a conversation.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `internal`, if JSON cannot express the settings.
    pub(super) fn encode(
        &self,
        api: Api,
        request: &ChatRequest,
        capabilities: Capabilities,
    ) -> Result<Bytes, Fault> {
        match api {
            Api::ChatCompletions => self.chat_completions.encode(request, capabilities),
            Api::Responses => self.responses.encode(request, capabilities),
        }
    }

    /// Whether requests have a field, so that leaving it out makes a difference.
    pub(super) fn offers(&self, api: Api, field: Field) -> bool {
        match api {
            Api::ChatCompletions => self.chat_completions.offers(field),
            Api::Responses => self.responses.offers(field),
        }
    }
}

/// Turns the frames of one response into chunks.
#[derive(Debug)]
pub enum Normalizer {
    /// Of a response of Chat Completions.
    ChatCompletions(chat_completions::Normalizer),
    /// Of a response of the Responses API.
    Responses(Box<responses::Normalizer>),
}

impl Normalizer {
    /// Makes a normalizer for the response to a request that carried these credentials.
    pub(super) fn new(api: Api, secrets: Secrets) -> Self {
        match api {
            Api::ChatCompletions => {
                Self::ChatCompletions(chat_completions::Normalizer::new(secrets))
            }
            Api::Responses => Self::Responses(Box::new(responses::Normalizer::new(secrets))),
        }
    }

    /// The decoder for the frames that it reads.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        match self {
            Self::ChatCompletions(_) => Decoder::default(),
            // It repeats the whole text several times, and the instructions, without need.
            Self::Responses(_) => Decoder::without_long_strings(),
        }
    }

    /// Reads one frame and adds its chunk to `chunks`. A chunk without anything of use is added
    /// too: it shows that upstream is alive. Empty data is no chunk.
    ///
    /// # Errors
    ///
    /// A [`Fault`] for a failure that the frame reports, and for data that would lose text. Text
    /// that stands beside a fault is added first.
    pub fn read(
        &mut self,
        event: &str,
        data: &str,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Progress, Fault> {
        match self {
            Self::ChatCompletions(normalizer) => normalizer.read(event, data, chunks),
            Self::Responses(normalizer) => normalizer.read(event, data, chunks),
        }
    }

    /// The failure that upstream has reported without a reason, which may follow. `None` if there
    /// is none.
    #[must_use]
    pub fn failure(&self) -> Option<Fault> {
        match self {
            Self::ChatCompletions(_) => None,
            Self::Responses(normalizer) => normalizer.failure(),
        }
    }

    /// The fault of a stream that has had text, but none that was understood. `None` for any other.
    #[must_use]
    pub fn not_understood(&self) -> Option<Fault> {
        match self {
            Self::ChatCompletions(normalizer) => normalizer.not_understood(),
            // Its texts stand in events of their own names.
            Self::Responses(_) => None,
        }
    }

    /// Ends the stream. Returns the replacement for half a character whose other half never came.
    pub fn finish(&mut self) -> Option<String> {
        match self {
            Self::ChatCompletions(normalizer) => normalizer.finish(),
            Self::Responses(normalizer) => normalizer.finish(),
        }
    }
}
