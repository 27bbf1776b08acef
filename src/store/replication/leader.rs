//! Copies a log from the memory of its producer to Redis, and keeps the copy true.
//!
//! While Redis answers, readers see an event only once the copy has it, so that no two replicas'
//! viewers can disagree. While it cannot be reached, the viewers here go on from memory. Whenever it
//! answers anew the copy is compared: what is missing is appended, what is broken is rewritten, and
//! where another replica has ended the log in the meantime, that end stands.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use log::{info, warn};
use redis::Value;
use tokio::time::sleep;

use super::{
    COMPARED_AT_ONCE, Redis, UNKNOWN,
    commands::{self, Entry, Pointer},
    connection::{Connection, State, Trouble},
};
use crate::{
    event::{ReplyId, Seq},
    store::{batch::Position, local_log::LocalLog},
};

/// The most events of one append. Bounds the size of one command after a long outage.
const BATCH: usize = 512;
/// The pause before another attempt where Redis answers but does not do what it is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// How the copy stands once it was compared.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    /// It is the beginning of the log, up to this event.
    Upto(Seq),
    /// Another replica has ended it.
    Ended,
}

/// Copies a log whose `start` was copied in this epoch, to its end. Readers here see what is copied.
pub(super) async fn copy(redis: &Redis, log: &LocalLog, epoch: u64) {
    let copied = AssertUnwindSafe(copy_to_end(redis, log, epoch));
    if copied.catch_unwind().await.is_err() {
        // A fault of ours; those who read it here are not to wait for ever.
        show_all(log).await;
    }
}

async fn copy_to_end(redis: &Redis, log: &LocalLog, mut epoch: u64) {
    let mut copied = Seq(1);
    let mut changes = redis.link.changes();
    let ended_at = |seq| Position { seq, ended: true };
    while log.appended() != ended_at(copied) {
        let connection = match redis.link.state() {
            State::Up(connection) => connection,
            State::Reconnecting => {
                // The sender lives in the link, so this cannot fail.
                let _ = changes.changed().await;
                continue;
            }
            State::Down => {
                let Position { seq: last, ended } = log.appended();
                log.commit(last);
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = log.appended_after(last, 0), if !ended => {}
                }
                continue;
            }
        };
        if epoch != connection.epoch {
            match compare(redis, &connection, log, copied).await {
                Ok(Compared::Upto(seq)) => {
                    (copied, epoch) = (seq, connection.epoch);
                    log.commit(copied);
                }
                Ok(Compared::Ended) => return show_all(log).await,
                Err(Trouble) => sleep(PAUSE).await,
            }
            continue;
        }
        let batch = tokio::select! {
            batch = log.appended_after(copied, BATCH) => batch,
            _ = changes.changed() => continue,
        };
        match append(redis, &connection, log, copied, &batch.events, batch.ended).await {
            Ok(true) => {
                copied = batch.position().seq;
                log.commit(copied);
            }
            // Something else stands there than what was left there.
            Ok(false) => epoch = UNKNOWN,
            Err(Trouble) => {}
        }
    }
}

/// Lets readers here see the rest of a log that is no longer copied.
async fn show_all(log: &LocalLog) {
    loop {
        let Position { seq: last, ended } = log.appended();
        log.commit(last);
        if ended {
            return;
        }
        log.appended_after(last, 0).await;
    }
}

async fn append(
    redis: &Redis,
    connection: &Connection,
    log: &LocalLog,
    after: Seq,
    blocks: &[Bytes],
    ends: bool,
) -> Result<bool, Trouble> {
    let pointer = ends.then(|| redis.pointers.lock().get(&log.id()).cloned());
    let pointer = pointer.flatten();
    let terms = redis.terms(log.id(), pointer.as_ref(), ends);
    let pipe = commands::append(&terms, after, blocks, ends);
    let answers = redis.link.ask(connection, &pipe).await?;
    Ok(commands::appended(&answers, after, blocks.len()))
}

