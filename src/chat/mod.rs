//! What callers ask for, parsed and validated, whichever API they ask by.
//!
//! ```text
//! POST /v1/replies          ──▶ request     ──▶ ChatRequest
//! POST /v1/chat/completions ──▶ completions ──▶ ChatRequest
//! ```
//!
//! This module knows nothing of HTTP or of the format that upstream expects.

mod message;
mod strict_json;
mod error;
mod object;
mod request;
pub mod completions;

pub use self::{
    error::{ChatError, Place},
    message::{MESSAGE_LIMIT, Message, Role},
    request::ChatRequest,
};
