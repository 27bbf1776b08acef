//! Upstream's options: the deployments, what every request to them has in common, and the identity
//! that signs in to Microsoft Entra ID.

use std::{fmt, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{api::Api, endpoint::Endpoint};

/// One deployment and the credential for it.
#[derive(Clone, Debug)]
pub struct DeploymentOptions {
    /// Where the deployment is.
    pub endpoint: Endpoint,
    /// What authorizes the requests.
    pub credential: Credential,
    /// The API to ask by; `None` for the one that answers.
    pub api: Option<Api>,
}

/// What authorizes requests to a deployment.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A key of visible ASCII characters.
    Key(SecretString),
    /// A token of Microsoft Entra ID.
    Entra,
    /// Nothing.
    None,
}

impl Credential {
    /// The key, if that is the credential.
    #[must_use]
    pub const fn key(&self) -> Option<&SecretString> {
        match self {
            Self::Key(key) => Some(key),
            Self::Entra | Self::None => None,
        }
    }

    /// Whether requests carry a token of Microsoft Entra ID.
    #[must_use]
    pub const fn is_entra(&self) -> bool {
        matches!(self, Self::Entra)
    }
}

/// What every request to a model has in common.
#[derive(Clone)]
pub struct ModelOptions {
    /// The system prompt; empty for none.
    pub system_prompt: String,
    /// `max_completion_tokens`; `None` leaves it to the model, as for the two below.
    pub max_output_tokens: Option<u64>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `reasoning_effort`.
    pub reasoning_effort: Option<String>,
    /// `reasoning.summary` of the Responses API; `None` asks for no summary.
    pub reasoning_summary: Option<ReasoningSummary>,
    /// How long upstream may take to send the head of its response.
    pub first_byte: Duration,
}

/// How much the model reports of its reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningSummary {
    /// As much as the model can.
    Auto,
    /// The short form.
    Concise,
    /// The long form.
    Detailed,
}

impl ReasoningSummary {
    /// The API's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Concise => "concise",
            Self::Detailed => "detailed",
        }
    }
}

/// Leaves the system prompt out: prompts never reach a log.
impl fmt::Debug for ModelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelOptions").finish_non_exhaustive()
    }
}

/// How to obtain tokens of Microsoft Entra ID.
#[derive(Clone, Debug)]
pub struct IdentityOptions {
    /// Who signs in.
    pub source: IdentitySource,
    /// The scope of the tokens; it ends in `/.default`.
    pub scope: String,
    /// The base URL of Entra itself, with `https`.
    pub authority: String,
}

/// Who signs in to Microsoft Entra ID.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// A Kubernetes service account that is federated with an application.
    Workload {
        /// The tenant's id.
        tenant: String,
        /// The application's id.
        client: String,
        /// The file in which Kubernetes keeps the service account's current token.
        file: PathBuf,
    },
    /// An application with a secret.
    Secret {
        /// The tenant's id.
        tenant: String,
        /// The application's id.
        client: String,
        /// The application's secret.
        secret: SecretString,
    },
    /// The machine's managed identity, else the account that is signed in to the Azure CLI.
    Machine {
        /// Which of the machine's managed identities; `None` for the system-assigned one.
        client: Option<String>,
    },
}