/// Compares the copy with the log and puts right what is not; `copied` is how far it went when it
/// was last seen.
async fn compare(
    redis: &Redis,
    connection: &Connection,
    log: &LocalLog,
    copied: Seq,
) -> Result<Compared, Trouble> {
    let pipe = commands::compare(log.id(), copied);
    let mut answers = redis.link.ask(connection, &pipe).await?.into_iter();
    let length = match answers.next() {
        Some(Value::Int(length)) => u64::try_from(length).unwrap_or_default(),
        _ => return Err(Trouble),
    };
    let entries = answers.next().and_then(commands::entries).ok_or(Trouble)?;
    let before = Seq(copied.0 - 1);
    match stands(log, before, &entries) {
        Stands::Ended { after, end } => {
            return Ok(take_over(redis, connection, log, after, end, &entries).await);
        }
        // Nothing is missing in front if there are as many as the last one's number says.
        Stands::Upto(seq) if seq >= copied && seq.0 == length => return Ok(Compared::Upto(seq)),
        _ => {}
    }
    heal(redis, connection, log).await
}

/// What entries in a row make of a log.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    /// They are the log's events up to this one.
    Upto(Seq),
    /// They are the log's up to `after`; then comes another's end.
    Ended { after: Seq, end: Bytes },
    /// They are not the log's.
    Broken,
}

fn stands(log: &LocalLog, before: Seq, entries: &[Entry]) -> Stands {
    let ours = log.batch_after(before, entries.len());
    let mut seq = before;
    for (index, entry) in entries.iter().enumerate() {
        if entry.seq != seq.next() {
            return Stands::Broken;
        }
        if ours.events.get(index) != Some(&entry.block) {
            return if entry.ends {
                Stands::Ended {
                    after: seq,
                    end: entry.block.clone(),
                }
            } else {
                Stands::Broken
            };
        }
        seq = entry.seq;
    }
    Stands::Upto(seq)
}

/// Makes another replica's `end` the end of the log.
async fn take_over(
    redis: &Redis,
    connection: &Connection,
    log: &LocalLog,
    after: Seq,
    end: Bytes,
    entries: &[Entry],
) -> Compared {
    let name = log.id().short();
    if log.truncate_and_end(after, end).is_ok() {
        warn!(reply = name.as_str(); "another replica took this one for lost and ended the reply");
    } else {
        // The viewers here have seen more while Redis could not be reached. They keep it.
        warn!(reply = name.as_str(); "the reply was ended elsewhere while its viewers here went on");
    }
    let stray = (
        after.next().next(),
        entries.last().map_or(Seq::ZERO, |last| last.seq),
    );
    if stray.0 <= stray.1 {
        // Readers stop at the end whether or not this succeeds.
        let pipe = commands::trim(log.id(), stray.0, stray.1);
        let _ = redis.link.ask(connection, &pipe).await;
    }
    Compared::Ended
}

/// Rewrites a copy that is gone or broken, unless it was ended elsewhere.
async fn heal(redis: &Redis, connection: &Connection, log: &LocalLog) -> Result<Compared, Trouble> {
    let key = commands::events_key(log.id());
    let name = log.id().short();
    let mut watching = redis.link.watching(connection.epoch).await?;
    loop {
        watching.watch(&key).await?;
        let pipe = commands::compare(log.id(), Seq::ZERO);
        let entries = watching.ask(&pipe).await?.into_iter().nth(1);
        let entries = entries.and_then(commands::entries).ok_or(Trouble)?;
        match stands(log, Seq::ZERO, &entries) {
            Stands::Ended { after, end } => {
                watching.done().await;
                return Ok(take_over(redis, connection, log, after, end, &entries).await);
            }
            Stands::Upto(seq) if seq > Seq::ZERO => {
                watching.done().await;
                return Ok(Compared::Upto(seq));
            }
            Stands::Upto(_) | Stands::Broken => {}
        }
        let all = log.batch_after(Seq::ZERO, usize::MAX);
        let pointer = redis.pointers.lock().get(&log.id()).cloned();
        let terms = redis.terms(log.id(), pointer.as_ref(), all.ended);
        let pipe = commands::rewrite(&terms, &all.events, all.ended);
        // Undone if anybody else has written meanwhile.
        if !watching.ask(&pipe).await?.is_empty() {
            watching.done().await;
            info!(reply = name.as_str(), events = all.events.len(); "a reply was put back into Redis");
            return Ok(Compared::Upto(Seq(all.events.len() as u64)));
        }
    }
}

