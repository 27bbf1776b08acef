//! Entries of a stream in Redis, read back as events of a log.
//!
//! Entry `n-0` is event `n`: one field with the encoded event, named after its role. The first
//! entry also names the leader, and the owner if there is one. Any client that can write to Redis can plant data, so an entry is
//! accepted only if it is exactly one event with the expected number. This module knows
//! nothing of connections.

use bytes::Bytes;
use redis::Value;

use crate::{
    event::{self, Created, Seq},
    store::{batch::Batch, owner::Owner},
};

/// The names of an entry's fields: for the first event, the last one, and all others.
pub(super) const START: &str = "start";
pub(super) const END: &str = "end";
pub(super) const EVENT: &str = "e";
/// The field of the first entry that names the leader.
pub(super) const LEADER: &str = "leader";
/// The field of the first entry that names the owner. A reply that any caller may read has none.
pub(super) const OWNER: &str = "owner";

/// The largest event that is read. Twice what an event may hold at the default `MAX_REPLY_BYTES`,
/// every character escaped.
const EVENT_BYTES_LIMIT: usize = 16 << 20;

/// The key holds something that no leader has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign;

/// What a read after a cursor found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The events that follow the cursor without a gap, up to the first `end`.
    pub(super) batch: Batch,
    /// Something follows `batch` that is not the next event of a log.
    pub(super) diverged: bool,
    /// There may be more entries to read.
    pub(super) full: bool,
}

/// What the first and the last entry say of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) leader: String,
    pub(super) owner: Owner,
    pub(super) created: Created,
    /// The last event if nothing can be missing before it, otherwise the first one.
    pub(super) newest: Batch,
    /// Something follows `newest`: the log has to be read to know where it ends.
    pub(super) has_more: bool,
}

struct Entry {
    seq: Seq,
    event: Bytes,
    ended: bool,
    leader: Option<String>,
    owner: Option<Vec<u8>>,
}

/// Reads the answers to a request for a log's length and for at most `limit` entries after `cursor`.
pub(super) fn page(answers: Vec<Value>, cursor: Seq, limit: usize) -> (u64, Page) {
    let mut answers = answers.into_iter();
    let length = match answers.next() {
        Some(Value::Int(length)) => u64::try_from(length).unwrap_or_default(),
        _ => 0,
    };
    (length, range(answers.next(), cursor, limit))
}

/// The ids of all entries in the answers to a read, whatever the entries hold.
pub(super) fn ids(answers: Vec<Value>) -> Vec<Vec<u8>> {
    let Some(Value::Array(entries)) = answers.into_iter().nth(1) else {
        return Vec::new();
    };
    let id = |entry| match entry {
        Value::Array(parts) => match parts.into_iter().next() {
            Some(Value::BulkString(id)) => Some(id),
            _ => None,
        },
        _ => None,
    };
    entries.into_iter().filter_map(id).collect()
}

fn range(answer: Option<Value>, cursor: Seq, limit: usize) -> Page {
    let mut page = Page {
        batch: Batch {
            after: cursor,
            events: Vec::new(),
            ended: false,
        },
        diverged: false,
        full: false,
    };
    let Some(Value::Array(entries)) = answer else {
        page.diverged = true;
        return page;
    };
    page.full = entries.len() >= limit;
    for value in entries {
        match entry(value) {
            Some(entry) if entry.seq == page.batch.position().seq.next() => {
                page.batch.events.push(entry.event);
                page.batch.ended = entry.ended;
            }
            _ => page.diverged = true,
        }
        if page.batch.ended || page.diverged {
            page.full = false;
            break;
        }
    }
    page
}

/// Reads the answers to a request for the length, the first and the last entry; `None` if there is
/// no log.
///
/// # Errors
///
/// [`Foreign`] if the first entry is not the first event of a log.
pub(super) fn outline(answers: Vec<Value>) -> Result<Option<Outline>, Foreign> {
    let mut answers = answers.into_iter();
    let length = answers.next();
    let mut only = || match answers.next() {
        Some(Value::Array(entries)) => Ok(entries.into_iter().next()),
        _ => Err(Foreign),
    };
    let (Some(first), Some(last)) = (only()?, only()?) else {
        return Ok(None);
    };
    let first = entry(first).filter(|first| first.seq == Seq(1));
    let first = first.ok_or(Foreign)?;
    let last = entry(last).filter(|last| {
        matches!(length, Some(Value::Int(length)) if u64::try_from(length) == Ok(last.seq.0))
    });
    let newest = last.as_ref().unwrap_or(&first);
    Ok(Some(Outline {
        created: event::decode_created(&first.event).ok_or(Foreign)?,
        newest: Batch {
            after: Seq(newest.seq.0 - 1),
            events: vec![newest.event.clone()],
            ended: newest.ended,
        },
        has_more: length != Some(Value::Int(newest.seq.0.cast_signed())),
        leader: first.leader.ok_or(Foreign)?,
        owner: Owner::decode(first.owner.as_deref()).ok_or(Foreign)?,
    }))
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
    let seq = Seq(id.parse().ok()?);
    let mut fields = fields.into_iter().map(|field| match field {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    let (name, event) = (fields.next()??, fields.next()??);
    let leader = match (fields.next().flatten(), fields.next().flatten()) {
        (Some(name), Some(leader)) if name == LEADER.as_bytes() => String::from_utf8(leader).ok(),
        _ => None,
    };
    // A name without its value must not make the reply one that any caller may read.
    let owner = match fields.next().flatten() {
        Some(name) if name == OWNER.as_bytes() => fields.next().flatten().or(Some(Vec::new())),
        _ => None,
    };
    let ended = name == END.as_bytes();
    is_event(&event, seq, ended).then(|| Entry {
        seq,
        event: event.into(),
        ended,
        leader,
        owner,
    })
}

/// Whether `bytes` are exactly one encoded event with this number, and an `end` if it should be.
pub(super) fn is_event(bytes: &[u8], seq: Seq, ended: bool) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut field = |name: &[u8]| lines.next().and_then(|line| line.strip_prefix(name));
    let id = field(b"id: ").and_then(|id| std::str::from_utf8(id).ok());
    let name = field(b"event: ");
    let data = field(b"data: ");
    bytes.len() <= EVENT_BYTES_LIMIT
        && seq > Seq::ZERO
        && id.is_some_and(|id| id == seq.to_string())
        && name.is_some_and(|name| !name.is_empty() && (name == END.as_bytes()) == ended)
        && data.is_some()
        // After the data: the end of its line, and the empty line that ends the event.
        && lines.eq([b"", b""])
        && !bytes.contains(&b'\r')
}

#[cfg(test)]
mod tests;
