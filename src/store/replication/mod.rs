//! Replication: several replicas share their replies by way of Redis (or Valkey).
//!
//! The replica that takes the POST leads the reply: it runs the generation and keeps the whole log
//! in memory. Its [`leader`] replicates the log to Redis. Other replicas follow: a [`follower`]
//! serves all viewers of the reply there. [`claims`] make one idempotency key start one reply. The
//! [`heartbeat`] renews this replica's lease and finds out which leaders are lost; then a
//! [`failover`] ends their replies.
//!
//! Only this module knows of Redis. It knows nothing of HTTP or of upstream. `docs/replication.md`
//! describes the protocol.

mod backoff;
mod claims;
mod commands;
mod connection;
mod entries;
mod error;
mod failover;
mod fence;
mod follower;
mod heartbeat;
mod inbox;
mod leader;
mod notification;
mod pipeline;
mod pubsub;
mod shared_counters;
mod stored_claim;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use self::{
    claims::{Attempt, Claims},
    connection::{Redis, retry_at_start},
    error::RedisError,
    follower::Followers,
    heartbeat::Heartbeat,
    leader::Leader,
    pipeline::Lifetimes,
    pubsub::PubSub,
    stored_claim::Claim,
};
use super::{
    counters::{Counter, Counters},
    error::{CreateError, Unavailable},
    idempotency::Request,
    log::Log,
    memory::Memory,
    options::ReplicationOptions,
    owner::Owner,
    writer::Created,
};
use crate::event::ReplyId;

/// How long a POST waits until it is known where its idempotency key leads.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts to find out.
const CLAIM_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// This process as one of several replicas. Its work in the background ends when it is dropped.
pub(super) struct Replication {
    memory: Memory,
    redis: Arc<Redis>,
    claims: Arc<Claims>,
    leader: Arc<Leader>,
    followers: Arc<Followers>,
    /// Where all work for Redis is done, whichever worker has asked for it.
    runtime: Handle,
    #[expect(dead_code, reason = "dropping it ends the tasks")]
    background: JoinSet<()>,
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replication").finish_non_exhaustive()
    }
}

impl Replication {
    /// Connects to Redis and begins the work in the background, on the current runtime.
    ///
    /// # Errors
    ///
    /// Why Redis cannot be used, and what to do, in one line without secrets.
    pub(super) async fn connect(
        options: &ReplicationOptions,
        memory: Memory,
        retention: Duration,
    ) -> Result<Self, String> {
        let lifetimes = Lifetimes {
            retention,
            max_reply: options.max_reply,
        };
        let replica = Uuid::new_v4().to_string();
        let redis = Arc::new(Redis::open(options, &replica).await?);
        let (pubsub, listener) = PubSub::new(Arc::clone(&redis));
        let listen = async || listener.open().await.map_err(|error| (&error).into());
        let listening = retry_at_start(listen).await;
        let listening = listening.map_err(|error: RedisError| error.to_string())?;
        let claims = Claims::new(Arc::clone(&redis), memory.clone(), lifetimes);
        let claims = Arc::new(claims);
        let leader = Leader::new(Arc::clone(&redis), Arc::clone(&claims), lifetimes);
        let leader = Arc::new(leader);
        let followers = Followers::new(Arc::clone(&redis), Arc::clone(&pubsub), options.max_reply);
        let followers = Arc::new(followers);
        let heartbeat = Heartbeat {
            redis: Arc::clone(&redis),
            memory: memory.clone(),
            pubsub: Arc::clone(&pubsub),
            followers: Arc::clone(&followers),
            lifetimes,
        };
        let (on_evict, evicted) = mpsc::unbounded_channel();
        memory.on_evict(on_evict);

        let mut background = JoinSet::new();
        let (connected, restored) = (Arc::clone(&redis), Arc::clone(&claims));
        background.spawn(async move {
            let restore = |connection| Arc::clone(&restored).restore(connection);
            connected.keep_connected(restore).await;
        });
        background.spawn(listener.run(listening));
        background.spawn(heartbeat.run());
        background.spawn(Arc::clone(&leader).resync_ended(memory.clone()));
        background.spawn(remove_evicted(
            Arc::clone(&redis),
            Arc::clone(&claims),
            evicted,
        ));
        Ok(Self {
            memory,
            redis,
            claims,
            leader,
            followers,
            runtime: Handle::current(),
            background,
        })
    }

    /// Whether Redis can be used at the moment.
    pub(super) fn is_up(&self) -> bool {
        self.redis.connection().is_ok()
    }

    /// Resolves once other replicas can read every `end` that was written here.
    pub(super) async fn replicated(&self) {
        self.leader.replicated().await;
    }

