//! One message of a conversation.

use std::fmt;

use serde::Serialize;

/// The most messages in one request. Stops a body of a hundred thousand tiny messages, each of
/// which would cost tokens upstream.
pub const MESSAGE_LIMIT: usize = 64;

/// The author of a message. There is no system role: the system prompt belongs to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person who asks.
    User,
    /// The model, in an earlier reply.
    Assistant,
}

/// One message of the conversation.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// The text; not blank.
    pub content: String,
}

/// Shows only the length: prompts never reach a log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.role, self.content.len())
    }
}
