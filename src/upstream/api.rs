//! The APIs by which a model can be asked. Each has a [dialect](super::dialect) and a URL.

use std::fmt;

/// One of the APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Chat Completions.
    ChatCompletions,
    /// Responses.
    Responses,
}

impl Api {
    /// The other API.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::ChatCompletions => Self::Responses,
            Self::Responses => Self::ChatCompletions,
        }
    }
}

/// The name of the API.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChatCompletions => "Chat Completions",
            Self::Responses => "Responses",
        })
    }
}
