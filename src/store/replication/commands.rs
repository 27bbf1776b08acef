//! What is sent to Redis: keys, channels and commands. Only this module, `entries`, `stored_claim` and
//! `inbox` know how a reply is stored.
//!
//! | key | content |
//! |---|---|
//! | `rasta:{ID}:events` | a stream, the log of a reply; entry `n-0` is event `n` |
//! | `rasta:key:HASH` | a claim: the id of the reply that an idempotency key leads to, and the request's fingerprint |
//! | `rasta:replica:NAME` | a replica's lease |
//! | `rasta:replica:NAME:inbox` | a list of requests to a leader: `stop ID`, `read ID` |
//! | `rasta:count:NAME:TIME` | a sum, of requests or tokens |
//! | `rasta:restoring` | exists while a replica restores its claims |
//! | `rasta:settled` | exists once all claims were restored; an empty Redis does not have it |
//!
//! | channel | message |
//! |---|---|
//! | `rasta:{ID}:appended` | events that were stored, see [`Notification`](super::notification::Notification) |
//! | `rasta:replica:NAME:inbox` | empty: there is something in the inbox |
//!
//! No command is newer than Redis 6.2, and none is a script. The explicit id makes a repeated append
//! harmless, and makes Redis refuse an append to a log that another replica has ended, because ids
//! only grow.

use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, Value};

use super::{
    entries::{END, EVENT, LEADER, OWNER, START},
    inbox,
    pipeline::{Lifetimes, millis, pipeline, set, transaction},
    stored_claim::{Claim, set_claim},
};
use crate::{
    event::{ReplyId, Seq},
    store::{batch::Batch, owner::Owner},
};

/// How long a replica counts as alive after it last renewed its lease.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(3);
/// The most entries that one read asks for.
pub(super) const PAGE_EVENTS: usize = 64;

/// The lifetime of the keys that the check of all commands writes, if the check is interrupted.
const CHECK_TTL: Duration = Duration::from_secs(10);
/// The key of a reply's log.
pub(super) fn events_key(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:events")
}

/// The channel of a reply's notifications.
pub(super) fn events_channel(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:appended")
}

/// The reply whose notifications come on `channel`.
pub(super) fn reply_of_channel(channel: &str) -> Option<ReplyId> {
    let id = channel.strip_prefix("rasta:{")?;
    id.strip_suffix("}:appended")?.parse().ok()
}

fn lease_key(replica: &str) -> String {
    format!("rasta:replica:{replica}")
}

/// Uses every command on keys of its own. The first answer describes the server; none of them may be
/// an error.
///
/// The lease is not among those keys: a replica that may renew it, and nothing else, must count as
/// lost.
pub(super) fn check(replica: &str) -> Pipeline {
    let (events, list) = (
        format!("rasta:{{check-{replica}}}:events"),
        format!("rasta:{{check-{replica}}}:inbox"),
    );
    let mut pipe = pipeline();
    pipe.cmd("HELLO");
    pipe.cmd("PING");
    pipe.cmd("UNLINK").arg(&events).arg(&list);
    set(&mut pipe, &list, "", CHECK_TTL);
    pipe.arg("GET");
    pipe.cmd("UNLINK").arg(&list);
    pipe.cmd("INCRBY").arg(&list).arg(1);
    pipe.cmd("UNLINK").arg(&list);
    pipe.cmd("XADD").arg(&events).arg("1-0").arg(EVENT).arg("");
    pipe.cmd("PEXPIRE").arg(&events).arg(millis(CHECK_TTL));
    pipe.cmd("XLEN").arg(&events);
    xrange(&mut pipe, &events, "-", 1);
    last_entry(&mut pipe, &events);
    pipe.cmd("XDEL").arg(&events).arg("1-0");
    pipe.cmd("UNLINK").arg(&events);
    pipe.cmd("RPUSH").arg(&list).arg("");
    pipe.cmd("PEXPIRE").arg(&list).arg(millis(CHECK_TTL));
    pipe.cmd("LRANGE").arg(&list).arg(0).arg(-1);
    pipe.cmd("LTRIM").arg(&list).arg(1).arg(-1);
    pipe.cmd("GET").arg(&events);
    pipe.cmd("EXISTS").arg(&events);
    pipe.cmd("PUBLISH").arg(inbox::key(replica)).arg("");
    pipe.cmd("WATCH").arg(&events);
    pipe.cmd("MULTI");
    pipe.cmd("EXEC");
    pipe
}

/// Removes all that belongs to a reply.
pub(super) fn remove(id: ReplyId, claim: Option<&Claim>) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("UNLINK").arg(events_key(id));
    if let Some(claim) = claim {
        pipe.arg(&claim.key);
    }
    pipe
}

/// The log that an append goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) id: ReplyId,
    /// The leader that the first event names.
    pub(super) leader: &'a str,
    /// The owner that the first event names.
    pub(super) owner: Owner,
    /// The claim that lives as long as the log.
    pub(super) claim: Option<&'a Claim>,
    pub(super) lifetimes: &'a Lifetimes,
}

/// Appends a batch. The answers are those that [`appended`] takes.
///
/// The first and the last batch also set the time to live, in one transaction: a log without one
/// would stay forever. The others need none: readers accept only events that follow without a gap.
pub(super) fn append(target: &Target<'_>, batch: &Batch) -> Pipeline {
    let sets_ttl = batch.ended || batch.after == Seq::ZERO;
    let mut pipe = if sets_ttl { transaction() } else { pipeline() };
    add_events(&mut pipe, target, batch, sets_ttl);
    pipe
}

