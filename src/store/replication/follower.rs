//! Followers: the logs that other replicas lead, as far as this replica reads them.
//!
//! One follower serves all viewers of a reply here. It appends what notifications carry, and reads
//! from Redis what they do not. A viewer that is behind reads pages for itself until it has caught
//! up. A follower appends only the event that follows its last one, whatever Redis holds or
//! publishes. This module knows nothing of how a log is written.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    commands::{self, LEASE_TTL, PAGE_EVENTS},
    connection::Redis,
    entries::{self, Outline, Page},
    inbox::{self, InboxRequest},
    notification::{self, Notification},
    pubsub::{PubSub, Subscription},
};
use crate::{
    event::{ReplyId, Seq},
    store::{
        batch::Batch,
        error::Unavailable,
        page::{PageError, Source},
        remote_log::RemoteLog,
    },
};

/// How long a follower continues without readers: as long as a viewer may take to reconnect.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a follower waits for a notification before it reads: one may have been lost.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// How old a connection must be before a log that is missing on it does not exist: its leader has
/// had the time to store it again.
const MISSING_LOG_TIMEOUT: Duration = LEASE_TTL.saturating_mul(2);
/// The most that a page holds, unless its only event is larger. A viewer that does not read keeps
/// its page in memory.
const PAGE_BYTES_LIMIT: usize = 16 << 10;
/// The most pages that are fetched at once. Bounds the memory and the load on Redis when thousands of
/// viewers reconnect at once.
const CONCURRENT_PAGES_LIMIT: usize = 32;
/// The most snapshots that are read at once. Each holds a complete reply in memory.
const CONCURRENT_SNAPSHOTS_LIMIT: usize = 8;
/// How often a follower tells the leader that the reply has readers here. The leader waits three times
/// as long.
const READ_MARK_INTERVAL: Duration = Duration::from_secs(2);

/// The followers of this process.
pub(super) struct Followers {
    redis: Arc<Redis>,
    pubsub: Arc<PubSub>,
    /// How long a request stays in a leader's inbox.
    request_ttl: Duration,
    following: Mutex<HashMap<ReplyId, Arc<Follower>>>,
    pages: Semaphore,
    snapshots: Arc<Semaphore>,
    runtime: Handle,
}

/// One reply that another replica leads and that has viewers here.
pub(super) struct Follower {
    log: Arc<RemoteLog>,
    leader: String,
    /// When this replica last told the leader that the reply has viewers here.
    marked: Mutex<Option<Instant>>,
    /// Held by the one task that fails over.
    pub(super) failover: Arc<tokio::sync::Mutex<()>>,
}

impl Followers {
    /// Followers that run on the current runtime.
    pub(super) fn new(redis: Arc<Redis>, pubsub: Arc<PubSub>, request_ttl: Duration) -> Self {
        Self {
            redis,
            pubsub,
            request_ttl,
            following: Mutex::default(),
            pages: Semaphore::new(CONCURRENT_PAGES_LIMIT),
            snapshots: Arc::new(Semaphore::new(CONCURRENT_SNAPSHOTS_LIMIT)),
            runtime: Handle::current(),
        }
    }

    /// All that follow a reply at the moment.
    pub(super) fn all(&self) -> Vec<Arc<Follower>> {
        self.following.lock().values().cloned().collect()
    }

    /// The log of a reply that this process does not lead; `None` if it does not exist. Follows the
    /// reply from now on if it has not ended.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it is unknown at the moment whether it exists.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: ReplyId,
    ) -> Result<Option<Arc<RemoteLog>>, Unavailable> {
        if let Some(follower) = self.following.lock().get(&id) {
            return Ok(Some(Arc::clone(&follower.log)));
        }
        let asked = self.redis.ask_twice(&commands::outline(id)).await;
        let (answers, connection) = asked.map_err(|_| Unavailable)?;
        match entries::outline(answers) {
            Ok(Some(outline)) => Ok(Some(self.follow(id, outline).await)),
            _ if connection.since.elapsed() < MISSING_LOG_TIMEOUT => Err(Unavailable),
            _ => Ok(None),
        }
    }

    async fn follow(self: &Arc<Self>, id: ReplyId, outline: Outline) -> Arc<RemoteLog> {
        let source = Arc::new(StoredLog {
            followers: Arc::downgrade(self),
            id,
            leader: outline.leader.clone(),
            page_events: Arc::new(AtomicUsize::new(PAGE_EVENTS)),
        });
        let log = RemoteLog::new(id, outline.created, outline.owner, source, outline.newest);
        let log = Arc::new(log);
        if outline.has_more {
            while read(&self.redis, &log).await.is_some_and(|page| page.full) {}
        }
        if log.position().ended {
            return log;
        }
        {
            let mut following = self.following.lock();
            if let Some(follower) = following.get(&id) {
                return Arc::clone(&follower.log);
            }
            let follower = Follower {
                log: Arc::clone(&log),
                leader: outline.leader,
                marked: Mutex::default(),
                failover: Arc::default(),
            };
            following.insert(id, Arc::new(follower));
        }
        let following = Following {
            followers: Arc::clone(self),
            log: Arc::clone(&log),
        };
        let subscription = self.pubsub.subscribe(id);
        self.runtime.spawn(following.run(subscription));
        log
    }
}

