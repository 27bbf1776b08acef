//! One answer of upstream's as it comes in: bytes in, chunks out, and what its end means.

use futures_util::StreamExt as _;

use super::{
    chunk::{Chunk, Progress},
    client::Body,
    dialect::chat_completions::Normalizer,
    fault::Fault,
    sse::Decoder,
};
use crate::event::ErrorCode;

/// An answer that is coming in.
#[derive(Debug)]
pub struct Reply {
    /// `None` once it has ended: awc panics if it is polled after that.
    body: Option<Body>,
    request_id: Option<String>,
    decoder: Decoder,
    normalizer: Normalizer,
    /// No byte has come.
    empty: bool,
}

impl Reply {
    pub(super) fn of(body: Body, request_id: Option<String>) -> Self {
        Self {
            body: Some(body),
            request_id,
            decoder: Decoder::default(),
            normalizer: Normalizer::default(),
            empty: true,
        }
    }

    /// Waits for one read of the connection and adds its chunks to `chunks`, those before a fault
    /// included. May add none: a read can end in mid-frame, or hold comments only.
    ///
    /// # Errors
    ///
    /// A [`Fault`], after which nothing more comes.
    pub async fn next(&mut self, chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        let Some(body) = &mut self.body else {
            return Ok(Progress::Ended);
        };
        let outcome = match body.next().await {
            Some(Ok(bytes)) => self.take(&bytes, chunks),
            Some(Err(cause)) => Err(Fault::new(ErrorCode::UpstreamTruncated, cause)),
            None => self.end(chunks),
        };
        if outcome != Ok(Progress::More) {
            self.body = None;
        }
        outcome.map_err(|fault| fault.with_request_id(self.request_id.as_deref()))
    }

    /// Upstream's correlation id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    fn take(&mut self, bytes: &[u8], chunks: &mut Vec<Chunk>) -> Result<Progress, Fault> {
        self.empty &= bytes.is_empty();
        let normalizer = &mut self.normalizer;
        let mut outcome = Ok(Progress::More);
        let decoded = self.decoder.push(bytes, |frame| {
            // What follows the end, or a fault, is not part of the reply.
            if outcome == Ok(Progress::More) {
                outcome = normalizer.read(&frame.event, &frame.data, chunks);
            }
        });
        if outcome == Ok(Progress::More)
            && let Err(too_long) = decoded
        {
            outcome = Err(Fault::new(
                ErrorCode::UpstreamProtocol,
                too_long.to_string(),
            ));
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
                // Cut in mid-frame: that it was cut is the fault, and not what is left of it.
                Err(fault) if fault.error.code == ErrorCode::UpstreamProtocol => {}
                Err(fault) => outcome = Err(fault),
                Ok(_) => {}
            }
        });
        if let Err(too_long) = decoded {
            outcome = Err(Fault::new(
                ErrorCode::UpstreamProtocol,
                too_long.to_string(),
            ));
        }
        self.flush_text(chunks);
        if !self.empty && !self.decoder.has_recognised() {
            let cause = "the body is not an event stream".to_owned();
            outcome = Err(Fault::new(ErrorCode::UpstreamProtocol, cause));
        }
        outcome
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

#[cfg(test)]
impl Reply {
    /// In the place of a part: nothing comes any more, and the connection stays open.
    pub(crate) const SILENCE: &'static [u8] = b"(silence)";

    /// An answer whose body is read in these parts.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        use futures_util::{FutureExt as _, future, stream};
        let parts: Vec<_> = parts.iter().map(|part| part.to_vec()).collect();
        let body = stream::iter(parts).then(|part| {
            if part == Self::SILENCE {
                future::pending().left_future()
            } else {
                future::ready(Ok(part.into())).right_future()
            }
        });
        Self::of(Body::new(body), None)
    }
}
