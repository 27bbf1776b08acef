//! Towards Azure OpenAI: a conversation out, the chunks of a reply in.
//!
//! ```text
//! deployment: request ─▶ client ─▶ Azure OpenAI
//!                          │
//!                          ├─▶ status 200 ─▶ reply: bytes ─▶ sse: Frame ─▶ dialect: Chunk ─▶ generation
//!                          └─▶ anything else ─▶ fault: Fault ─▶ attempt: Attempt ─▶ generation
//! ```
//!
//! Each [`Deployment`] is asked once and returns an [`Attempt`]. The caller decides
//! whether to ask another one, to wait, or to give up, and it sets the time limits that follow the
//! response's head. Dropping a [`Reply`] closes its connection and so stops it.
//!
//! No text from upstream leaves this module except the reply itself, the model's name and the request
//! id. [`fault`] and [`secrets`] explain how the types ensure that.

mod api;
mod attempt;
mod auth;
mod capabilities;
pub mod cause;
pub mod chunk;
mod circuit;
mod client;
mod deployment;
mod diagnosis;
pub mod dialect;
pub mod endpoint;
pub mod fault;
mod long_strings;
mod options;
mod reply;
pub mod secrets;
pub mod sse;
mod transport;
pub mod word;

use std::sync::Arc;

use self::deployment::DeploymentState;
pub use self::{
    api::Api,
    attempt::{Attempt, Busy, Contact},
    auth::Identity,
    capabilities::Field,
    cause::Cause,
    chunk::{Chunk, Progress},
    circuit::CircuitOpen,
    deployment::{Deployment, Permit},
    diagnosis::Diagnosis,
    fault::Fault,
    options::{
        Credential, DeploymentOptions, IdentityOptions, IdentitySource, ModelOptions,
        ReasoningSummary,
    },
    reply::Reply,
    transport::{
        CaCertificates, CaError, Network, NetworkOptions, NoProxy, Proxies, Proxy, ProxyError,
        is_this_machine,
    },
};
use crate::{chat::ChatRequest, tokens};

/// What upstream adds to each message: its role, and where it begins and ends.
const MESSAGE_TOKENS: u64 = 4;

/// What is known of each deployment, in their order: circuits and capabilities. All workers share it;
/// a clone is the same state.
#[derive(Clone, Debug)]
pub struct DeploymentStates(Arc<[Arc<DeploymentState>]>);

impl DeploymentStates {
    /// Makes the states of `count` deployments of which nothing is known yet.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| Arc::default()).collect())
    }
}

/// The deployments, with this thread's HTTP client for each. Each worker has one of these.
#[derive(Debug)]
pub struct Upstream {
    deployments: Vec<Deployment>,
    /// An estimate of what the system prompt adds to every request.
    system_tokens: u64,
}

impl Upstream {
    /// Prepares a client for each deployment; `states` has one for each.
    #[must_use]
    pub fn new(
        deployments: &[DeploymentOptions],
        model: &ModelOptions,
        network: &Network,
        states: &DeploymentStates,
        identity: Option<&Identity>,
    ) -> Self {
        let deployments = deployments
            .iter()
            .zip(states.0.iter())
            .map(|(options, state)| {
                Deployment::new(options, model, network, Arc::clone(state), identity)
            })
            .collect();
        Self {
            deployments,
            system_tokens: match model.system_prompt.as_str() {
                "" => 0,
                prompt => MESSAGE_TOKENS + tokens::estimate(prompt),
            },
        }
    }

    /// Estimates how many tokens upstream reads for a conversation, the system prompt included.
    #[must_use]
    pub fn prompt_tokens(&self, request: &ChatRequest) -> u64 {
        let messages = request.messages().iter();
        self.system_tokens
            + messages
                .map(|message| MESSAGE_TOKENS + tokens::estimate(&message.content))
                .sum::<u64>()
    }

    /// The deployments, in the order in which to ask them.
    #[must_use]
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }
}
