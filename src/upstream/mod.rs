//! Towards Azure OpenAI: a conversation in, the chunks of a reply out, as they come.
//!
//! ```text
//! azure: one request ──▶ bytes ──▶ sse: Frame ──▶ chunk: Chunk ──▶ generation
//!                  └──▶ a refusal ──▶ fault: Fault ──────────────────▶
//! ```
//!
//! A reply is dropped to stop it: that closes its connection at once. This module knows nothing of
//! logs or viewers. It gives up only on what upstream does; time limits after the head of the answer
//! are the generation's.

mod azure;
pub mod chunk;
mod circuit;
pub mod fault;
mod lessons;
pub mod sse;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use log::warn;
use tokio::time::Instant;

use self::{
    azure::{Azure, Body},
    chunk::Normaliser,
    circuit::{Circuit, Open},
    lessons::Lessons,
    sse::Decoder,
};
pub use self::{
    chunk::{Chunk, Progress},
    fault::Fault,
};
use crate::{
    chat::ChatRequest,
    config::{DeploymentConfig, ModelConfig},
    event::{ErrorCode, Notice, NoticeCode},
};

/// TLS settings to share between workers, so that they share its session cache.
pub use self::azure::Tls;

/// How often a reply may wait and ask again. As the official clients have it.
const MAX_RETRIES: u32 = 2;
/// A longer wait is not waited for. As the official clients have it.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// What is known of the deployments, in their order. Shared by all workers; cheap to clone.
#[derive(Clone, Debug)]
pub struct Experience(Arc<[(Circuit, Arc<Lessons>)]>);

impl Experience {
    /// Nothing is known yet of so many deployments.
    #[must_use]
    pub fn new(deployments: usize) -> Self {
        Self((0..deployments).map(|_| Default::default()).collect())
    }
}

/// Who answers. One a worker, since an HTTP client cannot be shared between threads.
#[derive(Debug)]
pub struct Upstream {
    deployments: Vec<Azure>,
    experience: Experience,
}

/// Why no deployment answered in one round, and when to ask again.
struct Refused {
    fault: Fault,
    until: Instant,
}

impl Upstream {
    /// Prepares a client for each deployment; `experience` is made for as many.
    #[must_use]
    pub fn new(
        deployments: &[DeploymentConfig],
        model: &ModelConfig,
        tls: &Tls,
        experience: Experience,
    ) -> Self {
        let deployments = deployments
            .iter()
            .zip(experience.0.iter())
            .map(|(deployment, (_, lessons))| Azure::new(deployment, model, tls, lessons.clone()))
            .collect();
        Self {
            deployments,
            experience,
        }
    }

    /// Asks for a reply, and resolves when a deployment has begun to answer.
    ///
    /// Busy and unreachable deployments are passed over for the next one in order. If there is
    /// none, it waits and asks again, twice at the most and not beyond `deadline`; each wait is
    /// told to `notify` first. All this is before the first token: nothing is paid or shown twice.
    ///
    /// # Errors
    ///
    /// The last [`Fault`], or the first that asking again cannot mend; or what `notify` returns.
    pub async fn open(
        &self,
        request: &ChatRequest,
        deadline: Instant,
        mut notify: impl AsyncFnMut(Notice) -> Result<(), Fault>,
    ) -> Result<Reply, Fault> {
        let mut retries = 0;
        loop {
            let refused = match self.ask_each(request, &mut notify).await? {
                Ok(reply) => return Ok(reply),
                Err(refused) => refused,
            };
            let wait = refused.until.saturating_duration_since(Instant::now());
            if retries == MAX_RETRIES || wait > MAX_WAIT || refused.until > deadline {
                return Err(refused.fault);
            }
            retries += 1;
            notify(retrying(wait, retries + 1)).await?;
            tokio::time::sleep_until(refused.until).await;
        }
    }

