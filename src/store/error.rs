//! The errors of the store.

use super::batch::EVENTS_LIMIT;

/// Redis does not answer at the moment. The same call may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared store does not answer")]
pub struct Unavailable;

/// Why no reply was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// `MAX_REPLIES` replies are running, so none can be evicted.
    #[error("too many replies are running")]
    Full,
    /// The server is about to exit.
    #[error("the server is shutting down")]
    Draining,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// Redis does not answer at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why events were not appended; none of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log has as many events as a reply may have. Only the `end` can still be appended.
    #[error("the reply has {EVENTS_LIMIT} events")]
    Full,
    /// The log has its `end`.
    #[error("the reply has ended")]
    Ended,
}
