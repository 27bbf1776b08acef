//! Runs a generation to its `end`, whatever interrupts it.
//!
//! The work is a future. When something else ends the reply, the future is dropped, which closes the
//! connection to upstream.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use log::{info, warn};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{
    limits::Limits,
    opening::open,
    outcome::Outcome,
    run::{OnEnd, Run},
};
use crate::{
    chat::ChatRequest,
    event::{ErrorCode, Notice, NoticeCode, ReplyEvent, StopReason},
    store::{StopRequest, Writer},
    upstream::{Fault, Upstream},
};

/// Generates one reply. Resolves once its `end` is appended.
pub(super) async fn supervise(
    upstream: &Upstream,
    writer: Writer,
    request: (ChatRequest, Option<OwnedSemaphorePermit>),
    limits: &Limits,
    accepted: Instant,
    on_end: OnEnd,
) {
    let mut run = Run::new(writer, accepted, on_end);
    let interruption = interruption(&mut run, limits, async |run| {
        generate(upstream, run, request, limits).await
    })
    .await;
    run.end(interruption);
}

/// Drives `work` until it is done or something else ends the reply. Returns what ended the reply;
/// `None` if the work was done.
pub(super) async fn interruption<W>(run: &mut Run, limits: &Limits, work: W) -> Option<Outcome>
where
    W: AsyncFnOnce(&mut Run) -> Result<(), Fault>,
{
    let log = Arc::clone(run.log());
    let name = log.id().short();
    let deadline = run.accepted + limits.total;
    info!(reply = name.as_str(); "reply started");
    tokio::select! {
        biased;
        request = log.stop_requested() => Some(match request {
            StopRequest::Viewer => Outcome::Stopped(StopReason::Viewer),
            StopRequest::Shutdown => Outcome::failed(ErrorCode::ServerShutdown),
            // The log already has its end; the connection to upstream is closed all the same.
            StopRequest::FailedOver => Outcome::failed(ErrorCode::ProducerLost),
        }),
        () = log.unread_for(limits.idle_reader) => Some(Outcome::Stopped(StopReason::Unread)),
        () = sleep_until(deadline) => Some(Outcome::failed(ErrorCode::ReplyTimeout)),
        worked = AssertUnwindSafe(work(run)).catch_unwind() => match worked {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => {
                warn!(
                    reply = name.as_str(), code:% = fault.error.code,
                    request_id = fault.error.request_id.as_deref(), cause:% = fault.cause;
                    "upstream failed"
                );
                Some(Outcome::Failed(fault.error))
            }
            Err(_) => Some(Outcome::failed(ErrorCode::Internal)),
        },
    }
}

/// Asks upstream, and follows its response.
async fn generate(
    upstream: &Upstream,
    run: &mut Run,
    (mut request, memory): (ChatRequest, Option<OwnedSemaphorePermit>),
    limits: &Limits,
) -> Result<(), Fault> {
    let dropped = request.trim_history(limits.history_chars);
    if dropped > 0 {
        run.append(&[history_trimmed(dropped, limits.history_chars)])?;
    }
    run.prompt_tokens = upstream.prompt_tokens(&request);
    // Boxed, because this future is large, and would keep its memory for the life of the reply.
    let mut following = Box::pin(open(upstream, &request, run, limits)).await?;
    drop((request, memory));
    following.follow_to_end(run, limits).await
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