    /// As [`Store::find`](super::Store::find).
    pub(super) async fn find(&self, id: ReplyId) -> Result<Option<Log>, Unavailable> {
        if let Some(log) = self.memory.find(id) {
            return Ok(Some(log.into()));
        }
        Ok(self.followers.find(id).await?.map(Log::from))
    }

    /// As [`Store::create`](super::Store::create).
    pub(super) async fn create(
        self: &Arc<Self>,
        owner: Owner,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let this = Arc::clone(self);
        // On a task of its own: a caller that leaves must not leave half a reply behind.
        let created = self
            .runtime
            .spawn(async move { this.create_here(owner, request).await });
        created.await.unwrap_or(Err(Unavailable.into()))
    }

    /// As [`Store::add`](super::Store::add). `known` are the sums as this process knows them.
    pub(super) async fn add(
        &self,
        known: &Counters,
        amounts: &[(Counter, i64)],
    ) -> Result<Vec<i64>, Unavailable> {
        shared_counters::add(&self.redis, known, amounts).await
    }

    /// As [`Store::add_later`](super::Store::add_later).
    pub(super) fn add_later(&self, known: &Counters, amounts: Vec<(Counter, i64)>) {
        let (redis, known) = (Arc::clone(&self.redis), known.clone());
        self.runtime
            .spawn(shared_counters::add_later(redis, known, amounts));
    }

    /// As [`Store::existing`](super::Store::existing).
    pub(super) async fn existing(
        &self,
        owner: Owner,
        request: &Request,
    ) -> Result<Option<Log>, Unavailable> {
        let claim = Claim::new(ReplyId::random(), owner, request);
        match self.claims.look_up(&claim).await {
            Ok(Attempt::LeadsTo(id)) => {
                let log = self.find(id).await?;
                Ok(log.filter(|log| log.owner() == owner))
            }
            Ok(Attempt::Claimed | Attempt::OtherRequest | Attempt::Unknown) => Ok(None),
            Err(_) => Err(Unavailable),
        }
    }

    async fn create_here(
        &self,
        owner: Owner,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let id = ReplyId::random();
        if let Some(request) = request
            && let Some(log) = self
                .existing_or_claim(id, owner, &Claim::new(id, owner, &request))
                .await?
        {
            return Ok(Created::Existing(log));
        }
        let opened = match self.redis.connection_soon().await {
            Err(_) if !self.memory.is_draining() => Err(Unavailable.into()),
            _ => self.memory.open(id, owner),
        };
        match opened {
            Ok(writer) => {
                self.leader.lead(Arc::clone(writer.log())).await;
                Ok(Created::New(writer))
            }
            Err(error) => {
                self.claims.release(id).await;
                Err(error)
            }
        }
    }

    /// The reply that an idempotency key leads to already; `None` once the key leads to `id`.
    async fn existing_or_claim(
        &self,
        id: ReplyId,
        owner: Owner,
        claim: &Claim,
    ) -> Result<Option<Log>, CreateError> {
        let deadline = Instant::now() + CLAIM_TIMEOUT;
        loop {
            let draining = self.memory.is_draining();
            let attempt = if draining {
                self.claims.look_up(claim).await
            } else {
                self.claims.claim(id, claim).await
            };
            match attempt {
                Ok(Attempt::Claimed) => return Ok(None),
                Ok(Attempt::OtherRequest) => return Err(CreateError::IdempotencyMismatch),
                // It may be about to be created, or to be stored again. A planted claim may lead to the
                // reply of another owner.
                Ok(Attempt::LeadsTo(existing)) => {
                    if let Ok(Some(log)) = self.find(existing).await
                        && log.owner() == owner
                    {
                        return Ok(Some(log));
                    }
                }
                Ok(Attempt::Unknown) => {}
                Err(_) => {
                    let connected = self.redis.connection_soon().await;
                    connected.map_err(|_| Unavailable)?;
                }
            }
            if draining {
                return Err(CreateError::Draining);
            }
            if Instant::now() >= deadline {
                return Err(Unavailable.into());
            }
            sleep(CLAIM_RETRY_INTERVAL).await;
        }
    }
}

/// Removes the replies from Redis that are evicted here. Those that have expired are gone there, too,
/// or expire in a moment.
async fn remove_evicted(
    redis: Arc<Redis>,
    claims: Arc<Claims>,
    mut evicted: mpsc::UnboundedReceiver<ReplyId>,
) {
    while let Some(id) = evicted.recv().await {
        let claim = claims.forget(id);
        if let Ok(connection) = redis.connection() {
            // If this fails, its keys expire.
            let remove = commands::remove(id, claim.as_ref());
            let _ = redis.ask(&connection, &remove).await;
        }
    }
}
