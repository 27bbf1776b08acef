//! The log of logs: where replies are kept, and the only place where generations and viewers meet.
//!
//! [`Store::create`] gives the one [`Writer`] of a new reply; [`Store::find`] gives its [`Log`] to
//! whoever knows its id. The writer numbers and encodes events; whoever reads gets those very
//! bytes. A process keeps the replies that it produces in its memory. Where there are several, they
//! share copies by way of Redis: then each can be read, stopped and started again by its key on any
//! of them.
//!
//! This module knows nothing of HTTP or of upstream.

mod idempotency;
mod log;
mod memory;
mod options;
mod page;
mod replication;
mod sync;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::{
    idempotency::{IdempotencyKey, Request},
    log::{Log, Next, Reader, Snapshot, StopRequest},
    options::{Options, ReplicationOptions},
    writer::{AppendError, Writer},
};
use self::{memory::Memory, replication::Redis};
use crate::event::ReplyId;

/// Where replies are kept. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct Store {
    memory: Arc<Memory>,
    shared: Option<Shared>,
}

/// What several replicas share, and the work that this one does for it.
#[derive(Clone, Debug)]
struct Shared {
    redis: Arc<Redis>,
    _background: Arc<replication::Background>,
}

/// Whether replies are shared, and whether that works just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are in this process's memory.
    Memory,
    /// Redis answers.
    Up,
    /// It does not.
    Down,
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
    /// The store that the replicas share does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store that the replicas share does not answer just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared store does not answer")]
pub struct Unavailable;

impl Store {
    /// A store in this process's memory.
    #[must_use]
    pub fn in_memory(options: Options) -> Self {
        Self {
            memory: Arc::new(Memory::new(options)),
            shared: None,
        }
    }

    /// A store that this process shares with others, by way of Redis. Has to be called within a
    /// tokio runtime, which does the work for Redis from then on.
    ///
    /// # Errors
    ///
    /// Why Redis cannot be used, in a few words that hold no secret.
    pub async fn connect(
        options: Options,
        replication: &ReplicationOptions,
    ) -> Result<Self, String> {
        let retention = options.retention;
        let memory = Arc::new(Memory::new(options));
        let (redis, background) =
            Redis::connect(replication, Arc::clone(&memory), retention).await?;
        let shared = Some(Shared {
            redis,
            _background: Arc::new(background),
        });
        Ok(Self { memory, shared })
    }

    /// Whether other replicas can read the replies that are produced here, and viewers may go there.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether replies are shared, and whether that works just now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared
            .as_ref()
            .map_or(Health::Memory, |shared| shared.redis.health())
    }

    /// Creates a reply, or finds the one that `request` started before.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; nothing was created then.
    pub async fn create(&self, request: Option<Request>) -> Result<Created, CreateError> {
        match &self.shared {
            Some(shared) => shared.redis.create(request).await,
            None => Memory::create(&self.memory, request),
        }
    }

    /// The log of a reply; `None` if it is unknown or was kept long enough.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nobody can say just now whether there is such a reply.
    pub async fn find(&self, id: ReplyId) -> Result<Option<Arc<Log>>, Unavailable> {
        match &self.shared {
            Some(shared) => shared.redis.find(id).await,
            None => Ok(self.memory.find(id)),
        }
    }

    /// Resolves once other replicas can have every `end` that is written here.
    pub async fn copied(&self) {
        if let Some(shared) = &self.shared {
            shared.redis.copied().await;
        }
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
