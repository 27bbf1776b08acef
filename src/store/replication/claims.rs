//! Claims: how one idempotency key starts one reply, whichever replicas are asked.
//!
//! A replica claims a key in Redis before it creates the reply. It also keeps its claims in memory
//! until the replies are evicted, because Redis may lose them: on every new connection it restores
//! them before it sends anything else.
//!
//! So a key that is missing in Redis is free only if every replica has had time to restore its claims.
//! There are two proofs of that. Either this connection is older than any live replica needs to
//! reconnect, and no replica is still restoring. Or, for a process that has just started, Redis has
//! the mark of an earlier claim, so it has not lost its data.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::Value;

use super::{
    connection::{Connection, FIRST_EPOCH, Redis},
    error::RedisError,
    pipeline::Lifetimes,
    stored_claim::{self, Claim, Stored},
};
use crate::{event::ReplyId, store::memory::Memory};

/// How old a connection must be before a missing key on it counts as free. A live replica reconnects
/// sooner than this after Redis answers again.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// How many claims one command restores.
const RESTORE_BATCH: usize = 64;

/// The claims of the replies that this process leads.
pub(super) struct Claims {
    redis: Arc<Redis>,
    memory: Memory,
    lifetimes: Lifetimes,
    held: Mutex<HashMap<ReplyId, Claim>>,
}

/// What an attempt to claim a key has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The key leads to the new reply.
    Claimed,
    /// It leads to this reply, for the same request.
    LeadsTo(ReplyId),
    /// It was used for another request.
    OtherRequest,
    /// It is not known yet whether the key is free.
    Unknown,
}

impl Claims {
    pub(super) fn new(redis: Arc<Redis>, memory: Memory, lifetimes: Lifetimes) -> Self {
        Self {
            redis,
            memory,
            lifetimes,
            held: Mutex::default(),
        }
    }

    /// Claims a key for the reply `id`, unless it is taken.
    ///
    /// # Errors
    ///
    /// [`RedisError`]; the key may have been claimed. Another attempt with the same claim finds out.
    pub(super) async fn claim(&self, id: ReplyId, claim: &Claim) -> Result<Attempt, RedisError> {
        let connection = self.redis.connection_soon().await?;
        let looked_up = stored_claim::look_up(claim);
        let answers = self.redis.ask(&connection, &looked_up).await?;
        let mut stored = claim.compare(answers.first());
        if stored == Stored::Nothing {
            let is_there = |index| matches!(answers.get(index), Some(Value::Int(1)));
            let (restoring, settled) = (is_there(1), is_there(2));
            let old = connection.since.elapsed() >= SETTLE_TIME;
            if restoring || !(old || connection.epoch == FIRST_EPOCH && settled) {
                return Ok(Attempt::Unknown);
            }
            // Only on this connection: the next one may lead to an empty Redis.
            let answers = self
                .redis
                .ask(&connection, &stored_claim::claim(claim))
                .await?;
            stored = claim.compare(answers.get(1));
        }
        Ok(match stored {
            Stored::This => {
                self.held.lock().insert(id, claim.clone());
                Attempt::Claimed
            }
            Stored::Reply(id) => Attempt::LeadsTo(id),
            Stored::OtherRequest => Attempt::OtherRequest,
            // It has expired between two commands.
            Stored::Nothing => Attempt::Unknown,
        })
    }

    /// Looks up where a key leads, without claiming it.
    ///
    /// # Errors
    ///
    /// [`RedisError`]; it remains unknown.
    pub(super) async fn look_up(&self, claim: &Claim) -> Result<Attempt, RedisError> {
        let (answers, _) = self.redis.ask_twice(&stored_claim::look_up(claim)).await?;
        Ok(match claim.compare(answers.first()) {
            Stored::Reply(id) => Attempt::LeadsTo(id),
            Stored::OtherRequest => Attempt::OtherRequest,
            Stored::This | Stored::Nothing => Attempt::Unknown,
        })
    }

    /// Frees the key of a reply that is not created after all. If this fails, the key expires soon.
    pub(super) async fn release(&self, id: ReplyId) {
        let Some(claim) = self.forget(id) else {
            return;
        };
        let looked_up = self.redis.ask_twice(&stored_claim::look_up(&claim)).await;
        if looked_up.is_ok_and(|(answers, _)| claim.compare(answers.first()) == Stored::This) {
            let _ = self.redis.ask_twice(&stored_claim::release(&claim)).await;
        }
    }

    /// The claim that leads to a reply of this process.
    pub(super) fn get(&self, id: ReplyId) -> Option<Claim> {
        self.held.lock().get(&id).cloned()
    }

    /// Forgets the claim of a reply that is evicted.
    pub(super) fn forget(&self, id: ReplyId) -> Option<Claim> {
        self.held.lock().remove(&id)
    }

    /// Restores all claims on a new connection. Meanwhile no replica treats a missing key as free.
    ///
    /// # Errors
    ///
    /// [`RedisError`]; some claims may be missing.
    pub(super) async fn restore(self: Arc<Self>, connection: Connection) -> Result<(), RedisError> {
        let held = self.held.lock().clone();
        let claims = held.into_iter().map(|(id, claim)| {
            let log = self.memory.find(id);
            (claim, log.is_some_and(|log| log.appended().ended))
        });
        let claims: Vec<(Claim, bool)> = claims.collect();
        for claims in claims.chunks(RESTORE_BATCH) {
            let pipe = stored_claim::restore(claims, &self.lifetimes);
            self.redis.ask(&connection, &pipe).await?;
        }
        Ok(())
    }
}
