//! The log of logs: where replies are kept, and the only place where generations and viewers meet.
//!
//! [`Store::create`] gives the one [`Writer`] of a new reply, and [`Store::find`] gives the [`Log`]
//! of a known id. The writer numbers and encodes events; all readers get those very bytes. A process
//! keeps the replies that it writes in its `memory`. Several replicas copy them to each other by
//! way of Redis: each can then read, stop and repeat every reply.
//!
//! This module knows nothing of HTTP or of upstream.

mod batch;
mod options;
mod error;
mod owner;
mod counters;
mod idempotency;
mod sync;
mod readers;
mod snapshot;
mod page;
mod local_log;
mod remote_log;
mod reader;
mod log;
mod writer;
mod memory;
mod replication;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::{
    batch::{Next, Position},
    counters::Counter,
    error::{AppendError, CreateError, Unavailable},
    idempotency::{IdempotencyKey, Request},
    local_log::{LocalLog, StopRequest},
    log::Log,
    options::{Options, ReplicationOptions},
    owner::Owner,
    reader::Reader,
    remote_log::RemoteLog,
    snapshot::Snapshot,
    writer::{Created, Writer},
};
use self::{counters::Counters, memory::Memory, replication::Replication};
use crate::event::ReplyId;

/// The replies. A handle that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    memory: Memory,
    counters: Counters,
    replication: Option<Arc<Replication>>,
}

/// Whether replies are replicated, and whether that works at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are only in this process's memory.
    Memory,
    /// Redis answers.
    Up,
    /// Redis does not answer.
    Down,
}

impl Store {
    /// A store in this process's memory.
    #[must_use]
    pub fn in_memory(options: Options) -> Self {
        Self {
            memory: Memory::new(options),
            counters: Counters::default(),
            replication: None,
        }
    }

    /// A store that this process shares with other replicas by way of Redis. It must be called
    /// within a tokio runtime, which does the work for Redis from then on.
    ///
    /// # Errors
    ///
    /// Why Redis cannot be used, in a few words without secrets.
    pub async fn connect(
        options: Options,
        replication: &ReplicationOptions,
    ) -> Result<Self, String> {
        let retention = options.retention;
        let memory = Memory::new(options);
        let replication = Replication::connect(replication, memory.clone(), retention).await?;
        Ok(Self {
            memory,
            counters: Counters::default(),
            replication: Some(Arc::new(replication)),
        })
    }

    /// Whether other replicas can read the replies of this one, so that viewers may move to them.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.replication.is_some()
    }

    /// Whether replies are replicated, and whether that works at the moment.
    #[must_use]
    pub fn health(&self) -> Health {
        match &self.replication {
            None => Health::Memory,
            Some(replication) if replication.is_up() => Health::Up,
            Some(_) => Health::Down,
        }
    }

    /// Creates a reply of `owner`, or finds the one that the owner's `request` started before.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; nothing was created.
    pub async fn create(
        &self,
        owner: Owner,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        match &self.replication {
            Some(replication) => replication.create(owner, request).await,
            None => self.memory.create(owner, request),
        }
    }

    /// The reply that the owner's `request` started before; `None` if it has started none.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if that is unknown at the moment.
    pub async fn existing(
        &self,
        owner: Owner,
        request: &Request,
    ) -> Result<Option<Log>, Unavailable> {
        match &self.replication {
            Some(replication) => replication.existing(owner, request).await,
            None => Ok(self.memory.existing(owner, request).map(Log::from)),
        }
    }

    /// The log of a reply; `None` if it is unknown or expired.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it is unknown at the moment whether the reply exists.
    pub async fn find(&self, id: ReplyId) -> Result<Option<Log>, Unavailable> {
        match &self.replication {
            Some(replication) => replication.find(id).await,
            None => Ok(self.memory.find(id).map(Log::from)),
        }
    }

    /// Adds to counters; gives the new sums.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if Redis does not answer; the amounts may have been added.
    pub async fn add(&self, amounts: &[(Counter, i64)]) -> Result<Vec<i64>, Unavailable> {
        match &self.replication {
            Some(replication) => replication.add(&self.counters, amounts).await,
            None => Ok(self.counters.add(amounts)),
        }
    }

    /// Adds to counters, once that is possible.
    pub fn add_later(&self, amounts: Vec<(Counter, i64)>) {
        match &self.replication {
            Some(replication) => replication.add_later(&self.counters, amounts),
            None => {
                self.counters.add(&amounts);
            }
        }
    }

    /// Resolves once other replicas can read every `end` that was written here; at once in memory.
    pub async fn replicated(&self) {
        if let Some(replication) = &self.replication {
            replication.replicated().await;
        }
    }

    /// The number of running replies of this process.
    #[must_use]
    pub fn running(&self) -> usize {
        self.memory.running()
    }

    /// The number of events of running replies of this process that other replicas cannot read yet.
    #[must_use]
    pub fn unreplicated(&self) -> u64 {
        let logs = self.memory.running_logs();
        let behind = |log: &LocalLog| log.appended().seq.0.saturating_sub(log.position().seq.0);
        logs.iter().map(|log| behind(log)).sum()
    }

    /// Whether new replies are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.memory.is_draining()
    }

    /// Refuses new replies from now on, with [`CreateError::Draining`].
    pub fn refuse_new(&self) {
        self.memory.refuse_new();
    }

    /// Resolves when no reply of this process runs.
    pub async fn idle(&self) {
        self.memory.idle().await;
    }

    /// Asks every running reply to stop, because the server is about to exit.
    pub fn stop_running(&self) {
        self.memory.stop_running();
    }

    /// Evicts replies whose retention is over, for as long as it is polled.
    pub async fn sweep(&self) {
        self.memory.sweep().await;
    }
}

#[cfg(test)]
impl Store {
    /// A store in memory for ten replies, which keeps them for ten minutes and pads nothing.
    pub(crate) fn for_tests() -> Self {
        Self::in_memory(Options {
            max_replies: 10,
            max_running: usize::MAX,
            retention: std::time::Duration::from_secs(600),
            padding: crate::event::Padding::Off,
        })
    }

    /// Creates a reply without an idempotency key.
    pub(crate) async fn writer(&self) -> Writer {
        match self.create(Owner::Anyone, None).await {
            Ok(Created::New(writer)) => writer,
            other => panic!("a new reply, and not {other:?}"),
        }
    }
}
