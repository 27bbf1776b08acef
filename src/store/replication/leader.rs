//! The leader of a reply replicates its log to Redis.
//!
//! While Redis works, readers see an event only once Redis has acknowledged it, so that viewers on
//! different replicas cannot disagree. While Redis does not work, the log is committed as it is
//! written, and the viewers of this replica see it. On each new connection the leader resyncs: it
//! compares what is stored with the log and appends what is missing. If the stored log has diverged,
//! the leader rewrites it; if another replica has ended it, that `end` counts.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use log::warn;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{
    backoff::Backoff,
    claims::Claims,
    commands::{self, PAGE_EVENTS, Target},
    connection::{Connection, FIRST_EPOCH, Redis, State},
    entries,
    error::RedisError,
    fence, notification,
    pipeline::Lifetimes,
    stored_claim::Claim,
};
use crate::{
    event::Seq,
    store::{
        batch::{Batch, Position},
        local_log::LocalLog,
        memory::Memory,
    },
};

/// The largest append, by number and by size of its events; one event may be larger. Bounds what a
/// long log sends at once after Redis has lost it.
const BATCH_EVENTS_LIMIT: usize = 512;
const BATCH_BYTES_LIMIT: usize = 256 << 10;
/// The longest pause before a log is resynced again after that has failed.
const RESYNC_RETRY_LIMIT: Duration = Duration::from_secs(5);
/// The most resyncs in a row, some seconds long, after which readers of this replica no longer wait for
/// a log that Redis refuses to store. It is no time, because a process may be frozen for longer.
const RESYNC_ATTEMPTS_LIMIT: u32 = 6;
/// The most ended replies that are resynced at once.
const CONCURRENT_RESYNCS_LIMIT: usize = 8;
/// How long the resync of an ended reply is tried.
const RESYNC_TIMEOUT: Duration = Duration::from_secs(60);
/// The epoch of a log that was not compared with what is stored.
const NOT_VERIFIED: u64 = 0;

/// What the leaders of all replies of this process share.
pub(super) struct Leader {
    redis: Arc<Redis>,
    claims: Arc<Claims>,
    lifetimes: Lifetimes,
    /// One task for each log that is not yet replicated to its end.
    replicating: TaskTracker,
}

/// The outcome of a resync.
#[derive(Debug, PartialEq, Eq)]
enum Resync {
    /// The log is stored up to this event.
    StoredTo(Seq),
    /// Another replica has ended the log.
    EndedElsewhere,
    /// Another client wrote to the stored log at the same time: try again.
    Interrupted,
}

/// How a part of the stored log compares with the log.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    /// All stored events are the log's, the last one is `seq`. There are `length` in all, counted
    /// from the first event.
    Prefix { seq: Seq, length: u64 },
    /// They are the log's up to `after`; another `end` follows.
    Ended { after: Seq, end: Bytes },
    /// They are not the log's.
    Diverged,
}

#[derive(Debug, PartialEq, Eq)]
enum Appended {
    /// All events up to the last of the batch are stored.
    Stored,
    /// Redis refused an event, or one is missing.
    Diverged,
}

impl Leader {
    pub(super) fn new(redis: Arc<Redis>, claims: Arc<Claims>, lifetimes: Lifetimes) -> Self {
        let replicating = TaskTracker::new();
        // It takes tasks all the same. Only a closed one says when there are none.
        replicating.close();
        Self {
            redis,
            claims,
            lifetimes,
            replicating,
        }
    }

    /// Resolves once every log is replicated to its `end`, or is no longer to be.
    pub(super) async fn replicated(&self) {
        self.replicating.wait().await;
    }

    /// Stores the first event of a new log, and replicates the log from now on. Returns when Redis
    /// has acknowledged the event, or when that is unknown: then the log is resynced as after any
    /// other failure.
    pub(super) async fn lead(self: &Arc<Self>, log: Arc<LocalLog>) {
        let first = log.batch_after(Seq::ZERO, 1);
        let claim = self.claims.get(log.id());
        let append = commands::append(&self.target(&log, claim.as_ref()), &first);
        let epoch = match self.redis.ask_twice(&append).await {
            Ok((answers, connection)) if commands::created(&answers) => {
                log.commit(Seq(1));
                connection.epoch
            }
            _ => NOT_VERIFIED,
        };
        let this = Arc::clone(self);
        self.replicating.spawn(async move {
            let replicated = AssertUnwindSafe(this.replicate(&log, Seq(1), epoch));
            if replicated.catch_unwind().await.is_err() {
                // A bug: without this, the readers of this replica would wait forever.
                commit_to_end(&log).await;
            }
        });
    }

