//! The state of one generation: its log, its phase, and the figures for its `end`.

use std::{fmt, sync::Arc, time::Duration};

use log::info;
use tokio::time::Instant;

use super::{outcome::Outcome, phase::Phase};
use crate::{
    event::{
        End, ErrorCode, Estimate, FinishReason, Notice, NoticeCode, ReplyEvent, Status, Timing,
        TokenUsage, Usage,
    },
    metrics::{self, Ended, Gaps},
    store::{AppendError, LocalLog, Writer},
    tokens::TokenEstimate,
    upstream::Fault,
};

/// What is done with the `end` before any viewer sees it. If a reply has none because it was not started,
/// this is dropped.
pub struct OnEnd(pub Box<dyn FnOnce(&End)>);

impl fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEnd")
    }
}

#[cfg(test)]
impl OnEnd {
    pub(super) fn nothing() -> Self {
        Self(Box::new(|_| {}))
    }
}

/// The state of one generation.
#[derive(Debug)]
pub(super) struct Run {
    writer: Writer,
    on_end: OnEnd,
    /// When the POST was accepted.
    pub(super) accepted: Instant,
    /// Changes once the events that lead to it are in the log.
    pub(super) phase: Phase,
    /// The number of deltas in the text.
    pub(super) deltas: u64,
    /// The bytes of reasoning that came, shown or not.
    pub(super) reasoning_bytes: u64,
    /// The time from the acceptance to the first delta.
    pub(super) first_delta: Option<Duration>,
    /// Boxed, because it is large, and a reply may wait long for its first delta.
    pub(super) gaps: Option<Box<Gaps>>,
    /// The model's version.
    pub(super) model: Option<String>,
    /// Upstream's own counts.
    pub(super) usage: Option<Usage>,
    /// An estimate of the request's tokens.
    pub(super) prompt_tokens: u64,
    /// An estimate of the answer's tokens: all text that came, also what was retracted later, and all
    /// reasoning, shown or not.
    pub(super) completion: TokenEstimate,
}

impl Run {
    pub(super) fn new(writer: Writer, accepted: Instant, on_end: OnEnd) -> Self {
        Self {
            writer,
            on_end,
            accepted,
            phase: Phase::Opening,
            deltas: 0,
            reasoning_bytes: 0,
            first_delta: None,
            gaps: None,
            model: None,
            usage: None,
            prompt_tokens: 0,
            completion: TokenEstimate::default(),
        }
    }

    /// The log that is written.
    pub(super) const fn log(&self) -> &Arc<LocalLog> {
        self.writer.log()
    }

    /// How many bytes of text there are.
    pub(super) fn text_bytes(&self) -> u64 {
        self.writer.transcript().bytes()
    }

    /// Appends events to the log; `events` may be empty.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `too_long` if the log is full, or `internal` if it has its `end` already.
    /// Then none of the events is in the log.
    pub(super) fn append(&mut self, events: &[ReplyEvent]) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        self.writer.append(events).map_err(|error| match error {
            AppendError::Full => Fault::new(ErrorCode::TooLong, "the log of the reply is full"),
            AppendError::Ended => {
                Fault::new(ErrorCode::Internal, "the log of the reply has its end")
            }
        })
    }

    /// Returns to the phase before the response, of which nothing is in the log.
    pub(super) fn reopen(&mut self) {
        self.phase = Phase::Opening;
        self.reasoning_bytes = 0;
        self.model = None;
        self.usage = None;
    }

    /// Appends the `end`. `interruption` is what ended the reply, if it did not complete.
    pub(super) fn end(mut self, interruption: Option<Outcome>) {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let outcome = self.outcome(interruption);
        if matches!(outcome, Outcome::Completed) && self.text_bytes() == 0 {
            // A log that is full has no room for it. Its end says as much: no bytes.
            let _ = self.append(&[empty_reply()]);
        }
        let usage = self.usage(&outcome);
        let (status, reason, error) = match outcome {
            Outcome::Completed => (Status::Completed, None, None),
            Outcome::Stopped(reason) => (Status::Stopped, Some(reason), None),
            Outcome::Failed(error) => (Status::Failed, None, Some(error)),
        };
        let transcript = self.writer.transcript();
        let end = End {
            status,
            finish_reason: self.phase.finish_reason(),
            reason,
            model: self.model,
            usage,
            bytes: transcript.bytes(),
            sha256: transcript.sha256(),
            ms: Timing {
                first: self.first_delta.map(ms),
                total: ms(self.accepted.elapsed()),
            },
            error,
        };
        info!(
            reply = self.writer.log().id().short().as_str(), status:% = end.status,
            error = end.error.as_ref().map(|error| error.code.to_string()).as_deref(),
            bytes = end.bytes, deltas = self.deltas,
            first_ms = end.ms.first, total_ms = end.ms.total;
            "reply ended"
        );
        metrics::ended(Ended {
            status: &end.status.to_string(),
            code: &end
                .error
                .as_ref()
                .map(|error| error.code.to_string())
                .unwrap_or_default(),
            first: self.first_delta,
            total: self.accepted.elapsed(),
            tokens: end
                .usage
                .as_ref()
                .map(|usage| (usage.prompt_tokens(), usage.completion_tokens())),
        });
        (self.on_end.0)(&end);
        self.writer.end(end);
    }

    /// Upstream's counts, else an estimate; none where upstream failed before a word, because what was
    /// read of the request is not known then.
    fn usage(&self, outcome: &Outcome) -> Option<TokenUsage> {
        if let Some(usage) = &self.usage {
            return Some(TokenUsage::Reported(usage.clone()));
        }
        let completion = self.completion.tokens();
        let nothing_is_known = self.phase == Phase::Opening
            || completion == 0 && matches!(outcome, Outcome::Failed(_));
        (!nothing_is_known)
            .then(|| TokenUsage::Estimated(Estimate::new(self.prompt_tokens, completion)))
    }

    /// Once the model has finished, the text is complete, and an interruption is no failure.
    fn outcome(&self, interruption: Option<Outcome>) -> Outcome {
        match (self.phase.finish_reason(), interruption) {
            (Some(FinishReason::ContentFilter), _) => Outcome::failed(ErrorCode::ReplyFiltered),
            (Some(_), _) => Outcome::Completed,
            (None, Some(outcome)) => outcome,
            // A bug: work that succeeds leaves a finish reason.
            (None, None) => Outcome::failed(ErrorCode::Internal),
        }
    }
}

fn empty_reply() -> ReplyEvent {
    let message = "The model has finished without any text.".to_owned();
    ReplyEvent::Notice(Notice::new(NoticeCode::EmptyReply, message))
}
