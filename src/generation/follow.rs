//! Follows upstream's response: turns chunks into events, until the response ends or falls silent.

use super::{limits::Limits, phase::Phase, run::Run};
use crate::{
    event::{ErrorCode, Notice, NoticeCode, ReplyEvent, Why},
    idle_timer::IdleTimer,
    upstream::{self, Chunk, Fault},
};

/// A response that is being written to the log.
#[derive(Debug)]
pub(super) struct Following {
    reply: upstream::Reply,
    silence: IdleTimer,
    /// What one read has brought; empty between reads.
    chunks: Vec<Chunk>,
    events: Vec<ReplyEvent>,
}

/// What one read has brought to viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Events,
}

/// Whether a response goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoesOn,
    Complete,
}

/// Why a response ended short of its finish.
#[derive(Debug)]
pub(super) enum Broken {
    /// It ended before its first event. No viewer has seen anything of it.
    Unseen(Fault),
    /// It ended after some of its events.
    Seen(Fault),
}

impl Following {
    /// Begins with a response whose head has come.
    pub(super) fn new(reply: upstream::Reply, run: &mut Run, limits: &Limits) -> Self {
        run.phase = Phase::Thinking;
        Self {
            reply,
            silence: IdleTimer::new(run.phase.silence_limit(limits)),
            chunks: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Resolves once the first events of the response are in the log, or it is complete without any.
    ///
    /// # Errors
    ///
    /// The [`Broken`] that ended the response.
    pub(super) async fn first_events(
        &mut self,
        run: &mut Run,
        limits: &Limits,
    ) -> Result<(), Broken> {
        loop {
            match self.step(run, limits).await {
                (Seen::Nothing, Ok(Flow::GoesOn)) => {}
                (_, Ok(_)) => return Ok(()),
                (Seen::Nothing, Err(fault)) => return Err(Broken::Unseen(fault)),
                (Seen::Events, Err(fault)) => return Err(Broken::Seen(fault)),
            }
        }
    }

    /// Resolves once the model has finished and upstream sends nothing more.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that ended the response before its finish reason. The text before it is in the
    /// log.
    pub(super) async fn follow_to_end(
        &mut self,
        run: &mut Run,
        limits: &Limits,
    ) -> Result<(), Fault> {
        loop {
            let (_, flow) = self.step(run, limits).await;
            if flow? == Flow::Complete {
                return Ok(());
            }
        }
    }

    /// Reads once, and appends the events of it.
    async fn step(&mut self, run: &mut Run, limits: &Limits) -> (Seen, Result<Flow, Fault>) {
        let read = tokio::select! {
            biased;
            read = next_chunks(&mut self.reply, &mut self.chunks) => read,
            () = self.silence.elapsed() => {
                let silence = run.phase.silence().map(|()| Flow::Complete);
                let silence = silence.map_err(|fault| self.with_request_id(fault));
                return (Seen::Nothing, silence);
            }
        };
        let flow = self.append(read, run, limits);
        let seen = if self.events.is_empty() {
            Seen::Nothing
        } else {
            Seen::Events
        };
        self.events.clear();
        (seen, flow)
    }

    /// Appends the events of what was read.
    fn append(
        &mut self,
        read: Result<upstream::Progress, Fault>,
        run: &mut Run,
        limits: &Limits,
    ) -> Result<Flow, Fault> {
        // Text that came before a fault is kept.
        let reasoned = run.reasoning_bytes;
        let phase = take(&mut self.chunks, limits, run, &mut self.events);
        run.append(&self.events)?;
        let phase = phase?;
        if phase != run.phase {
            run.phase = phase;
            self.silence.restart(phase.silence_limit(limits));
        } else if phase.any_chunk_ends_silence() || run.reasoning_bytes > reasoned {
            self.silence.touch();
        }
        match read {
            Ok(upstream::Progress::More) => Ok(Flow::GoesOn),
            // After a finish reason the text is complete, whatever happens then.
            _ if phase.finish_reason().is_some() => Ok(Flow::Complete),
            Ok(upstream::Progress::Ended) => {
                let cause = "the stream ended without a finish reason";
                let fault = Fault::new(ErrorCode::UpstreamTruncated, cause);
                Err(self.with_request_id(fault))
            }
            Err(fault) if phase == Phase::Thinking => Err(fault),
            Err(fault) => Err(fault.after_text()),
        }
    }

    fn with_request_id(&self, fault: Fault) -> Fault {
        fault.with_request_id(self.reply.request_id())
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

/// Turns chunks into events: a chunk with text is one delta. Reasoning comes before it. Returns the
/// phase that the reply is in once these events are in the log.
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
        for words in [&chunk.reasoning, &chunk.text].into_iter().flatten() {
            run.completion.add(words);
        }
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
        if phase != Phase::Retracted {
            if let Some(text) = chunk.corrected {
                room = limits
                    .bytes
                    .checked_sub(text.len() as u64)
                    .ok_or_else(too_long)?;
                phase = phase.with_text();
                run.deltas = 1;
                let why = Why::Correction;
                events.push(ReplyEvent::Replace { text, why });
            }
            if let Some(text) = chunk.reasoning {
                phase = phase.with_reasoning();
                events.extend(reasoning(text, limits, run));
            }
            if let Some(text) = chunk.text {
                room = room.checked_sub(text.len() as u64).ok_or_else(too_long)?;
                phase = phase.with_text();
                run.deltas += 1;
                run.gaps.get_or_insert_default().note();
                run.first_delta
                    .get_or_insert_with(|| run.accepted.elapsed());
                events.push(ReplyEvent::Delta { text });
            }
        }
        if let Some(reason) = chunk.finish {
            phase = phase.with_finish(reason);
        }
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