/// After each reconnect, compares the replies that ended here and are still kept. Those that run
/// have a copier each.
pub(super) async fn compare_ended(redis: Arc<Redis>) {
    let mut changes = redis.link.changes();
    let mut epoch = 1;
    loop {
        let State::Up(connection) = redis.link.state() else {
            // The sender lives in the link, so this cannot fail.
            let _ = changes.changed().await;
            continue;
        };
        if connection.epoch == epoch {
            let _ = changes.changed().await;
            continue;
        }
        // Before the logs, which take longer: a POST with such a key may be waiting.
        restore_keys(&redis, &connection).await;
        let failed = futures_util::stream::iter(redis.memory.ended_logs())
            .map(|log| {
                let (redis, connection) = (&redis, &connection);
                async move {
                    let last = log.appended().seq;
                    match compare(redis, connection, &log, last).await {
                        Ok(Compared::Upto(seq)) if seq < last => {
                            let rest = log.batch_after(seq, usize::MAX);
                            let appended = append(redis, connection, &log, seq, &rest.events, true);
                            appended.await != Ok(true)
                        }
                        compared => compared.is_err(),
                    }
                }
            })
            .buffer_unordered(COMPARED_AT_ONCE)
            // All of them, whatever became of the others.
            .fold(false, |any, failed| std::future::ready(any | failed))
            .await;
        if !failed {
            epoch = connection.epoch;
        } else if redis.link.is_up() {
            sleep(super::ROUND).await;
        }
    }
}

/// Restores the idempotency keys of this replica's replies, in batches, each for as long as its
/// reply is kept. A failure is found again, and mended, when the logs are compared.
async fn restore_keys(redis: &Redis, connection: &Connection) {
    let pointers: Vec<(ReplyId, Pointer)> = {
        let pointers = redis.pointers.lock();
        pointers.iter().map(|(id, p)| (*id, p.clone())).collect()
    };
    for batch in pointers.chunks(BATCH) {
        let mut pipe = commands::several();
        for (id, pointer) in batch {
            let ended = redis
                .memory
                .find(*id)
                .is_some_and(|log| log.appended().ended);
            commands::restore(&mut pipe, &redis.terms(*id, Some(pointer), ended));
        }
        if redis.link.ask(connection, &pipe).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Created, ReplyId},
        store::local_log::Commit,
    };

    fn log(events: &[&'static str]) -> LocalLog {
        let log = LocalLog::new(ReplyId::random(), Created::now(), Commit::OnAcknowledgement);
        let events = events
            .iter()
            .map(|event| Bytes::from_static(event.as_bytes()));
        log.append(events).unwrap();
        log
    }

    fn entries(stored: &[(u64, &'static str)]) -> Vec<Entry> {
        let entry = |(seq, block): &(u64, &'static str)| Entry {
            seq: Seq(*seq),
            block: Bytes::from_static(block.as_bytes()),
            ends: block.starts_with("end"),
            owner: None,
        };
        stored.iter().map(entry).collect()
    }

    fn found(before: u64, stored: &[(u64, &'static str)]) -> Stands {
        stands(&log(&["a", "b", "c", "d"]), Seq(before), &entries(stored))
    }

    #[test]
    fn a_copy_that_is_the_logs_beginning_stands_as_far_as_it_goes() {
        assert_eq!(found(0, &[]), Stands::Upto(Seq(0)));
        assert_eq!(found(0, &[(1, "a"), (2, "b")]), Stands::Upto(Seq(2)));
        assert_eq!(found(2, &[(3, "c"), (4, "d")]), Stands::Upto(Seq(4)));
    }

    #[test]
    fn a_gap_or_another_event_breaks_it() {
        assert_eq!(found(0, &[(1, "a"), (3, "c")]), Stands::Broken);
        assert_eq!(found(1, &[(1, "a"), (2, "b")]), Stands::Broken);
        assert_eq!(found(0, &[(1, "a"), (2, "x")]), Stands::Broken);
        let more = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
        assert_eq!(found(0, &more), Stands::Broken);
    }

    #[test]
    fn anothers_end_is_found_where_it_stands_whatever_comes_behind_it() {
        let ended = |after| Stands::Ended {
            after: Seq(after),
            end: Bytes::from_static(b"end"),
        };
        assert_eq!(found(0, &[(1, "a"), (2, "end")]), ended(1));
        assert_eq!(found(1, &[(2, "b"), (3, "end"), (4, "d")]), ended(2));
        assert_eq!(found(3, &[(4, "d"), (5, "end")]), ended(4));
    }
}
