//! The log of logs: where replies are kept, and the only place where generations and viewers meet.
//!
//! [`Store::create`] gives the one [`Writer`] of a new reply; [`Store::find`] gives its [`Log`] to
//! whoever knows its id. The writer numbers and encodes events; whoever reads gets those very
//! bytes. Both calls are asynchronous because a store that replicas share must ask over a network;
//! the one in memory answers at once.
//!
//! This module knows nothing of HTTP or of upstream.

mod idempotency;
mod log;
mod memory;
mod writer;

use std::sync::Arc;

pub use self::{
    idempotency::{IdempotencyKey, Request},
    log::{Log, Next, Reader, Snapshot, StopRequest},
    writer::{AppendError, Writer},
};
use crate::{config::StoreConfig, event::ReplyId};

/// Where replies are kept. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct Store {
    memory: Arc<memory::Memory>,
}

/// What came of [`Store::create`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is moved once a reply")]
pub enum Created {
    /// A new reply; its `start` is written.
    New(Writer),
    /// The reply that the same idempotency key already started.
    Existing(Arc<Log>),
}

/// Why no reply was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// As many replies run as may be kept; none can be evicted.
    #[error("too many replies are running")]
    Full,
    /// The server is about to exit.
    #[error("the server is shutting down")]
    Draining,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
}

impl Store {
    /// A store in this process's memory.
    #[must_use]
    pub fn in_memory(config: StoreConfig) -> Self {
        Self {
            memory: Arc::new(memory::Memory::new(config)),
        }
    }

    /// Creates a reply, or finds the one that `request` started before.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; nothing was created then.
    #[expect(clippy::unused_async, reason = "a shared store asks over a network")]
    pub async fn create(&self, request: Option<Request>) -> Result<Created, CreateError> {
        memory::Memory::create(&self.memory, request)
    }

    /// The log of a reply, unless it is unknown or was kept long enough.
    #[expect(clippy::unused_async, reason = "a shared store asks over a network")]
    pub async fn find(&self, id: ReplyId) -> Option<Arc<Log>> {
        self.memory.find(id)
    }

    /// How many replies run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.memory.running()
    }

    /// Whether new replies are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.memory.is_draining()
    }

    /// Whether other replicas can read the replies that are kept here, and viewers may go there.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        false
    }

    /// Refuses new replies from now on.
    pub fn refuse_new(&self) {
        self.memory.refuse_new();
    }

    /// Resolves when no reply runs.
    pub async fn idle(&self) {
        self.memory.idle().await;
    }

    /// Asks every reply that runs to stop, because the server is about to exit.
    pub fn stop_running(&self) {
        self.memory.stop_running();
    }

    /// Lets go of replies whose retention is over, again and again, for as long as it is polled.
    pub async fn sweep(&self) {
        self.memory.sweep().await;
    }
}
