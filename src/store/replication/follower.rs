//! Follows, for all viewers on this replica, a reply that another one produces.
//!
//! A mirror keeps the newest events, which are read once and handed to everybody who is up to date;
//! a viewer that is behind fetches pages for itself until it is not. Nothing is handed on but the
//! event that follows the last one, whatever Redis may hold. This module knows nothing of how the
//! copy is written.

use std::{
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
    sync::{Notify, OwnedSemaphorePermit},
    time::{Instant, timeout},
};

use super::{
    LEASE, Redis,
    commands::{self, Entry},
    pubsub::Subscription,
};
use crate::{
    event::{self, ReplyId, Seq},
    store::{
        batch::Batch,
        error::Unavailable,
        log::Log,
        page::{PageError, Source},
        remote_log::RemoteLog,
    },
};

/// How long a mirror is kept that nobody reads: as long as a viewer may take to come back.
const LINGER: Duration = Duration::from_secs(10);
/// How long a mirror waits for a message before it looks by itself. A message can be lost.
const LOOK: Duration = Duration::from_secs(1);
/// The most that a page holds, unless its only event is longer. A viewer that does not read keeps
/// its page.
const PAGE_BYTES: usize = 16 << 10;

/// A reply that another replica produces.
pub(super) struct Mirror {
    log: Arc<RemoteLog>,
    pub(super) owner: String,
    wake: Notify,
    /// When its readers were last made known to the producer.
    marked: Mutex<Option<Instant>>,
    /// Somebody here is writing the end of a lost producer.
    finishing: Mutex<bool>,
}

/// How the log of a mirror gets what is not kept.
struct Copied {
    redis: Weak<Redis>,
    id: ReplyId,
    owner: String,
    /// How many events the next page asks for: long ones would be fetched in vain.
    count: Arc<AtomicUsize>,
}

impl fmt::Debug for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copied")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The log of a reply that is not produced here.
pub(super) async fn find(redis: &Arc<Redis>, id: ReplyId) -> Result<Option<Log>, Unavailable> {
    if let Some(mirror) = redis.mirrors.lock().get(&id) {
        return Ok(Some(Arc::clone(&mirror.log).into()));
    }
    let (answers, connection) = redis.ask(&commands::outline(id)).await?;
    let mut answers = answers.into_iter();
    let mut one = || {
        answers
            .next()
            .and_then(commands::entries)
            .map(|found| found.into_iter().next())
    };
    let (Some(first), Some(last)) = (one(), one()) else {
        return Err(Unavailable);
    };
    let (Some(first), Some(last)) = (first, last) else {
        // A server that was just reached may have lost it; its producer is given time to put it
        // back before anybody is told that there is no such reply.
        return if connection.since.elapsed() < 2 * LEASE {
            Err(Unavailable)
        } else {
            Ok(None)
        };
    };
    let (Seq(1), Some(owner), Some(created)) =
        (first.seq, first.owner, event::created_of(&first.block))
    else {
        // Its beginning is missing; the producer is about to put it back.
        return Err(Unavailable);
    };
    let copied = Arc::new(Copied {
        redis: Arc::downgrade(redis),
        id,
        owner: owner.clone(),
        count: Arc::new(AtomicUsize::new(commands::PAGE)),
    });
    let newest = Batch {
        after: Seq(last.seq.0.saturating_sub(1)),
        events: vec![last.block],
        ended: last.ends,
    };
    let ended = newest.ended;
    let log = Arc::new(RemoteLog::new(id, created, copied, newest));
    if ended {
        return Ok(Some(log.into()));
    }
    let mirror = {
        let mut mirrors = redis.mirrors.lock();
        if let Some(mirror) = mirrors.get(&id) {
            return Ok(Some(Arc::clone(&mirror.log).into()));
        }
        let mirror = Arc::new(Mirror {
            log,
            owner,
            wake: Notify::new(),
            marked: Mutex::new(None),
            finishing: Mutex::new(false),
        });
        mirrors.insert(id, Arc::clone(&mirror));
        mirror
    };
    redis.subscribe(Subscription::Begin(id));
    let log = Arc::clone(&mirror.log);
    redis.runtime.spawn(follow(Following {
        redis: Arc::clone(redis),
        mirror,
    }));
    Ok(Some(log.into()))
}

/// That somebody keeps a mirror up to date. Whatever ends it, no viewer is left with a log that
/// nobody feeds: one that came in the last moment is let go, and comes again.
struct Following {
    redis: Arc<Redis>,
    mirror: Arc<Mirror>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let log = &self.mirror.log;
        self.redis.mirrors.lock().remove(&log.id());
        self.redis.subscribe(Subscription::End(log.id()));
        if !log.position().ended {
            log.invalidate();
        }
    }
}

/// Keeps a mirror up to date until the reply ends, or nobody has read it for a while.
async fn follow(following: Following) {
    let Following { redis, mirror } = &following;
    while !mirror.log.position().ended && !mirror.log.is_invalid() && mirror.log.unread() < LINGER {
        if read(redis, mirror).await {
            continue;
        }
        // A message that came while it was read has left a permit.
        let _ = timeout(LOOK, mirror.wake.notified()).await;
    }
}

