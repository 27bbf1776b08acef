//! What an API's stream consists of: its SSE events, and the interface behind which the two APIs differ.
//!
//! Each API implements [`Wire`]; [`frames`](super::frames) and [`script`](super::script) play the same
//! scenarios over either.

use super::{failure::Failure, reply::Finish};

/// An SSE event that has no syntax yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// The `event` field.
    pub(super) name: Option<String>,
    pub(super) data: String,
}

impl SseEvent {
    /// An event without a name.
    pub(super) fn unnamed(data: &impl ToString) -> Self {
        Self {
            name: None,
            data: data.to_string(),
        }
    }
}

/// The events of one stream, in the order in which an API sends them.
pub(super) trait Wire: Clone + Send + 'static {
    /// What precedes the text.
    fn opening(&mut self) -> Vec<SseEvent>;

    /// A part of the text. More than one event if something must come before it.
    fn delta(&mut self, text: &str) -> Vec<SseEvent>;

    /// From here on, deltas are parts of a refusal.
    fn refuse(&mut self);

    /// What says that the reply of this text has ended, and why.
    fn finish(&mut self, finish: Finish, text: &str) -> Vec<SseEvent>;

    /// What follows the finish.
    fn closing(&mut self) -> Vec<SseEvent>;

    /// A failure, instead of the rest.
    fn failure(&mut self, failure: &Failure) -> Vec<SseEvent>;
}