/// The task of a follower. However it ends, no viewer keeps a log that gets no events: a reader that
/// opened in the last moment is closed, and its viewer reconnects.
struct Following {
    followers: Arc<Followers>,
    log: Arc<RemoteLog>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.following.lock().remove(&self.log.id());
        if !self.log.position().ended {
            self.log.invalidate();
        }
    }
}

impl Following {
    /// Follows the reply until it ends, or until it has had no reader for [`LINGER_TIMEOUT`].
    async fn run(self, mut subscription: Subscription) {
        let log = &self.log;
        let mut due = true;
        while !log.position().ended && !log.is_invalid() && log.unread() < LINGER_TIMEOUT {
            if due {
                due = read(&self.followers.redis, log)
                    .await
                    .is_some_and(|page| page.full);
                continue;
            }
            due = match timeout(READ_INTERVAL, subscription.next()).await {
                Ok(message) => match notification::decode(&message) {
                    Some(Notification::Events(batch)) => log.append(&batch).is_err(),
                    Some(Notification::UpTo(seq)) => seq > log.position().seq,
                    None => true,
                },
                Err(_) => true,
            };
        }
    }
}

/// Reads one page of what follows the log, and appends it; `None` if it cannot be read.
async fn read(redis: &Redis, log: &RemoteLog) -> Option<Page> {
    let connection = redis.connection().ok()?;
    let cursor = log.position().seq;
    let read = commands::read(log.id(), cursor, PAGE_EVENTS);
    let answers = redis.ask(&connection, &read).await.ok()?;
    let (_, page) = entries::page(answers, cursor, PAGE_EVENTS);
    log.append(&page.batch).ok()?;
    Some(page)
}

impl Follower {
    pub(super) const fn log(&self) -> &Arc<RemoteLog> {
        &self.log
    }

    pub(super) fn leader(&self) -> &str {
        &self.leader
    }

    /// The mark to send to the leader now, if any. It is renewed well before it expires.
    pub(super) fn read_mark(&self) -> Option<InboxRequest> {
        let mut marked = self.marked.lock();
        let ago = marked.map_or(Duration::MAX, |marked| marked.elapsed());
        let due = ago >= READ_MARK_INTERVAL && self.log.unread() <= ago;
        due.then(|| {
            *marked = Some(Instant::now());
            InboxRequest::Read(self.log.id())
        })
    }
}

/// A log in Redis, from which readers that are behind fetch pages.
struct StoredLog {
    followers: Weak<Followers>,
    id: ReplyId,
    leader: String,
    /// How many events the next page asks for; of large events, few fit.
    page_events: Arc<AtomicUsize>,
}

impl fmt::Debug for StoredLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLog")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Source for StoredLog {
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Batch, PageError>> {
        let (followers, id) = (self.followers.upgrade(), self.id);
        let page_events = Arc::clone(&self.page_events);
        async move {
            let followers = followers.ok_or(PageError::Unavailable)?;
            let _permit = followers.pages.acquire().await;
            let limit = page_events.load(Ordering::Relaxed);
            let read = commands::read(id, cursor, limit);
            let asked = followers.redis.ask_twice(&read).await;
            let (answers, _) = asked.map_err(|_| PageError::Unavailable)?;
            let mut page = entries::page(answers, cursor, limit).1.batch;
            let fitting = fitting(&page.events);
            if page.events.is_empty() {
                return Err(PageError::Missing);
            }
            let next_limit = if fitting < page.events.len() {
                page.events.truncate(fitting);
                page.ended = false;
                fitting
            } else {
                (limit * 2).min(PAGE_EVENTS)
            };
            page_events.store(next_limit, Ordering::Relaxed);
            Ok(page)
        }
        .boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Unavailable>> {
        let followers = self.followers.upgrade();
        let (id, leader) = (self.id, self.leader.clone());
        async move {
            let followers = followers.ok_or(Unavailable)?;
            let stop = inbox::stop(id, &leader, followers.request_ttl);
            let asked = followers.redis.ask_twice(&stop).await;
            let (answers, _) = asked.map_err(|_| Unavailable)?;
            if inbox::sent(&answers) {
                Ok(())
            } else {
                Err(Unavailable)
            }
        }
        .boxed()
    }

    fn snapshot_permit(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> {
        let followers = self.followers.upgrade();
        let snapshots = followers.map(|followers| Arc::clone(&followers.snapshots));
        async move { snapshots?.acquire_owned().await.ok() }.boxed()
    }
}

/// How many of the events one page holds.
fn fitting(events: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take_while(|event| {
        bytes += event.len();
        bytes <= PAGE_BYTES_LIMIT
    });
    fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_as_many_events_as_fit_and_one_at_least() {
        let fit = |lengths: &[usize]| {
            let events = lengths.iter().map(|&length| Bytes::from(vec![0; length]));
            fitting(&events.collect::<Vec<_>>())
        };
        assert_eq!(fit(&[100; 64]), 64);
        assert_eq!(fit(&[PAGE_BYTES_LIMIT / 2; 3]), 2);
        assert_eq!(fit(&[PAGE_BYTES_LIMIT + 1, 1]), 1);
        assert_eq!(fit(&[1, PAGE_BYTES_LIMIT]), 1);
    }
}