    /// One round over the deployments, in order.
    async fn ask_each(
        &self,
        request: &ChatRequest,
        notify: &mut impl AsyncFnMut(Notice) -> Result<(), Fault>,
    ) -> Result<Result<Reply, Refused>, Fault> {
        let mut refused: Option<Refused> = None;
        for (deployment, (circuit, _)) in self.deployments.iter().zip(self.experience.0.iter()) {
            let this = match circuit.admit() {
                Err(open) => Refused {
                    fault: still_open(open),
                    until: open.until,
                },
                Ok(()) => {
                    if refused.is_some() {
                        notify(other_deployment()).await?;
                    }
                    match deployment.post(request).await {
                        Ok((body, request_id)) => {
                            circuit.close();
                            return Ok(Ok(Reply::of(body, request_id)));
                        }
                        Err(fault) if is_worth_another_try(fault.error.code) => {
                            let asked = fault.error.retry_after_ms.map(Duration::from_millis);
                            let open = circuit.open(fault.error.code, asked);
                            warn!(
                                code:% = fault.error.code, cause = fault.cause.as_str();
                                "a deployment is left alone for a while"
                            );
                            // How long we wait is another matter than how long it rests.
                            let until = asked.map_or(open.until, |asked| Instant::now() + asked);
                            Refused { fault, until }
                        }
                        Err(fault) => {
                            // It answered: whatever is wrong, load is not.
                            circuit.close();
                            return Err(fault);
                        }
                    }
                }
            };
            // The first that can be asked again decides how long to wait.
            refused = match refused {
                Some(earlier) if earlier.until <= this.until => Some(earlier),
                _ => Some(this),
            };
        }
        refused.map(Err).ok_or_else(|| {
            Fault::new(
                ErrorCode::Internal,
                "no deployment is configured".to_owned(),
            )
        })
    }
}

/// Load and connections: what another moment or another deployment may mend.
const fn is_worth_another_try(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RateLimited | ErrorCode::UpstreamUnavailable
    )
}

/// The fault of a deployment that was not asked, since it failed a moment ago.
fn still_open(open: Open) -> Fault {
    let wait = open.until.saturating_duration_since(Instant::now());
    let mut fault = Fault::new(open.code, "left alone after a failure".to_owned());
    fault.error.retry_after_ms = u64::try_from(wait.as_millis()).ok();
    fault
}

fn retrying(wait: Duration, attempt: u32) -> Notice {
    let message = "The model's service is busy or cannot be reached; it is asked again.".to_owned();
    Notice {
        retry_after_ms: u64::try_from(wait.as_millis()).ok(),
        attempt: Some(attempt),
        ..Notice::new(NoticeCode::Retrying, message)
    }
}

fn other_deployment() -> Notice {
    let message = "One deployment is busy or cannot be reached; another one is asked.".to_owned();
    Notice::new(NoticeCode::OtherDeployment, message)
}

/// An answer that is coming in.
#[derive(Debug)]
pub struct Reply {
    /// `None` once it has ended: awc panics if it is polled after that.
    body: Option<Body>,
    request_id: Option<String>,
    decoder: Decoder,
    normaliser: Normaliser,
    /// No byte has come.
    empty: bool,
}

impl Reply {
    fn of(body: Body, request_id: Option<String>) -> Self {
        Self {
            body: Some(body),
            request_id,
            decoder: Decoder::default(),
            normaliser: Normaliser::default(),
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
        let normaliser = &mut self.normaliser;
        let mut outcome = Ok(Progress::More);
        let decoded = self.decoder.push(bytes, |frame| {
            // What follows the end, or a fault, is not part of the reply.
            if outcome == Ok(Progress::More) {
                outcome = normaliser.read(&frame.event, &frame.data, chunks);
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
        let normaliser = &mut self.normaliser;
        let mut outcome = Ok(Progress::Ended);
        self.decoder.finish(|frame| {
            match normaliser.read(&frame.event, &frame.data, chunks) {
                // Cut in mid-frame: that it was cut is the fault, and not what is left of it.
                Err(fault) if fault.error.code == ErrorCode::UpstreamProtocol => {}
                Err(fault) => outcome = Err(fault),
                Ok(_) => {}
            }
        });
        self.flush_text(chunks);
        if !self.empty && !self.decoder.has_recognised() {
            let cause = "the body is not an event stream".to_owned();
            outcome = Err(Fault::new(ErrorCode::UpstreamProtocol, cause));
        }
        outcome
    }

    fn flush_text(&mut self, chunks: &mut Vec<Chunk>) {
        if let Some(text) = self.normaliser.finish() {
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