/// Reads what follows; true if there may be more.
async fn read(redis: &Redis, mirror: &Mirror) -> bool {
    let Some(connection) = redis.link.connection() else {
        return false;
    };
    let tail = mirror.log.position().seq;
    let pipe = commands::page(mirror.log.id(), tail, commands::PAGE);
    let Ok(answers) = redis.link.ask(&connection, &pipe).await else {
        return false;
    };
    let Some(entries) = answers.into_iter().next().and_then(commands::entries) else {
        return false;
    };
    let full = entries.len() == commands::PAGE;
    let batch = in_a_row(tail, entries);
    let followed = mirror.log.append(&batch).is_ok() && !batch.events.is_empty();
    followed && full && !batch.ended
}

/// The blocks of those entries that follow `cursor` without a gap, up to the first `end`.
pub(super) fn in_a_row(cursor: Seq, entries: Vec<Entry>) -> Batch {
    let mut batch = Batch {
        after: cursor,
        events: Vec::with_capacity(entries.len()),
        ended: false,
    };
    for entry in entries {
        if batch.ended || entry.seq != batch.position().seq.next() {
            break;
        }
        batch.events.push(entry.block);
        batch.ended = entry.ends;
    }
    batch
}

/// How many of the blocks one page holds.
fn fitting(blocks: &[Bytes]) -> usize {
    let mut held = 0;
    let fitting = blocks.iter().take_while(|block| {
        held += block.len();
        held <= PAGE_BYTES
    });
    fitting.count().max(1)
}

impl Mirror {
    pub(super) const fn log(&self) -> &Arc<RemoteLog> {
        &self.log
    }

    /// There may be new events.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether the producer is to be told that the reply is read here. A mark is renewed well
    /// before it goes out of date.
    pub(super) fn to_be_marked(&self, every: Duration) -> bool {
        let mut marked = self.marked.lock();
        let ago = marked.map_or(Duration::MAX, |marked| marked.elapsed());
        let due = ago >= every && self.log.unread() <= ago;
        if due {
            *marked = Some(Instant::now());
        }
        due
    }

    /// Whether the reply's end may be written now; only one at a time tries.
    pub(super) fn begin_finish(&self) -> bool {
        !std::mem::replace(&mut *self.finishing.lock(), true)
    }

    /// Whatever came of it; if there is an end now, it is read.
    pub(super) fn finished_trying(&self) {
        *self.finishing.lock() = false;
        self.wake();
    }
}

impl Source for Copied {
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Batch, PageError>> {
        let (redis, id) = (self.redis.upgrade(), self.id);
        let next_count = Arc::clone(&self.count);
        async move {
            let redis = redis.ok_or(PageError::Unavailable)?;
            let _turn = redis.pages.acquire().await;
            let count = next_count.load(Ordering::Relaxed);
            let asked = redis.ask(&commands::page(id, cursor, count)).await;
            let (answers, _) = asked.map_err(|Unavailable| PageError::Unavailable)?;
            let entries = answers.into_iter().next().and_then(commands::entries);
            let mut page = in_a_row(cursor, entries.ok_or(PageError::Unavailable)?);
            let (all, fitting) = (page.events.len(), fitting(&page.events));
            if all == 0 {
                return Err(PageError::Missing);
            }
            page.events.truncate(fitting);
            page.ended &= fitting == all;
            let count = if fitting < all {
                fitting
            } else {
                (count * 2).min(commands::PAGE)
            };
            next_count.store(count, Ordering::Relaxed);
            Ok(page)
        }
        .boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Unavailable>> {
        let (redis, id, owner) = (self.redis.upgrade(), self.id, self.owner.clone());
        async move {
            let redis = redis.ok_or(Unavailable)?;
            let asked = redis
                .ask(&commands::stop(id, &owner, redis.max_reply))
                .await;
            asked.map(drop)
        }
        .boxed()
    }

    fn snapshot_permit(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> {
        let wholes = self.redis.upgrade().map(|redis| Arc::clone(&redis.wholes));
        async move { wholes?.acquire_owned().await.ok() }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cursor: u64, stored: &[(u64, bool)]) -> (usize, bool) {
        let entry = |(seq, ends): &(u64, bool)| Entry {
            seq: Seq(*seq),
            block: Bytes::from_static(b"x"),
            ends: *ends,
            owner: None,
        };
        let batch = in_a_row(Seq(cursor), stored.iter().map(entry).collect());
        (batch.events.len(), batch.ended)
    }

    #[test]
    fn a_page_holds_as_many_events_as_fit_and_one_at_least() {
        let fit = |lengths: &[usize]| {
            let blocks = lengths.iter().map(|&length| Bytes::from(vec![0; length]));
            fitting(&blocks.collect::<Vec<_>>())
        };
        assert_eq!(fit(&[100; 64]), 64);
        assert_eq!(fit(&[PAGE_BYTES / 2; 3]), 2);
        assert_eq!(fit(&[PAGE_BYTES + 1, 1]), 1);
        assert_eq!(fit(&[1, PAGE_BYTES]), 1);
    }

    #[test]
    fn nothing_behind_a_gap_or_behind_the_first_end_is_handed_on() {
        let (no, yes) = (false, true);
        assert_eq!(row(4, &[(5, no), (6, no)]), (2, false));
        assert_eq!(row(4, &[(5, no), (7, no)]), (1, false));
        assert_eq!(row(4, &[(6, no)]), (0, false));
        assert_eq!(row(4, &[(5, no), (6, yes), (7, no), (8, no)]), (2, true));
        assert_eq!(row(4, &[]), (0, false));
    }
}
