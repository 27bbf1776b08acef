//! A response as it comes in: bytes to frames, frames to chunks, and what the end of the body means.
//!
//! Dropping a [`Reply`] closes its connection, which stops the generation upstream. This module knows
//! no dialect, and no time limit but one: how long a failure waits for its reason.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::{
    api::Api,
    chunk::{Chunk, Progress},
    client::Body,
    dialect::{Normalizer, error_object},
    fault::Fault,
    secrets::{RequestId, Secrets},
    sse::Decoder,
};
use crate::event::ErrorCode;

/// How long a failure that upstream has reported waits for its reason. Azure sends it at once.
const REASON_TIMEOUT: Duration = Duration::from_secs(3);

/// A response that is coming in.
#[derive(Debug)]
pub struct Reply {
    api: Api,
    /// `None` once it has ended: awc panics if it is polled after that.
    body: Option<Body>,
    request_id: Option<RequestId>,
    /// The wait that the head asks for: Azure's way to say that its 200 is a refusal.
    retry_after_ms: Option<u64>,
    decoder: Decoder,
    normalizer: Normalizer,
    received: Received,
    /// When to give up waiting for the reason of a failure.
    reason_deadline: Option<Instant>,
}

/// The most that is kept of a body that is no event stream. Stops a page that never ends from filling
/// the memory.
const MAX_OTHER_BODY_BYTES: usize = 64 * 1024;

/// What has come of the body.
#[derive(Debug)]
enum Received {
    Nothing,
    /// Bytes that are no event stream, so far.
    Other(Vec<u8>),
    EventStream,
}

impl Received {
    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Nothing if !bytes.is_empty() => *self = Self::Other(Vec::new()),
            _ => {}
        }
        if let Self::Other(body) = self {
            let room = MAX_OTHER_BODY_BYTES - body.len();
            body.extend(bytes.iter().take(room));
        }
    }
}

impl Reply {
    pub(super) fn new(
        api: Api,
        body: Body,
        request_id: Option<RequestId>,
        secrets: Secrets,
    ) -> Self {
        let normalizer = Normalizer::new(api, secrets);
        Self {
            api,
            body: Some(body),
            request_id,
            retry_after_ms: None,
            decoder: normalizer.decoder(),
            normalizer,
            received: Received::Nothing,
            reason_deadline: None,
        }
    }

    /// Keeps the wait that the response's head asks for, in case its stream is a refusal.
    pub(super) const fn with_wait(mut self, retry_after_ms: Option<u64>) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    /// The API over which it comes.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// Waits for the next transfer chunk of HTTP and adds its chunks to `chunks`, those before a
    /// fault included. It may add none: a transfer chunk can hold part of a frame, or comments only.
    /// Azure sends one frame in each.
    ///
    /// # Errors
    ///
    /// A [`Fault`], after which nothing more comes.
    pub async fn next(&mut self, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let Some(body) = &mut self.body else {
            return Ok(Progress::Ended);
        };
        let next = match self.reason_deadline {
            None => body.next().await,
            // In a box: every reply would have room for this rare timer.
            Some(deadline) => {
                let next = Box::pin(timeout_at(deadline, body.next()));
                next.await.unwrap_or(None)
            }
        };
        let mut outcome = match next {
            Some(Ok(bytes)) => self.take(&bytes, chunks),
            Some(Err(cause)) => Err(Fault::new(ErrorCode::UpstreamTruncated, cause)),
            None => self.end(chunks),
        };
        if outcome == Ok(Progress::Ended)
            && let Some(fault) = self.normalizer.not_understood()
        {
            outcome = Err(fault);
        }
        if let Some(failure) = self.normalizer.failure() {
            match outcome {
                Ok(Progress::More) => {
                    self.reason_deadline
                        .get_or_insert_with(|| Instant::now() + REASON_TIMEOUT);
                }
                // Whatever ended the response, it had failed before.
                Ok(Progress::Ended) => outcome = Err(failure),
                Err(ref fault) if fault.error.code == ErrorCode::UpstreamTruncated => {
                    outcome = Err(failure);
                }
                Err(_) => {}
            }
        }
        if outcome != Ok(Progress::More) {
            self.body = None;
        }
        outcome.map_err(|fault| {
            fault
                .with_request_id(self.request_id.as_ref())
                .with_wait(self.retry_after_ms)
        })
    }

