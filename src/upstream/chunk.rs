//! The part of an upstream frame that concerns the reply, in every dialect.

use super::secrets::ModelName;
use crate::event::{FinishReason, Usage};

/// Whether more can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More can come.
    More,
    /// `[DONE]` or the last event of a response came, or the connection was closed without an error.
    Ended,
}

/// The part of a frame that concerns a reply.
#[derive(Debug, Default, PartialEq)]
pub struct Chunk {
    /// New text, never empty.
    pub text: Option<String>,
    /// New reasoning, never empty. Dialects fill it whatever the settings are.
    pub reasoning: Option<String>,
    /// The text that the whole reply so far should have been: upstream's own copy of it differs. It
    /// comes before `text`.
    pub corrected: Option<String>,
    /// The model has finished. Annotations and usage may still follow.
    pub finish: Option<FinishReason>,
    /// The content filter retracts text that came before.
    pub retracted: bool,
    /// The token counts, once they are known.
    pub usage: Option<Usage>,
    /// The model's version, where it differs from the previous chunk's.
    pub model: Option<ModelName>,
}
