//! Failover: ends a reply whose leader is lost.
//!
//! Any replica with viewers of the reply may do it, and several may try at once. Each appends an
//! `end` after the last stored event, with an explicit id. Redis takes one such entry only, and none
//! from a leader that returns later. If the `end` cannot be stored, the viewers of this replica still
//! get it, so none of them waits forever. The [`heartbeat`](super::heartbeat) decides when a leader
//! is lost.

use bytes::Bytes;
use log::{info, warn};

use super::{
    commands::{self, PAGE_EVENTS, Target},
    connection::{Connection, Redis},
    entries,
    error::RedisError,
    fence,
    follower::Follower,
    notification,
    pipeline::Lifetimes,
};
use crate::{
    event::{
        self, End, ErrorCode, Padding, ReplyError, ReplyEvent, Seq, Status, Timing, Transcript,
    },
    store::{batch::Batch, remote_log::RemoteLog},
};

/// Why a failover begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The leader's lease has expired.
    LeaderLost,
    /// Redis refuses commands from this replica. The leader may be alive, but none of its events can
    /// arrive here.
    RedisRefuses,
}

/// The stored part of a log.
struct Stored {
    last: Seq,
    transcript: Transcript,
    /// There is an `end`.
    ended: bool,
    /// Something follows that is not an event of the log, so nothing can be appended.
    diverged: bool,
}

/// Ends a reply: in Redis if its leader is lost, or only for the viewers of this replica if Redis
/// does not take the `end`. Does nothing if Redis does not answer.
pub(super) async fn fail_over(
    redis: &Redis,
    lifetimes: &Lifetimes,
    follower: &Follower,
    cause: Cause,
) {
    let log = follower.log();
    // Not on the shared connection: there is none while Redis refuses some commands, and reads may
    // still work.
    let Ok((connection, _permit)) = redis.exclusive().await else {
        return;
    };
    let stored = match read_all(redis, &connection, log).await {
        Ok(stored) => stored,
        Err(RedisError::Unreachable(_)) => return,
        Err(RedisError::Refused(_)) => return end_here(log).await,
    };
    let name = log.id().short();
    if stored.ended {
        // The leader was lost before it could do so.
        fence::remove_after(redis, &connection, log.id(), stored.last).await;
        return;
    }
    if stored.last < log.position().seq && !stored.diverged {
        // Redis was emptied and the leader lost at the same time, and viewers here have seen more
        // than is left. Their streams are closed; on reconnect they get 404 or `cursor_ahead`.
        info!(reply = name.as_str(); "a reply was lost together with its leader");
        log.invalidate();
        return;
    }
    if stored.diverged || cause == Cause::RedisRefuses {
        return end_here(log).await;
    }
    let batch = Batch {
        after: stored.last,
        events: vec![lost_end(log, &stored.transcript, stored.last.next())],
        ended: true,
    };
    let target = Target {
        id: log.id(),
        leader: follower.leader(),
        owner: log.owner(),
        claim: None,
        lifetimes,
    };
    match redis
        .ask(&connection, &commands::append(&target, &batch))
        .await
    {
        Ok(answers) if commands::appended(&answers, &batch) => {
            warn!(reply = name.as_str(); "the leader of a reply is lost: the reply was ended");
            let notify = commands::notify(log.id(), &notification::encode(&batch));
            let _ = redis.ask(&connection, &notify).await;
        }
        // Another replica was faster, or the next attempt finds out what has changed.
        Ok(_) | Err(RedisError::Unreachable(_)) => {}
        Err(RedisError::Refused(_)) => end_here(log).await,
    }
}

/// Reads the stored log to its end, page by page, and appends it for the viewers here.
async fn read_all(
    redis: &Redis,
    connection: &Connection,
    log: &RemoteLog,
) -> Result<Stored, RedisError> {
    let mut stored = Stored {
        last: Seq::ZERO,
        transcript: Transcript::default(),
        ended: false,
        diverged: false,
    };
    loop {
        let read = commands::read(log.id(), stored.last, PAGE_EVENTS);
        let answers = redis.ask(connection, &read).await?;
        let (_, page) = entries::page(answers, stored.last, PAGE_EVENTS);
        for event in &page.batch.events {
            event::replay(event, &mut stored.transcript);
        }
        // The log skips the events that it has. The page begins at its start, so there is no gap.
        let _ = log.append(&page.batch);
        stored.last = page.batch.position().seq;
        stored.ended = page.batch.ended;
        stored.diverged = page.diverged;
        if !page.full || page.batch.events.is_empty() {
            return Ok(stored);
        }
    }
}

/// Ends the log for the viewers of this replica only.
async fn end_here(log: &RemoteLog) {
    let name = log.id().short();
    let last = log.position().seq;
    let text = log
        .snapshot()
        .await
        .ok()
        .filter(|snapshot| snapshot.last == last);
    let Some(text) = text.map(|snapshot| snapshot.content.text) else {
        warn!(reply = name.as_str(); "a reply cannot be read any more: its streams are closed");
        log.invalidate();
        return;
    };
    let mut transcript = Transcript::default();
    transcript.append(&text);
    let end = Batch {
        after: last,
        events: vec![lost_end(log, &transcript, last.next())],
        ended: true,
    };
    warn!(reply = name.as_str(); "a reply cannot be continued: it was ended for its viewers here");
    // There is no gap: only the follower and this task append, and both append the next event.
    let _ = log.append(&end);
}

/// The `end` of a reply whose last event has the number before `seq`.
fn lost_end(log: &RemoteLog, transcript: &Transcript, seq: Seq) -> Bytes {
    let end = End {
        status: Status::Failed,
        finish_reason: None,
        reason: None,
        model: None,
        usage: None,
        bytes: transcript.bytes(),
        sha256: transcript.sha256(),
        ms: Timing {
            first: None,
            total: log.created().elapsed_ms(),
        },
        error: Some(ReplyError::new(ErrorCode::ProducerLost)),
    };
    let mut encoded = Vec::new();
    ReplyEvent::End(end).encode(seq, Padding::Off, &mut encoded);
    encoded.into()
}
