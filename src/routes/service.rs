//! What the handlers of all workers share.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{body::Bodies, problem::Problem, snapshot::Snapshots};
use crate::{
    generation::Limits,
    guard::{Caller, Guard},
    shutdown::DrainSignal,
    store::{Log, Store},
};

/// What the handlers of all workers share.
#[derive(Clone, Debug)]
pub struct Service {
    /// Where replies are kept.
    pub store: Store,
    /// What requests are checked against.
    pub guard: Arc<Guard>,
    /// How long and how large a reply may be.
    pub limits: Limits,
    /// A viewer gets a ping after this much silence.
    pub ping: Duration,
    /// The memory for the bodies of requests.
    pub bodies: Bodies,
    /// The memory for the texts of snapshots.
    pub snapshots: Snapshots,
    /// Who generates the replies.
    pub provider: Provider,
    /// Tells streams whose clients resume by themselves to leave for another replica.
    pub drain: DrainSignal,
}

/// Who generates the replies. The page warns when it is the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The built-in simulator.
    Simulator,
    /// Azure OpenAI.
    Azure,
    /// Any other server that speaks OpenAI's API.
    Compatible,
}

impl Provider {
    /// The name in `/readyz` and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Azure => "azure",
            Self::Compatible => "compatible",
        }
    }
}

impl Service {
    /// The log of the reply that a path names, for a caller.
    ///
    /// # Errors
    ///
    /// The [`Problem`] to answer with if the reply does not exist or is another caller's, which looks the
    /// same, or if that is unknown at the moment.
    pub(super) async fn log(&self, id: &str, caller: &Caller) -> Result<Log, Problem> {
        let id = id.parse().map_err(|_| Problem::reply_not_found())?;
        self.store
            .find(id)
            .await?
            .filter(|log| log.owner().admits(caller.owner()))
            .ok_or_else(Problem::reply_not_found)
    }
}
