//! Who generates the replies: the configured deployments, or a simulator that is started for them.

use secrecy::SecretString;
use uuid::Uuid;

use super::error::StartError;
use crate::{
    config::UpstreamConfig,
    routes::Provider,
    simulator::{Options, Simulator},
    upstream::{
        Credential, DeploymentOptions,
        endpoint::{self, EndpointKind},
    },
};

/// Who generates the replies.
pub(super) struct Backend {
    pub(super) provider: Provider,
    /// In the order in which to ask them.
    pub(super) deployments: Vec<DeploymentOptions>,
    /// Runs until it is dropped.
    pub(super) simulator: Option<Simulator>,
}

impl Backend {
    /// Starts the simulator if nothing else is configured.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the simulator cannot be started.
    pub(super) async fn start(config: &UpstreamConfig) -> Result<Self, StartError> {
        match config {
            UpstreamConfig::Deployments(deployments) => {
                let azure = deployments
                    .iter()
                    .any(|deployment| deployment.endpoint.kind == EndpointKind::Azure);
                Ok(Self {
                    provider: if azure {
                        Provider::Azure
                    } else {
                        Provider::Compatible
                    },
                    deployments: deployments.clone(),
                    simulator: None,
                })
            }
            UpstreamConfig::Simulator => simulated().await,
        }
    }
}

async fn simulated() -> Result<Backend, StartError> {
    // A random key, so that no other program on this machine can use the simulator.
    let key = Uuid::new_v4().to_string();
    let options = Options {
        key: Some(key.clone()),
        ..Options::default()
    };
    let simulator = Simulator::start(options)
        .await
        .map_err(StartError::Simulator)?;
    let endpoint = endpoint::resolve(&simulator.url(), Some("simulator"), None)?;
    let deployment = DeploymentOptions {
        endpoint,
        credential: Credential::Key(SecretString::from(key)),
        api: None,
    };
    Ok(Backend {
        provider: Provider::Simulator,
        deployments: vec![deployment],
        simulator: Some(simulator),
    })
}