/// Deletes the log and appends a batch that begins with the first event; to be sent on a connection
/// that has watched the key. The answers are those that [`rewritten`] takes.
pub(super) fn rewrite(target: &Target<'_>, batch: &Batch) -> Pipeline {
    let mut pipe = transaction();
    pipe.cmd("UNLINK").arg(events_key(target.id));
    add_events(&mut pipe, target, batch, true);
    pipe
}

/// Watches a log, for [`rewrite`].
pub(super) fn watch(id: ReplyId) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("WATCH").arg(events_key(id));
    pipe
}

fn add_events(pipe: &mut Pipeline, target: &Target<'_>, batch: &Batch, sets_ttl: bool) {
    let key = events_key(target.id);
    let mut seq = batch.after;
    for (index, event) in batch.events.iter().enumerate() {
        seq = seq.next();
        let ended = batch.ended && index + 1 == batch.events.len();
        add_event(pipe, target, &key, seq, event, ended);
    }
    pipe.cmd("XLEN").arg(&key);
    if sets_ttl {
        let ttl = target.lifetimes.ttl(batch.ended);
        pipe.cmd("PEXPIRE").arg(&key).arg(millis(ttl));
        if let Some(claim) = target.claim {
            // NX: does not overwrite a key that now leads to another reply.
            set_claim(pipe, claim, ttl);
            pipe.cmd("PEXPIRE").arg(&claim.key).arg(millis(ttl));
        }
    }
}

fn add_event(
    pipe: &mut Pipeline,
    target: &Target<'_>,
    key: &str,
    seq: Seq,
    event: &Bytes,
    ended: bool,
) {
    pipe.cmd("XADD").arg(key);
    // Otherwise an append to a log that was deleted would create one without a beginning.
    if seq != Seq(1) {
        pipe.arg("NOMKSTREAM");
    }
    pipe.arg(format!("{seq}-0"));
    pipe.arg(match (seq, ended) {
        (_, true) => END,
        (Seq(1), _) => START,
        _ => EVENT,
    });
    pipe.arg(&event[..]);
    if seq == Seq(1) {
        pipe.arg(LEADER).arg(target.leader);
        if let Some(owner) = target.owner.encode() {
            pipe.arg(OWNER).arg(owner);
        }
    }
}

/// Whether the answers to [`append`] say that the log ends with the batch and that no event is
/// missing before it.
pub(super) fn appended(answers: &[Value], batch: &Batch) -> bool {
    let count = batch.events.len();
    let length = match answers.get(count) {
        Some(Value::Int(length)) => u64::try_from(*length).ok(),
        _ => None,
    };
    let added = answers.iter().take(count);
    length == Some(batch.position().seq.0) && added.into_iter().all(is_id)
}

/// Whether the answers to an [`append`] of the first event say that the log has that event and no
/// other: from now, or from an earlier attempt.
pub(super) fn created(answers: &[Value]) -> bool {
    matches!(answers.get(1), Some(Value::Int(1)))
}

/// Whether the answers to [`rewrite`] say that the batch is the log. They are empty if the log was
/// changed after it was watched.
pub(super) fn rewritten(answers: &[Value], batch: &Batch) -> bool {
    answers
        .get(1..)
        .is_some_and(|answers| appended(answers, batch))
}

fn is_id(answer: &Value) -> bool {
    matches!(answer, Value::BulkString(_))
}

/// Notifies followers of an append.
pub(super) fn notify(id: ReplyId, notification: &[u8]) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("PUBLISH")
        .arg(events_channel(id))
        .arg(notification);
    pipe
}

/// Reads the length, the first entry and the last entry of a log.
pub(super) fn outline(id: ReplyId) -> Pipeline {
    let key = events_key(id);
    let mut pipe = pipeline();
    pipe.cmd("XLEN").arg(&key);
    xrange(&mut pipe, &key, "-", 1);
    last_entry(&mut pipe, &key);
    pipe
}

/// Reads the length of a log, and at most `limit` entries after `cursor`.
pub(super) fn read(id: ReplyId, cursor: Seq, limit: usize) -> Pipeline {
    let key = events_key(id);
    let mut pipe = pipeline();
    pipe.cmd("XLEN").arg(&key);
    xrange(&mut pipe, &key, &format!("({cursor}-0"), limit);
    pipe
}

/// Deletes entries by the ids that a read has given.
pub(super) fn delete(id: ReplyId, ids: &[Vec<u8>]) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("XDEL").arg(events_key(id));
    for id in ids {
        pipe.arg(id);
    }
    pipe
}

fn xrange(pipe: &mut Pipeline, key: &str, from: &str, limit: usize) {
    pipe.cmd("XRANGE").arg(key).arg(from).arg("+");
    pipe.arg("COUNT").arg(limit);
}

fn last_entry(pipe: &mut Pipeline, key: &str) {
    pipe.cmd("XREVRANGE").arg(key).arg("+").arg("-");
    pipe.arg("COUNT").arg(1);
}

/// Renews a replica's lease. The answer is nothing if there was none.
pub(super) fn renew_lease(pipe: &mut Pipeline, replica: &str) {
    set(pipe, &lease_key(replica), "1", LEASE_TTL);
    pipe.arg("GET");
}

/// Reads whether a replica has a lease; the answer is 1 or 0.
pub(super) fn is_leased(pipe: &mut Pipeline, replica: &str) {
    pipe.cmd("EXISTS").arg(lease_key(replica));
}

#[cfg(test)]
mod tests;
