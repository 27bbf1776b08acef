//! One reply from beginning to end: asks upstream, writes what comes to the log, and always writes
//! exactly one `end`.
//!
//! [`supervise`] runs on a task of its own, tied to no connection. It ends the reply when upstream
//! does, when somebody stops it, when nobody reads it, when time is up, and when the work panics;
//! dropping the work closes the connection to upstream. This module knows nothing of viewers.

mod append;
mod limits;
mod opening;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use log::{info, warn};
use tokio::time::{Instant, sleep_until, timeout};

pub use self::limits::Limits;
use self::{append::append, opening::open};
use crate::{
    chat::ChatRequest,
    event::{
        End, ErrorCode, FinishReason, Notice, NoticeCode, ReplyError, ReplyEvent, Status,
        StopReason, Timing, Transcript, Usage, Why,
    },
    store::{StopRequest, Writer},
    upstream::{self, Chunk, Fault, Upstream},
};

/// How long upstream may be silent after a finish reason. Annotations and usage that come sooner
/// count; some servers then leave the connection open.
const TAIL_SILENCE: Duration = Duration::from_secs(5);

/// How a reply comes to its end.
#[derive(Debug)]
enum Outcome {
    /// With a finish reason.
    Completed,
    Stopped(StopReason),
    Failed(ReplyError),
}

/// Produces one reply. Resolves when its `end` is written.
pub async fn supervise(
    upstream: &Upstream,
    writer: Writer,
    request: ChatRequest,
    limits: &Limits,
    accepted: Instant,
) {
    let work = async |writer: &mut Writer, progress: &mut Progress| {
        produce(upstream, writer, request, limits, progress).await
    };
    supervise_work(writer, limits, accepted, work).await;
}

async fn supervise_work<W>(mut writer: Writer, limits: &Limits, accepted: Instant, work: W)
where
    W: AsyncFnOnce(&mut Writer, &mut Progress) -> Result<(), Fault>,
{
    let log = Arc::clone(writer.log());
    let name = log.id().short();
    let mut progress = Progress::new(accepted);
    info!(reply = name.as_str(); "reply started");
    let work = work(&mut writer, &mut progress);
    let interrupted = tokio::select! {
        biased;
        request = log.stop_requested() => Some(match request {
            StopRequest::Viewer => Outcome::Stopped(StopReason::Viewer),
            StopRequest::Shutdown => failed(ErrorCode::ServerShutdown),
            // The log has its end already; this closes the connection to upstream.
            StopRequest::FailedOver => failed(ErrorCode::ProducerLost),
        }),
        () = log.unread_for(limits.idle_reader) => Some(Outcome::Stopped(StopReason::Unread)),
        () = sleep_until(accepted + limits.total) => Some(failed(ErrorCode::ReplyTimeout)),
        worked = AssertUnwindSafe(work).catch_unwind() => match worked {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => {
                warn!(
                    reply = name.as_str(), code:% = fault.error.code,
                    request_id = fault.error.request_id.as_deref(), cause:% = fault.cause;
                    "upstream failed"
                );
                Some(Outcome::Failed(fault.error))
            }
            Err(_) => Some(failed(ErrorCode::Internal)),
        },
    };
    let deltas = progress.deltas;
    let end = progress.into_end(interrupted, writer.transcript());
    info!(
        reply = name.as_str(), status:% = end.status,
        error = end.error.as_ref().map(|error| error.code.to_string()).as_deref(),
        bytes = end.bytes, deltas = deltas, first_ms = end.ms.first, total_ms = end.ms.total;
        "reply ended"
    );
    writer.end(end);
}

fn failed(code: ErrorCode) -> Outcome {
    Outcome::Failed(ReplyError::new(code))
}

/// What is known of the reply so far, its text apart.
#[derive(Debug)]
struct Progress {
    accepted: Instant,
    deltas: u64,
    first: Option<Duration>,
    /// Set once everything that came before it is in the log.
    finish: Option<FinishReason>,
    model: Option<String>,
    usage: Option<Usage>,
    /// The content filter has taken the text back.
    condemned: bool,
}

impl Progress {
    fn new(accepted: Instant) -> Self {
        Self {
            accepted,
            deltas: 0,
            first: None,
            finish: None,
            model: None,
            usage: None,
            condemned: false,
        }
    }

    /// Once the model has finished its text is whole, and whatever came after is no failure.
    fn outcome(&self, interrupted: Option<Outcome>) -> Outcome {
        match (self.finish, interrupted) {
            (Some(FinishReason::ContentFilter), _) => failed(ErrorCode::ReplyFiltered),
            (Some(_), _) => Outcome::Completed,
            (None, Some(outcome)) => outcome,
            // Work that succeeds leaves a finish reason.
            (None, None) => failed(ErrorCode::Internal),
        }
    }

