//! What is said to Redis and what it answers: keys, commands, entries. The only place that knows how
//! a reply is laid out there.
//!
//! | key | what |
//! |---|---|
//! | `rasta:{ID}:events` | stream; entry `n-0` is event n, its one field the SSE block as viewers get it: `e`, or `end` for the last; `start` for the first, which has the producer's name as a second field `owner` |
//! | `rasta:{ID}:stop` | there once a stop is asked for |
//! | `rasta:{ID}:read` | there while another replica than the producer has viewers of it |
//! | `rasta:replica:NAME` | a replica's lease |
//! | `rasta:key:HASH` | an idempotency key: the reply's id and the request's fingerprint |
//!
//! Channels: `rasta:{ID}:wake` tells, without a payload, that there are new events;
//! `rasta:replica:NAME:stop` carries the id of a reply to stop. Both are hints, and may be lost.
//!
//! No command is newer than Redis 6.2, none is a script. An entry's explicit id makes a repeated
//! append harmless, and refuses that of a producer whose log another replica has ended: ids only
//! grow. All keys of a reply are in one hash slot but for the idempotency key.

use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    event::{ReplyId, Seq, hex},
    store::idempotency::Request,
};

/// How many entries one read asks for at most.
pub(super) const PAGE: usize = 64;

const EVENT: &str = "e";
const START: &str = "start";
const END: &str = "end";
const OWNER: &str = "owner";

pub(super) fn events_key(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:events")
}

fn stop_key(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:stop")
}

fn read_key(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:read")
}

fn lease_key(replica: &str) -> String {
    format!("rasta:replica:{replica}")
}

pub(super) fn wake_channel(id: ReplyId) -> String {
    format!("rasta:{{{id}}}:wake")
}

pub(super) fn stop_channel(replica: &str) -> String {
    format!("rasta:replica:{replica}:stop")
}

/// The reply that a message on a wake channel is about.
pub(super) fn woken(channel: &str) -> Option<ReplyId> {
    let id = channel.strip_prefix("rasta:{")?.strip_suffix("}:wake")?;
    id.parse().ok()
}

/// One stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    pub(super) block: Bytes,
    pub(super) ends: bool,
    /// Who produces the reply; only the first entry says it.
    pub(super) owner: Option<String>,
}

/// The entries in the answer to `XRANGE` or `XREVRANGE`; `None` if they are not of our making.
pub(super) fn entries(value: Value) -> Option<Vec<Entry>> {
    let Value::Array(entries) = value else {
        return None;
    };
    entries.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let mut parts = parts.into_iter();
    let (Some(Value::BulkString(id)), Some(Value::Array(fields))) = (parts.next(), parts.next())
    else {
        return None;
    };
    let id = std::str::from_utf8(&id).ok()?.strip_suffix("-0")?;
    let mut fields = fields.into_iter().map(|field| match field {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    let (name, block) = (fields.next()??, fields.next()??);
    let owner = match (fields.next().flatten(), fields.next().flatten()) {
        (Some(name), Some(owner)) if name == OWNER.as_bytes() => String::from_utf8(owner).ok(),
        _ => None,
    };
    Some(Entry {
        seq: Seq(id.parse().ok()?),
        block: block.into(),
        ends: name == END.as_bytes(),
        owner,
    })
}

/// An idempotency key as it is stored. Its own text is not: it may be anything.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    key: String,
    value: String,
}

impl Pointer {
    pub(super) fn new(id: ReplyId, request: &Request) -> Self {
        let hash = hex(&Sha256::digest(request.key.as_str()));
        Self {
            key: format!("rasta:key:{hash}"),
            value: format!("{id} {}", hex(&request.fingerprint)),
        }
    }

    /// Where a stored value leads; `None` if it is about another request than this one.
    pub(super) fn leads_to(&self, stored: &[u8]) -> Option<ReplyId> {
        let (id, fingerprint) = std::str::from_utf8(stored).ok()?.split_once(' ')?;
        let (_, ours) = self.value.split_once(' ')?;
        (fingerprint == ours).then(|| id.parse().ok())?
    }

    pub(super) fn is(&self, stored: &[u8]) -> bool {
        stored == self.value.as_bytes()
    }
}

/// A pipeline whose answers are looked at one by one.
fn pipe() -> Pipeline {
    let mut pipe = redis::pipe();
    pipe.ignore_errors();
    pipe
}

fn transaction() -> Pipeline {
    let mut pipe = pipe();
    pipe.atomic();
    pipe
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The second answer is what the key leads to.
pub(super) fn claim(pointer: &Pointer, lease: Duration) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("SET").arg(&pointer.key).arg(&pointer.value);
    pipe.arg("NX").arg("PX").arg(millis(lease));
    pipe.cmd("GET").arg(&pointer.key);
    pipe
}

pub(super) fn release(pointer: &Pointer) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("DEL").arg(&pointer.key);
    pipe
}

