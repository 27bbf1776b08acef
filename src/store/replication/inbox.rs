//! Inboxes: a list in Redis for each replica, in which followers ask its leaders for something.

use std::time::Duration;

use redis::{Pipeline, Value};

use super::pipeline::{millis, pipeline};
use crate::event::ReplyId;

/// The most requests that one read of an inbox asks for.
pub(super) const REQUESTS_LIMIT: usize = 256;

/// The key of a replica's inbox, and the channel that says that there is something in it.
pub(super) fn key(replica: &str) -> String {
    format!("rasta:replica:{replica}:inbox")
}

/// A request from a follower to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InboxRequest {
    /// Stop the reply.
    Stop(ReplyId),
    /// The reply has viewers on another replica.
    Read(ReplyId),
}

impl InboxRequest {
    fn encode(self) -> String {
        match self {
            Self::Stop(id) => format!("stop {id}"),
            Self::Read(id) => format!("read {id}"),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match std::str::from_utf8(bytes).ok()?.split_once(' ')? {
            ("stop", id) => id.parse().ok().map(Self::Stop),
            ("read", id) => id.parse().ok().map(Self::Read),
            _ => None,
        }
    }
}

/// Asks a leader to stop a reply. [`sent`] takes the answers.
pub(super) fn stop(id: ReplyId, leader: &str, ttl: Duration) -> Pipeline {
    let mut pipe = pipeline();
    send(&mut pipe, leader, [InboxRequest::Stop(id)], ttl);
    pipe.cmd("PUBLISH").arg(key(leader)).arg("");
    pipe
}

/// Whether a request is in the inbox.
pub(super) fn sent(answers: &[Value]) -> bool {
    matches!(answers.first(), Some(Value::Int(_)))
}

/// Puts requests into a leader's inbox; they stay there for `ttl` at most. Two answers.
pub(super) fn send(
    pipe: &mut Pipeline,
    leader: &str,
    requests: impl IntoIterator<Item = InboxRequest>,
    ttl: Duration,
) {
    let inbox = key(leader);
    pipe.cmd("RPUSH").arg(&inbox);
    for request in requests {
        pipe.arg(request.encode());
    }
    pipe.cmd("PEXPIRE").arg(&inbox).arg(millis(ttl));
}

/// Removes the first `read` requests of an inbox, and reads those that follow; two answers.
pub(super) fn read(pipe: &mut Pipeline, replica: &str, read: usize) {
    let inbox = key(replica);
    pipe.cmd("LTRIM").arg(&inbox).arg(read).arg(-1);
    pipe.cmd("LRANGE")
        .arg(&inbox)
        .arg(0)
        .arg(REQUESTS_LIMIT - 1);
}

/// Empties an inbox, whatever it is.
pub(super) fn clear(replica: &str) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("UNLINK").arg(key(replica));
    pipe
}

/// The requests in the answer to `LRANGE`, and `None` for each entry that is none.
///
/// # Errors
///
/// The answer itself if it is not a list.
pub(super) fn requests(answer: Value) -> Result<Vec<Option<InboxRequest>>, Value> {
    let Value::Array(requests) = answer else {
        return Err(answer);
    };
    let requests = requests.iter().map(|request| match request {
        Value::BulkString(bytes) => InboxRequest::decode(bytes),
        _ => None,
    });
    Ok(requests.collect())
}

#[cfg(test)]
mod tests;