    /// Replicates a log until it is stored to its end. It was stored up to `stored` in this epoch.
    async fn replicate(&self, log: &LocalLog, mut stored: Seq, mut epoch: u64) {
        let mut changes = self.redis.changes();
        let mut backoff = Backoff::default();
        let mut resyncs = 0;
        while epoch == NOT_VERIFIED || log.appended() != ended_at(stored) {
            let connection = match self.redis.state() {
                State::Up(connection) => connection,
                State::Reconnecting(_) => {
                    // The sender lives in `redis`, so this cannot fail.
                    let _ = changes.changed().await;
                    continue;
                }
                State::Down(..) => {
                    let last = log.appended();
                    log.commit(last.seq);
                    tokio::select! {
                        _ = changes.changed() => {}
                        _ = log.appended_after(last.seq, 0), if !last.ended => {}
                    }
                    continue;
                }
            };
            if epoch == connection.epoch {
                let batch = tokio::select! {
                    batch = log.appended_after(stored, BATCH_EVENTS_LIMIT) => limited(batch),
                    _ = changes.changed() => continue,
                };
                match self.append(&connection, log, &batch).await {
                    Ok(Appended::Stored) => {
                        stored = batch.position().seq;
                        resyncs = 0;
                        backoff.reset();
                    }
                    Ok(Appended::Diverged) => epoch = NOT_VERIFIED,
                    Err(_) => {}
                }
                continue;
            }
            if resyncs >= RESYNC_ATTEMPTS_LIMIT {
                log.commit(log.appended().seq);
            }
            resyncs += 1;
            sleep(backoff.next(RESYNC_RETRY_LIMIT)).await;
            match self.resync(&connection, log, stored).await {
                Ok(Resync::StoredTo(seq)) => {
                    (stored, epoch) = (seq, connection.epoch);
                    log.commit(stored);
                }
                Ok(Resync::EndedElsewhere) => return commit_to_end(log).await,
                Ok(Resync::Interrupted) | Err(_) => {}
            }
        }
    }

    /// Resyncs the replies that have ended and are still kept, on each new connection, for as long
    /// as it is polled. Running replies do so by themselves.
    pub(super) async fn resync_ended(self: Arc<Self>, memory: Memory) {
        let mut changes = self.redis.changes();
        let mut epoch = FIRST_EPOCH;
        loop {
            let is_new = |state: &State| matches!(state, State::Up(up) if up.epoch != epoch);
            // The sender lives in `redis`, so this cannot fail.
            let Ok(connection) = changes
                .wait_for(is_new)
                .await
                .map(|_| self.redis.connection())
            else {
                return;
            };
            let Ok(connection) = connection else { continue };
            epoch = connection.epoch;
            let all = stream::iter(memory.ended_logs()).for_each_concurrent(
                CONCURRENT_RESYNCS_LIMIT,
                async |log: Arc<LocalLog>| {
                    let resync = self.replicate(&log, log.appended().seq, NOT_VERIFIED);
                    // One that cannot be stored must not delay the others.
                    let _ = timeout(RESYNC_TIMEOUT, resync).await;
                },
            );
            let mut next = self.redis.changes();
            let is_newer = |state: &State| matches!(state, State::Up(up) if up.epoch != epoch);
            tokio::select! {
                () = all => {}
                // They are all to be resynced once more.
                _ = next.wait_for(is_newer) => {}
            }
        }
    }

    /// Appends a batch to the stored log. Once Redis acknowledges it, commits it, and then tells
    /// followers.
    async fn append(
        &self,
        connection: &Connection,
        log: &LocalLog,
        batch: &Batch,
    ) -> Result<Appended, RedisError> {
        let claim = batch.ended.then(|| self.claims.get(log.id())).flatten();
        let append = commands::append(&self.target(log, claim.as_ref()), batch);
        let answers = self.redis.ask(connection, &append).await?;
        if !commands::appended(&answers, batch) {
            return Ok(Appended::Diverged);
        }
        log.commit(batch.position().seq);
        let notify = commands::notify(log.id(), &notification::encode(batch));
        // A notification that is lost costs followers a read.
        let _ = self.redis.ask(connection, &notify).await;
        Ok(Appended::Stored)
    }

    /// Finds out how far the log is stored, whose last known event there is `stored`. Repairs the
    /// stored log if it has diverged.
    async fn resync(
        &self,
        connection: &Connection,
        log: &LocalLog,
        stored: Seq,
    ) -> Result<Resync, RedisError> {
        let last_known = Seq(stored.0.saturating_sub(1));
        match self.compare(connection, log, last_known).await? {
            Compared::Ended { after, end } => {
                return Ok(self.adopt(connection, log, after, end).await);
            }
            // The log is gone, and is appended from its first event. If that was tried and refused,
            // an empty stream is left there.
            Compared::Prefix { length: 0, .. } if stored > Seq::ZERO => {
                return Ok(Resync::StoredTo(Seq::ZERO));
            }
            Compared::Prefix { seq, length } if seq >= stored && is_whole(seq, length) => {
                return Ok(Resync::StoredTo(seq));
            }
            Compared::Prefix { .. } | Compared::Diverged => {}
        }
        match self.compare(connection, log, Seq::ZERO).await? {
            Compared::Ended { after, end } => Ok(self.adopt(connection, log, after, end).await),
            Compared::Prefix { seq, length } if is_whole(seq, length) => Ok(Resync::StoredTo(seq)),
            Compared::Prefix { .. } | Compared::Diverged => self.rewrite(log).await,
        }
    }

