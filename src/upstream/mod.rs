//! Towards Azure OpenAI: a conversation in, the chunks of a reply out, as they come.
//!
//! ```text
//! azure: one request ──▶ bytes ──▶ sse: Frame ──▶ chunk: Chunk ──▶ generation
//!                  └──▶ a refusal ──▶ fault: Fault ──────────────────▶
//! ```
//!
//! auth: whom Azure takes us for, where that is not a key.
//!
//! A reply is dropped to stop it: that closes its connection at once. This module knows nothing of
//! logs or viewers. It gives up only on what upstream does; time limits after the head of the answer
//! are the generation's.

mod auth;
mod capabilities;
pub mod chunk;
mod circuit;
mod client;
mod deployment;
mod diagnosis;
pub mod dialect;
pub mod endpoint;
pub mod fault;
mod options;
mod reply;
pub mod sse;

use std::{sync::Arc, time::Duration};

use log::warn;
use tokio::time::Instant;

pub use self::{
    auth::Identity,
    capabilities::Field,
    chunk::{Chunk, Progress},
    diagnosis::Diagnosis,
    fault::Fault,
    options::{Credential, DeploymentOptions, IdentityOptions, IdentitySource, ModelOptions},
    reply::Reply,
};
use self::{
    capabilities::Lessons,
    circuit::{Circuit, Open},
    deployment::Deployment,
};
use crate::{
    chat::ChatRequest,
    event::{ErrorCode, Notice, NoticeCode},
};

/// TLS settings to share between workers, so that they share its session cache.
pub use self::client::Tls;

/// How often a reply may wait and ask again. As the official clients have it.
const MAX_RETRIES: u32 = 2;
/// Longer than this a reply does not wait for a deployment. As the official clients have it.
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
    deployments: Vec<Deployment>,
    experience: Experience,
}

/// Why no deployment answered in one round, and when to ask again.
struct Refused {
    fault: Fault,
    until: Instant,
    /// Whether any was asked at all; to wait for one that rests is no attempt.
    asked: bool,
}

impl Upstream {
    /// Prepares a client for each deployment; `experience` is made for as many.
    #[must_use]
    pub fn new(
        deployments: &[DeploymentOptions],
        model: &ModelOptions,
        tls: &Tls,
        experience: Experience,
        identity: Option<&Identity>,
    ) -> Self {
        let deployments = deployments
            .iter()
            .zip(experience.0.iter())
            .map(|(deployment, (_, lessons))| {
                Deployment::new(deployment, model, tls, lessons.clone(), identity)
            })
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
        let begun = Instant::now();
        let (mut retries, mut told) = (0, false);
        loop {
            let refused = match self.ask_each(request, &mut notify).await? {
                Ok(reply) => return Ok(reply),
                Err(refused) => refused,
            };
            let given_up = refused.asked && retries == MAX_RETRIES;
            if given_up || refused.until > deadline || refused.until > begun + MAX_WAIT {
                return Err(refused.fault);
            }
            retries += u32::from(refused.asked);
            // While others try whether a deployment is back, there is nothing new to tell.
            if refused.asked || !told {
                let wait = refused.until.saturating_duration_since(Instant::now());
                notify(retrying(wait, retries + 1)).await?;
            }
            told = true;
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
                    asked: false,
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
                            Refused {
                                fault,
                                until,
                                asked: true,
                            }
                        }
                        Err(fault) => {
                            if fault.error.code == ErrorCode::UpstreamTimeout {
                                // A reply has waited long enough; the next ones need not.
                                circuit.open(fault.error.code, None);
                            } else {
                                // It answered: whatever is wrong, load is not.
                                circuit.close();
                            }
                            return Err(fault);
                        }
                    }
                }
            };
            // The first that can be asked again decides how long to wait.
            refused = Some(match refused {
                None => this,
                Some(earlier) => {
                    let asked = earlier.asked || this.asked;
                    let first = if earlier.until <= this.until {
                        earlier
                    } else {
                        this
                    };
                    Refused { asked, ..first }
                }
            });
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