    fn into_end(self, interrupted: Option<Outcome>, transcript: &Transcript) -> End {
        let (status, reason, error) = match self.outcome(interrupted) {
            Outcome::Completed => (Status::Completed, None, None),
            Outcome::Stopped(reason) => (Status::Stopped, Some(reason), None),
            Outcome::Failed(error) => (Status::Failed, None, Some(error)),
        };
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        End {
            status,
            finish_reason: self.finish,
            reason,
            model: self.model,
            usage: self.usage,
            bytes: transcript.bytes(),
            sha256: transcript.sha256(),
            ms: Timing {
                first: self.first.map(ms),
                total: ms(self.accepted.elapsed()),
            },
            error,
        }
    }
}

/// Asks upstream, and follows its answer.
async fn produce(
    upstream: &Upstream,
    writer: &mut Writer,
    mut request: ChatRequest,
    limits: &Limits,
    progress: &mut Progress,
) -> Result<(), Fault> {
    let dropped = request.trim_history(limits.history_chars);
    if dropped > 0 {
        append(writer, &[history_trimmed(dropped, limits.history_chars)])?;
    }
    let deadline = progress.accepted + limits.total;
    let reply = open(upstream, &request, deadline, writer).await?;
    drop(request);
    follow(reply, writer, limits, progress).await
}

/// An answer that is coming in, to log.
async fn follow(
    mut reply: upstream::Reply,
    writer: &mut Writer,
    limits: &Limits,
    progress: &mut Progress,
) -> Result<(), Fault> {
    let head = Instant::now();
    let (mut chunks, mut events) = (Vec::new(), Vec::new());
    loop {
        let (patience, if_silent) = match (progress.finish, progress.first) {
            (Some(_), _) => (TAIL_SILENCE, None),
            (None, Some(_)) => (limits.stall, Some("no chunk in STALL_SECONDS")),
            (None, None) => {
                let left = (head + limits.first_delta).saturating_duration_since(Instant::now());
                (left, Some("no delta in FIRST_DELTA_SECONDS"))
            }
        };
        let read =
            match (
                timeout(patience, next_chunks(&mut reply, &mut chunks)).await,
                if_silent,
            ) {
                (Ok(read), _) => read,
                (Err(_), None) => return Ok(()),
                (Err(_), Some(cause)) => Err(Fault::new(ErrorCode::UpstreamStalled, cause)
                    .with_request_id(reply.request_id())),
            };
        // Whatever ends the reply, what came before it is kept.
        let room = limits.bytes.saturating_sub(writer.transcript().bytes());
        let taken = take(&mut chunks, room, progress, &mut events);
        append(writer, &events)?;
        events.clear();
        // A verdict of the content filter's overrules the model's own reason to finish.
        progress.finish = match taken? {
            Some(FinishReason::ContentFilter) => Some(FinishReason::ContentFilter),
            finish => progress.finish.or(finish),
        };
        match (read, progress.finish) {
            (Ok(upstream::Progress::More), _) => {}
            (_, Some(_)) => return Ok(()),
            (Ok(upstream::Progress::Ended), None) => {
                let cause = "the stream ended without a finish reason";
                return Err(Fault::new(ErrorCode::UpstreamTruncated, cause)
                    .with_request_id(reply.request_id()));
            }
            (Err(fault), None) => return Err(fault),
        }
    }
}

/// Turns chunks into events: one with text is one delta. Gives the finish reason, if one came.
fn take(
    chunks: &mut Vec<Chunk>,
    mut room: u64,
    progress: &mut Progress,
    events: &mut Vec<ReplyEvent>,
) -> Result<Option<FinishReason>, Fault> {
    let mut finish = None;
    for chunk in chunks.drain(..) {
        progress.model = chunk.model.map(String::from).or(progress.model.take());
        progress.usage = chunk.usage.or(progress.usage.take());
        if chunk.retracted {
            finish = Some(FinishReason::ContentFilter);
            progress.condemned = true;
            if progress.deltas > 0 {
                events.push(ReplyEvent::Replace {
                    text: String::new(),
                    why: Why::ContentFilter,
                });
                progress.deltas = 0;
            }
        }
        finish = finish.or(chunk.finish);
        // What still comes after a verdict belongs to the condemned text.
        let Some(text) = chunk.text.filter(|_| !progress.condemned) else {
            continue;
        };
        room = room
            .checked_sub(text.len() as u64)
            .ok_or_else(|| Fault::new(ErrorCode::TooLong, "the text is over MAX_REPLY_BYTES"))?;
        progress.deltas += 1;
        progress
            .first
            .get_or_insert_with(|| progress.accepted.elapsed());
        events.push(ReplyEvent::Delta { text });
    }
    Ok(finish)
}

fn history_trimmed(dropped: usize, chars: usize) -> ReplyEvent {
    let messages = if dropped == 1 {
        "message was"
    } else {
        "messages were"
    };
    let message = format!(
        "The oldest {dropped} {messages} left out: a conversation may have {chars} characters."
    );
    ReplyEvent::Notice(Notice::new(NoticeCode::HistoryTrimmed, message))
}

/// Reads until there is a chunk: comments and parts of frames are no sign of life of the model's.
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

#[cfg(test)]
mod tests;
