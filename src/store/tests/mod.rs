//! What the logs promise: to readers, to the leader and the follower, and to threads.

mod local;
mod remote;
mod replicated;
mod wakeups;

use std::sync::Arc;

use bytes::Bytes;

use super::{
    batch::{Batch, Next, Position},
    error::AppendError,
    local_log::{Commit, LocalLog},
    reader::Reader,
};
use crate::{
    event::{Created, ReplyId, Seq},
    store::{log::Log, owner::Owner},
};

fn log(commit: Commit) -> Arc<LocalLog> {
    Arc::new(LocalLog::new(
        ReplyId::random(),
        Created::now(),
        Owner::Anyone,
        commit,
    ))
}

fn reader(log: &Arc<LocalLog>) -> Reader {
    Log::from(Arc::clone(log)).reader()
}

fn bytes(event: &'static str) -> Bytes {
    Bytes::from_static(event.as_bytes())
}

fn append(log: &LocalLog, events: &[&'static str]) {
    log.append(events.iter().map(|event| bytes(event))).unwrap();
}

fn end(log: &LocalLog) {
    log.append_end(bytes("end")).unwrap();
}

fn event(seq: u64, event: &'static str, last: bool) -> Next {
    Next::Event {
        seq: Seq(seq),
        bytes: bytes(event),
        last,
    }
}

fn batch(after: u64, events: &[&'static str], ended: bool) -> Batch {
    Batch {
        after: Seq(after),
        events: events.iter().map(|event| bytes(event)).collect(),
        ended,
    }
}

fn running_at(seq: u64) -> Position {
    let seq = Seq(seq);
    Position { seq, ended: false }
}

fn ended_at(seq: u64) -> Position {
    let seq = Seq(seq);
    Position { seq, ended: true }
}