pub(super) fn pointer_value(pointer: &Pointer) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("GET").arg(&pointer.key);
    pipe
}

/// Lets go of a reply before its time.
pub(super) fn remove(id: ReplyId, pointer: Option<&Pointer>) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("UNLINK")
        .arg(events_key(id))
        .arg(stop_key(id))
        .arg(read_key(id));
    if let Some(pointer) = pointer {
        pipe.arg(&pointer.key);
    }
    pipe
}

/// What a log is written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) id: ReplyId,
    pub(super) owner: &'a str,
    pub(super) pointer: Option<&'a Pointer>,
    /// How long it is kept from now on.
    pub(super) keep: Duration,
}

fn add(pipe: &mut Pipeline, terms: &Terms<'_>, seq: Seq, block: &Bytes, ends: bool) {
    pipe.cmd("XADD").arg(events_key(terms.id));
    // An append to a log that is gone must fail, or it would stand there without its beginning.
    if seq != Seq(1) {
        pipe.arg("NOMKSTREAM");
    }
    pipe.arg(format!("{seq}-0"));
    let name = match (seq, ends) {
        (_, true) => END,
        (Seq(1), _) => START,
        _ => EVENT,
    };
    pipe.arg(name).arg(&block[..]);
    if seq == Seq(1) {
        pipe.arg(OWNER).arg(terms.owner);
    }
}

fn add_all(pipe: &mut Pipeline, terms: &Terms<'_>, after: Seq, blocks: &[Bytes], ends: bool) {
    let mut seq = after;
    for (index, block) in blocks.iter().enumerate() {
        seq = seq.next();
        add(pipe, terms, seq, block, ends && index + 1 == blocks.len());
    }
}

fn keep(pipe: &mut Pipeline, terms: &Terms<'_>) {
    let time = millis(terms.keep);
    pipe.cmd("PEXPIRE").arg(events_key(terms.id)).arg(time);
    restore(pipe, terms);
    if let Some(pointer) = terms.pointer {
        pipe.cmd("PEXPIRE").arg(&pointer.key).arg(time);
    }
}

/// Restores the reply's key where it is missing. A key that leads to another reply by now stays
/// that reply's: whoever claimed it first and was then silent for too long has lost it.
pub(super) fn restore(pipe: &mut Pipeline, terms: &Terms<'_>) {
    if let Some(pointer) = terms.pointer {
        pipe.cmd("SET").arg(&pointer.key).arg(&pointer.value);
        pipe.arg("NX").arg("PX").arg(millis(terms.keep));
    }
}

fn wake(pipe: &mut Pipeline, id: ReplyId) {
    pipe.cmd("PUBLISH").arg(wake_channel(id)).arg("");
}

/// Appends `blocks` behind `after`. The answers: an id for each block, then the length.
pub(super) fn append(terms: &Terms<'_>, after: Seq, blocks: &[Bytes], ends: bool) -> Pipeline {
    let mut pipe = transaction();
    add_all(&mut pipe, terms, after, blocks, ends);
    pipe.cmd("XLEN").arg(events_key(terms.id));
    wake(&mut pipe, terms.id);
    if ends || after == Seq::ZERO {
        keep(&mut pipe, terms);
    }
    pipe
}

/// Whether an [`append`] of so many blocks behind `after` did what it should.
pub(super) fn appended(answers: &[Value], after: Seq, count: usize) -> bool {
    let added = answers.iter().take(count);
    added.len() == count
        && added
            .into_iter()
            .all(|answer| matches!(answer, Value::BulkString(_)))
        && matches!(answers.get(count), Some(Value::Int(length)) if u64::try_from(*length) == Ok(after.0 + count as u64))
}