    /// Makes the `end` that another replica has stored the end of the log, removes what this replica
    /// has stored after it, and tells followers that may have seen that.
    async fn adopt(
        &self,
        connection: &Connection,
        log: &LocalLog,
        after: Seq,
        end: Bytes,
    ) -> Resync {
        let name = log.id().short();
        match log.truncate_and_end(after, end.clone()) {
            Ok(()) => {
                warn!(reply = name.as_str(); "another replica considered this one dead and ended the reply");
            }
            // The viewers here saw later events while Redis did not work. They keep them.
            Err(error) => {
                let cause = error.to_string();
                warn!(reply = name.as_str(), cause = cause.as_str(); "another replica ended the reply; its viewers here continue");
            }
        }
        fence::remove_after(&self.redis, connection, log.id(), after.next()).await;
        let last = Batch {
            after,
            events: vec![end],
            ended: true,
        };
        let notify = commands::notify(log.id(), &notification::encode(&last));
        let _ = self.redis.ask(connection, &notify).await;
        Resync::EndedElsewhere
    }

    /// Compares the stored events after `cursor` with the log, page by page.
    async fn compare(
        &self,
        connection: &Connection,
        log: &LocalLog,
        mut cursor: Seq,
    ) -> Result<Compared, RedisError> {
        loop {
            let read = commands::read(log.id(), cursor, PAGE_EVENTS);
            let answers = self.redis.ask(connection, &read).await?;
            let (length, page) = entries::page(answers, cursor, PAGE_EVENTS);
            let ours = log.batch_after(cursor, page.batch.events.len());
            if let Some(other) = first_difference(&page.batch, &ours) {
                return Ok(other);
            }
            cursor = page.batch.position().seq;
            if page.diverged {
                return Ok(Compared::Diverged);
            }
            if !page.full {
                return Ok(Compared::Prefix {
                    seq: cursor,
                    length,
                });
            }
        }
    }

    /// Replaces a stored log that has diverged by the beginning of the log, unless another replica
    /// has ended it.
    async fn rewrite(&self, log: &LocalLog) -> Result<Resync, RedisError> {
        let (connection, _permit) = self.redis.exclusive().await?;
        let watch = commands::watch(log.id());
        self.redis.ask(&connection, &watch).await?;
        match self.compare(&connection, log, Seq::ZERO).await? {
            Compared::Ended { after, end } => {
                return Ok(self.adopt(&connection, log, after, end).await);
            }
            Compared::Prefix { seq, length } if is_whole(seq, length) => {
                return Ok(Resync::StoredTo(seq));
            }
            Compared::Prefix { .. } | Compared::Diverged => {}
        }
        let first = limited(log.batch_after(Seq::ZERO, BATCH_EVENTS_LIMIT));
        let claim = self.claims.get(log.id());
        let rewrite = commands::rewrite(&self.target(log, claim.as_ref()), &first);
        let answers = self.redis.ask(&connection, &rewrite).await?;
        if !commands::rewritten(&answers, &first) {
            return Ok(Resync::Interrupted);
        }
        let name = log.id().short();
        warn!(reply = name.as_str(); "stored log has diverged: rewriting it");
        Ok(Resync::StoredTo(first.position().seq))
    }

    fn target<'a>(&'a self, log: &LocalLog, claim: Option<&'a Claim>) -> Target<'a> {
        Target {
            id: log.id(),
            leader: self.redis.replica(),
            owner: log.owner(),
            claim,
            lifetimes: &self.lifetimes,
        }
    }
}

const fn ended_at(seq: Seq) -> Position {
    Position { seq, ended: true }
}

/// Whether there are as many events as the number of the last one, so that none is missing.
fn is_whole(seq: Seq, length: u64) -> bool {
    seq > Seq::ZERO && seq.0 == length
}

/// Commits whatever is appended to a log that is not replicated any more.
async fn commit_to_end(log: &LocalLog) {
    loop {
        let last = log.appended();
        log.commit(last.seq);
        if last.ended {
            return;
        }
        log.appended_after(last.seq, 0).await;
    }
}

/// The beginning of a batch that one append may send.
fn limited(mut batch: Batch) -> Batch {
    let mut bytes = 0;
    let fitting = batch.events.iter().take_while(|event| {
        bytes += event.len();
        bytes <= BATCH_BYTES_LIMIT
    });
    let fitting = fitting.count().max(1);
    if fitting < batch.events.len() {
        batch.events.truncate(fitting);
        batch.ended = false;
    }
    batch
}

/// Where stored events differ from those of the log; `None` if they do not.
fn first_difference(stored: &Batch, ours: &Batch) -> Option<Compared> {
    let differs = |(index, event): &(usize, &Bytes)| ours.events.get(*index) != Some(*event);
    let (index, event) = stored.events.iter().enumerate().find(differs)?;
    let is_end = stored.ended && index + 1 == stored.events.len();
    Some(if is_end {
        Compared::Ended {
            after: Seq(stored.after.0 + index as u64),
            end: event.clone(),
        }
    } else {
        Compared::Diverged
    })
}

#[cfg(test)]
mod tests;
