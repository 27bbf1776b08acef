//! The Responses API: its requests, its events, the scenarios that only it has, and stored responses.

pub(super) mod body;
mod events;
mod object;
mod quirks;
pub(super) mod script;
pub(super) mod store;
mod stored;
mod wire;
