//! Ends the reply of a producer that is lost, in its stead: behind the longest beginning that is there, and
//! never behind an `end`.
//!
//! Any replica with a viewer may do it, and several may try at once: the key is watched, and ids only grow,
//! so one of them does. Who decides that a producer is lost is [`heartbeat`](super::rounds).

use std::sync::Arc;

use bytes::Bytes;
use log::{info, warn};

use super::{
    Redis, commands,
    connection::Trouble,
    follower::{Mirror, in_a_row},
};
use crate::event::{self, End, ErrorCode, ReplyError, ReplyEvent, Seq, Status, Timing, Transcript};

/// Writes the `end` of a reply whose producer is lost, behind the longest beginning that is there.
pub(super) async fn finish(redis: Arc<Redis>, mirror: Arc<Mirror>) {
    let name = mirror.log().id().short();
    // Else somebody was quicker, or the next round tries again.
    if let Ok(true) = try_finish(&redis, &mirror).await {
        warn!(reply = name.as_str(); "its producer is lost: the reply was ended");
    }
    mirror.finished_trying();
}

async fn try_finish(redis: &Redis, mirror: &Mirror) -> Result<bool, Trouble> {
    let id = mirror.log().id();
    let connection = redis.link.connection().ok_or(Trouble)?;
    let mut watching = redis.link.watching(connection.epoch).await?;
    watching.watch(&commands::events_key(id)).await?;
    let pipe = commands::compare(id, Seq::ZERO);
    let entries = watching.ask(&pipe).await?.into_iter().nth(1);
    let entries = entries.and_then(commands::entries).ok_or(Trouble)?;
    let stored = entries.len();
    let stored_log = in_a_row(Seq::ZERO, entries);
    let last = stored_log.position().seq;
    let (blocks, ends) = (stored_log.events, stored_log.ended);
    if mirror.log().position().seq > last {
        // Redis and the producer were lost together, and viewers here have seen more than is
        // left. They are let go; when they come back they are told.
        let name = id.short();
        info!(reply = name.as_str(); "a reply was lost together with its producer");
        mirror.log().invalidate();
    }
    if blocks.is_empty() || ends {
        watching.done().await;
        return Ok(false);
    }
    let end = lost(mirror, &blocks, last.next());
    let terms = commands::Terms {
        owner: &mirror.owner,
        ..redis.terms(id, None, true)
    };
    let pipe = if blocks.len() == stored {
        commands::finish(&terms, last, &end)
    } else {
        let blocks: Vec<Bytes> = blocks.into_iter().chain([end]).collect();
        commands::rewrite(&terms, &blocks, true)
    };
    let written = !watching.ask(&pipe).await?.is_empty();
    watching.done().await;
    Ok(written)
}

/// The `end` of a reply of which no more is there than `blocks`.
fn lost(mirror: &Mirror, blocks: &[Bytes], seq: Seq) -> Bytes {
    let (text, _) = event::read_back(blocks.iter().map(Bytes::as_ref));
    let mut transcript = Transcript::default();
    transcript.append(&text);
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
            total: mirror.log().created().elapsed_ms(),
        },
        error: Some(ReplyError::new(ErrorCode::ProducerLost)),
    };
    let mut block = Vec::new();
    ReplyEvent::End(end).encode(seq, None, &mut block);
    block.into()
}
