//! Follows upstream's response: turns chunks into events, until the response ends or falls silent.

use super::{limits::Limits, phase::Phase, run::Run};
use crate::{
    event::{ErrorCode, Notice, NoticeCode, ReplyEvent, Why},
    idle_timer::IdleTimer,
    upstream::{self, Chunk, Fault},
};

/// Writes a response to the log. Resolves once the model has finished and upstream sends nothing
/// more.
///
/// # Errors
///
/// The [`Fault`] that ended the response before its finish reason. The text before it is in the log.
pub(super) async fn follow(
    reply: &mut upstream::Reply,
    run: &mut Run,
    limits: &Limits,
) -> Result<(), Fault> {
    run.phase = Phase::Thinking;
    let mut silence = IdleTimer::new(run.phase.silence_limit(limits));
    let (mut chunks, mut events) = (Vec::new(), Vec::new());
    loop {
        let read = tokio::select! {
            biased;
            read = next_chunks(reply, &mut chunks) => read,
            () = silence.elapsed() => {
                let ended = run.phase.silence();
                return ended.map_err(|fault| fault.with_request_id(reply.request_id()));
            }
        };
        // Text that came before a fault is kept.
        let reasoned = run.reasoning_bytes;
        let phase = take(&mut chunks, limits, run, &mut events);
        run.append(&events)?;
        events.clear();
        let phase = phase?;
        if phase != run.phase {
            run.phase = phase;
            silence.restart(phase.silence_limit(limits));
        } else if phase.any_chunk_ends_silence() || run.reasoning_bytes > reasoned {
            silence.touch();
        }
        match read {
            Ok(upstream::Progress::More) => {}
            // After a finish reason the text is complete, whatever happens then.
            _ if phase.finish_reason().is_some() => return Ok(()),
            Ok(upstream::Progress::Ended) => {
                let cause = "the stream ended without a finish reason";
                let fault = Fault::new(ErrorCode::UpstreamTruncated, cause);
                return Err(fault.with_request_id(reply.request_id()));
            }
            Err(fault) if phase == Phase::Thinking => return Err(fault),
            Err(fault) => return Err(fault.after_text()),
        }
    }
}

/// Reads until there is a chunk. Comments and parts of frames do not show that the model is alive.
async fn next_chunks(
    reply: &mut upstream::Reply,
    chunks: &mut Vec<Chunk>,
) -> Result<upstream::Progress, Fault> {
    loop {
        let progress = reply.next(chunks).await?;
        if progress == upstream::Progress::Ended || !chunks.is_empty() {
            return Ok(progress);
        }
    }
}

/// Turns chunks into events: a chunk with text is one delta. Reasoning comes before it. Returns the phase that the reply is in
/// once these events are in the log.
///
/// # Errors
///
/// The [`Fault`] of a text over the limit; `events` has the events before it.
fn take(
    chunks: &mut Vec<Chunk>,
    limits: &Limits,
    run: &mut Run,
    events: &mut Vec<ReplyEvent>,
) -> Result<Phase, Fault> {
    let mut room = limits.bytes.saturating_sub(run.text_bytes());
    let mut phase = run.phase;
    for chunk in chunks.drain(..) {
        run.model = chunk.model.map(String::from).or(run.model.take());
        run.usage = chunk.usage.or(run.usage.take());
        if chunk.retracted {
            phase = Phase::Retracted;
            if run.deltas > 0 {
                run.deltas = 0;
                events.push(ReplyEvent::Replace {
                    text: String::new(),
                    why: Why::ContentFilter,
                });
            }
        }
        if let Some(text) = chunk.corrected.filter(|_| phase != Phase::Retracted) {
            room = limits
                .bytes
                .checked_sub(text.len() as u64)
                .ok_or_else(too_long)?;
            phase = phase.with_text();
            run.deltas = 1;
            let why = Why::Correction;
            events.push(ReplyEvent::Replace { text, why });
        }
        if let Some(reason) = chunk.finish {
            phase = phase.with_finish(reason);
        }
        if phase == Phase::Retracted {
            continue;
        }
        if let Some(text) = chunk.reasoning {
            events.extend(reasoning(text, limits, run));
        }
        let Some(text) = chunk.text else {
            continue;
        };
        room = room.checked_sub(text.len() as u64).ok_or_else(too_long)?;
        phase = phase.with_text();
        run.deltas += 1;
        run.first_delta
            .get_or_insert_with(|| run.accepted.elapsed());
        events.push(ReplyEvent::Delta { text });
    }
    Ok(phase)
}

/// The event for some more reasoning, if it is shown. The chunk that would exceed the limit becomes
/// a notice, and those after it become nothing.
fn reasoning(text: String, limits: &Limits, run: &mut Run) -> Option<ReplyEvent> {
    let before = run.reasoning_bytes;
    run.reasoning_bytes += text.len() as u64;
    let limit = limits.reasoning_bytes?;
    if run.reasoning_bytes <= limit {
        return Some(ReplyEvent::Reasoning { text });
    }
    (before <= limit).then(|| {
        let message = "The rest of the model's reasoning was left out: it is too long.".to_owned();
        ReplyEvent::Notice(Notice::new(NoticeCode::ReasoningTrimmed, message))
    })
}

fn too_long() -> Fault {
    Fault::new(ErrorCode::TooLong, "the text is over MAX_REPLY_BYTES")
}