    /// Upstream's id for the request.
    #[must_use]
    pub const fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    fn take(&mut self, bytes: &[u8], chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let normalizer = &mut self.normalizer;
        let mut outcome = Ok(Progress::More);
        let decoded = self.decoder.push(bytes, |frame| {
            // Frames after the end, or after a fault, are not part of the reply.
            if outcome == Ok(Progress::More) {
                outcome = normalizer.read(&frame.event, &frame.data, chunks);
            }
        });
        if outcome == Ok(Progress::More) && decoded.is_err() {
            outcome = Err(frame_too_long());
        }
        if self.decoder.has_recognized() {
            self.received = Received::EventStream;
        } else {
            self.received.add(bytes);
        }
        if outcome != Ok(Progress::More) {
            self.flush_text(chunks);
        }
        outcome
    }

    fn end(&mut self, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let normalizer = &mut self.normalizer;
        let mut outcome = Ok(Progress::Ended);
        let decoded = self.decoder.finish(|frame| {
            match normalizer.read(&frame.event, &frame.data, chunks) {
                // The body was cut inside a frame. The cut is the fault, not what is left of the
                // frame.
                Err(fault) if fault.error.code == ErrorCode::UpstreamProtocol => {}
                Err(fault) => outcome = Err(fault),
                Ok(_) => {}
            }
        });
        if decoded.is_err() {
            outcome = Err(frame_too_long());
        }
        self.flush_text(chunks);
        match &self.received {
            Received::Other(body) if !self.decoder.has_recognized() => Err(not_a_stream(body)),
            _ => outcome,
        }
    }

    fn flush_text(&mut self, chunks: &mut Vec<Chunk>) {
        if let Some(text) = self.normalizer.finish() {
            chunks.push(Chunk {
                text: Some(text),
                ..Chunk::default()
            });
        }
    }
}

/// The fault of a body under 200 that is no event stream: some servers refuse so.
fn not_a_stream(body: &[u8]) -> Fault {
    let error = std::str::from_utf8(body)
        .ok()
        .and_then(error_object::disguised);
    error.unwrap_or_else(|| {
        let cause = "the body is not an event stream";
        Fault::new(ErrorCode::UpstreamProtocol, cause)
    })
}

fn frame_too_long() -> Fault {
    Fault::new(
        ErrorCode::UpstreamProtocol,
        "a line or frame of the event stream is longer than 1 MiB",
    )
}

#[cfg(test)]
impl Reply {
    /// In place of a part: nothing more comes, and the connection stays open.
    pub(crate) const SILENCE: &'static [u8] = b"(silence)";

    /// A response whose body comes in these parts.
    pub(crate) fn of_parts(api: Api, parts: &[&[u8]]) -> Self {
        let parts: Vec<_> = parts.iter().map(|part| (Duration::ZERO, *part)).collect();
        Self::of_timed_parts(api, &parts)
    }

    /// A response whose body comes in these parts, each after a wait.
    pub(crate) fn of_timed_parts(api: Api, parts: &[(Duration, &[u8])]) -> Self {
        let parts: Vec<_> = parts
            .iter()
            .map(|(wait, part)| (*wait, part.to_vec()))
            .collect();
        let body = futures_util::stream::iter(parts).then(async |(wait, part)| {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if part == Self::SILENCE {
                std::future::pending::<()>().await;
            }
            Ok(part.into())
        });
        Self::new(api, Body::new(body), None, Secrets::default())
    }
}
