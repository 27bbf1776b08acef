//! Chat Completions: its requests, its chunks, and the scenarios that only it has.

pub(super) mod body;
mod chunks;
mod quirks;
pub(super) mod script;
