//! Why a body is not a valid request.

use std::fmt;

use super::message::MESSAGE_LIMIT;

/// Why a body is not a valid request. Callers see these texts; none of them repeats the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// Not JSON.
    #[error("The body is not valid JSON: see line {line}, column {column}.")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON in which an object has a field twice.
    #[error("The body has a field twice: see line {line}, column {column}.")]
    RepeatedField {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("The body must be a JSON object.")]
    NotAnObject,
    /// Both `prompt` and `messages`, or neither.
    #[error("Send either \"prompt\" or \"messages\", not both.")]
    NotOneOfPromptAndMessages,
    /// A field that is not part of the contract.
    #[error("{0} has an unknown field; only {1} are allowed.")]
    UnknownField(Place, &'static str),
    /// A value of the wrong type.
    #[error("{0} must be {1}.")]
    WrongType(Place, &'static str),
    /// Nothing but white space.
    #[error("{0} must not be blank.")]
    Blank(Place),
    /// `messages` is `[]`.
    #[error("\"messages\" must hold at least one message.")]
    NoMessages,
    /// The last message is the assistant's.
    #[error("The last message must be the user's.")]
    LastIsNotTheUsers,
    /// More than [`MESSAGE_LIMIT`].
    #[error("\"messages\" holds {0} messages; the most is {MESSAGE_LIMIT}.")]
    TooManyMessages(usize),
    /// A field of another API that asks for what this server does not have.
    #[error("{0} is not supported here.")]
    Unsupported(Place),
}

impl ChatError {
    /// The part of the body that is wrong, such as `messages[2].content`, where it has a name.
    #[must_use]
    pub fn param(&self) -> Option<String> {
        let place = match self {
            Self::NotJson { .. }
            | Self::RepeatedField { .. }
            | Self::NotAnObject
            | Self::NotOneOfPromptAndMessages => return None,
            Self::NoMessages | Self::LastIsNotTheUsers | Self::TooManyMessages(_) => {
                &Place::Messages
            }
            Self::UnknownField(place, _)
            | Self::WrongType(place, _)
            | Self::Blank(place)
            | Self::Unsupported(place) => place,
        };
        let name = place.to_string();
        Some(name.trim_matches('"').to_owned()).filter(|_| *place != Place::Body)
    }
}

/// The part of the body that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The body itself.
    Body,
    /// The field `prompt`.
    Prompt,
    /// The field `messages`.
    Messages,
    /// The field `idle_reader_seconds`.
    IdleReader,
    /// One message.
    Message(usize),
    /// One message's role.
    Role(usize),
    /// One message's content.
    Content(usize),
    /// Another field of the body.
    Field(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("The body"),
            Self::Prompt => f.write_str("\"prompt\""),
            Self::Messages => f.write_str("\"messages\""),
            Self::IdleReader => f.write_str("\"idle_reader_seconds\""),
            Self::Message(n) => write!(f, "\"messages[{n}]\""),
            Self::Role(n) => write!(f, "\"messages[{n}].role\""),
            Self::Content(n) => write!(f, "\"messages[{n}].content\""),
            Self::Field(name) => write!(f, "\"{name}\""),
        }
    }
}