/// Whether an [`append`] of a first event has created the log, now or when it was sent before.
pub(super) fn created(answers: &[Value]) -> bool {
    matches!(answers.get(1), Some(Value::Int(1)))
}

/// Puts a whole log in the place of what is there; to be sent where that is watched.
pub(super) fn rewrite(terms: &Terms<'_>, blocks: &[Bytes], ends: bool) -> Pipeline {
    let mut pipe = transaction();
    pipe.cmd("DEL").arg(events_key(terms.id));
    add_all(&mut pipe, terms, Seq::ZERO, blocks, ends);
    keep(&mut pipe, terms);
    wake(&mut pipe, terms.id);
    pipe
}

/// Appends an `end` behind `after` for a producer that is lost; to be sent where the log is watched.
pub(super) fn finish(terms: &Terms<'_>, after: Seq, end: &Bytes) -> Pipeline {
    let mut pipe = transaction();
    add(&mut pipe, terms, after.next(), end, true);
    keep(&mut pipe, terms);
    wake(&mut pipe, terms.id);
    pipe
}

/// Removes what a producer that was taken for dead has still written behind the `end`.
pub(super) fn trim(id: ReplyId, from: Seq, to: Seq) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("XDEL").arg(events_key(id));
    for seq in from.0..=to.0 {
        pipe.arg(format!("{seq}-0"));
    }
    pipe
}

/// The answers: the length, and the entries from `from` on.
pub(super) fn compare(id: ReplyId, from: Seq) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("XLEN").arg(events_key(id));
    pipe.cmd("XRANGE")
        .arg(events_key(id))
        .arg(format!("{from}-0"))
        .arg("+");
    pipe
}

/// The answers: the first entry and the last.
pub(super) fn outline(id: ReplyId) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("XRANGE")
        .arg(events_key(id))
        .arg("-")
        .arg("+")
        .arg("COUNT")
        .arg(1);
    pipe.cmd("XREVRANGE")
        .arg(events_key(id))
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(1);
    pipe
}

/// The answer: at most `count` entries behind `cursor`.
pub(super) fn page(id: ReplyId, cursor: Seq, count: usize) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("XRANGE")
        .arg(events_key(id))
        .arg(format!("({cursor}-0"))
        .arg("+");
    pipe.arg("COUNT").arg(count);
    pipe
}

/// Asks the producer to stop: by a key that stays, and by a message that is quick.
pub(super) fn stop(id: ReplyId, owner: &str, keep: Duration) -> Pipeline {
    let mut pipe = pipe();
    pipe.cmd("SET")
        .arg(stop_key(id))
        .arg(1)
        .arg("PX")
        .arg(millis(keep));
    pipe.cmd("PUBLISH")
        .arg(stop_channel(owner))
        .arg(id.to_string());
    pipe
}

/// Renews a replica's lease.
pub(super) fn renew(pipe: &mut Pipeline, replica: &str, lease: Duration) {
    pipe.cmd("SET")
        .arg(lease_key(replica))
        .arg(1)
        .arg("PX")
        .arg(millis(lease));
}

/// Asks whether a replica's lease is valid; the answer is 1 or 0.
pub(super) fn is_leased(pipe: &mut Pipeline, replica: &str) {
    pipe.cmd("EXISTS").arg(lease_key(replica));
}

/// Asks for the stops and the marks of the readers of replies; two values each.
pub(super) fn requests(pipe: &mut Pipeline, ids: &[ReplyId]) {
    pipe.cmd("MGET");
    for id in ids {
        pipe.arg(stop_key(*id)).arg(read_key(*id));
    }
}

/// Marks a reply as read on this replica.
pub(super) fn mark_read(pipe: &mut Pipeline, id: ReplyId, valid: Duration) {
    pipe.cmd("SET")
        .arg(read_key(id))
        .arg(1)
        .arg("PX")
        .arg(millis(valid));
}

/// An empty pipeline, to be filled.
pub(super) fn several() -> Pipeline {
    pipe()
}

#[cfg(test)]
mod tests;
