//! Where a token comes from: one of azure_identity's credentials, made anew for every token.
//!
//! A credential keeps its token until five minutes before its end, even if that token was refused;
//! here the cache keeps it instead. A failure becomes a fault that names the source, the reason and a
//! remedy. This module neither stores nor waits.

use std::{env, fmt, sync::Arc, time::Duration};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, HttpClient, Method, Request, Transport, Url},
    time::OffsetDateTime,
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, Executor, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    bridge::LastFailure,
    failure::{recognized, sources_failed},
};
use crate::upstream::{
    cause::TokenReason,
    fault::Fault,
    options::{IdentityOptions, IdentitySource},
};

/// What azure_identity makes its requests with.
pub(super) type Http = Arc<dyn HttpClient>;

/// The metadata service of Azure's machines.
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// The metadata service responds at once where there is one; elsewhere nothing responds at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Azure CLI starts slowly, and can wait for the network.
const CLI_TIMEOUT: Duration = Duration::from_secs(20);
/// A platform with managed identities of its own sets one of these variables.
const PLATFORMS: [&str; 2] = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"];

const WORKLOAD: &str = "workload identity (AZURE_FEDERATED_TOKEN_FILE)";
const SECRET: &str = "the client secret (AZURE_CLIENT_SECRET)";
const MACHINE: &str = "the machine's managed identity";
const PLATFORM: &str = "the platform's managed identity";
const CLI: &str = "Azure CLI";

/// What to do about a source that does not respond.
pub(super) const CHECK_NETWORK: &str = "check the network between this machine and it";

/// The name of a source in messages.
pub(super) const fn name(source: &IdentitySource) -> &'static str {
    match source {
        IdentitySource::Workload { .. } => WORKLOAD,
        IdentitySource::Secret { .. } => SECRET,
        IdentitySource::Machine { .. } => MACHINE,
    }
}

/// One source of tokens.
pub(super) struct Source {
    options: IdentityOptions,
    pub(super) http: Http,
    last_failure: LastFailure,
    /// Runs Azure CLI; `None` for azure_identity's own executor.
    pub(super) executor: Option<Arc<dyn Executor>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

type Fetched = Result<(SecretString, Duration), Fault>;

impl Source {
    pub(super) fn new(options: IdentityOptions, http: Http, last_failure: LastFailure) -> Self {
        Self {
            options,
            http,
            last_failure,
            executor: None,
        }
    }

    /// Fetches one token. Returns its value and how long it is valid.
    ///
    /// # Errors
    ///
    /// A [`Fault`] that names the source, the reason and a remedy.
    pub(super) async fn fetch(&self) -> Fetched {
        self.last_failure.set(None);
        match &self.options.source {
            IdentitySource::Workload {
                tenant,
                client,
                file,
            } => {
                let credential =
                    WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                        credential_options: ClientAssertionCredentialOptions {
                            client_options: self.client_options(),
                        },
                        client_id: Some(client.clone()),
                        tenant_id: Some(tenant.clone()),
                        token_file_path: Some(file.clone()),
                    }));
                self.ask(credential).await.map_err(|reason| {
                    sources_failed(
                        [(WORKLOAD, reason)],
                        "check AZURE_TENANT_ID, AZURE_CLIENT_ID and the application's federated \
                         credential for this service account",
                    )
                })
            }
            IdentitySource::Secret {
                tenant,
                client,
                secret,
            } => {
                let credential = ClientSecretCredential::new(
                    tenant,
                    client.clone(),
                    Secret::new(secret.expose_secret().to_owned()),
                    Some(ClientSecretCredentialOptions {
                        client_options: self.client_options(),
                    }),
                );
                self.ask(credential).await.map_err(|reason| {
                    sources_failed(
                        [(SECRET, reason)],
                        "check that it is the secret's value and not its id, that it has not expired, \
                         and AZURE_TENANT_ID and AZURE_CLIENT_ID",
                    )
                })
            }
            IdentitySource::Machine { client } => self.machine(client.as_deref()).await,
        }
    }

    /// The fault of a fetch that exceeded its limit.
    pub(super) fn timed_out(&self, limit: Duration) -> Fault {
        let last = self.last_failure.get().map(Box::new);
        sources_failed(
            [(
                name(&self.options.source),
                TokenReason::TimedOut(limit, last),
            )],
            CHECK_NETWORK,
        )
    }

    async fn machine(&self, client: Option<&str>) -> Fetched {
        if PLATFORMS.iter().any(|name| env::var_os(name).is_some()) {
            return self.managed(client).await.map_err(|reason| {
                sources_failed(
                    [(PLATFORM, reason)],
                    "assign this machine a managed identity, or check AZURE_CLIENT_ID",
                )
            });
        }
        let no_identity = if self.has_imds().await {
            match self.managed(client).await {
                Ok(token) => return Ok(token),
                Err(reason) => reason,
            }
        } else {
            TokenReason::Text("no metadata service offers one")
        };
        self.cli().await.map_err(|reason| {
            sources_failed(
                [(MACHINE, no_identity), (CLI, reason)],
                "set AZURE_OPENAI_API_KEY, or assign this machine a managed identity, or check \
                 AZURE_CLIENT_ID, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, \
                 or run `az login`",
            )
        })
    }

    /// Whether there is a metadata service. It refuses a request without its header, and so shows
    /// itself.
    async fn has_imds(&self) -> bool {
        let Ok(url) = Url::parse(IMDS) else {
            return false;
        };
        let request = Request::new(url, Method::Get);
        let probe = tokio::time::timeout(PROBE_TIMEOUT, self.http.execute_request(&request));
        // Other clouds have another service at this address, which responds with 401 or 404.
        matches!(
            probe
                .await
                .map(|answer| answer.map(|answer| u16::from(answer.status()))),
            Ok(Ok(200 | 400 | 410 | 429 | 500..=599))
        )
    }

    async fn managed(&self, client: Option<&str>) -> Result<(SecretString, Duration), TokenReason> {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(|id| UserAssignedId::ClientId(id.to_owned())),
            client_options: self.client_options(),
        };
        self.ask(ManagedIdentityCredential::new(Some(options)))
            .await
    }

    async fn cli(&self) -> Result<(SecretString, Duration), TokenReason> {
        let credential = AzureCliCredential::new(Some(AzureCliCredentialOptions {
            executor: self.executor.clone(),
            ..AzureCliCredentialOptions::default()
        }));
        self.last_failure.set(None);
        match tokio::time::timeout(CLI_TIMEOUT, self.ask(credential)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TokenReason::TimedOut(CLI_TIMEOUT, None)),
        }
    }

    /// Asks a credential for a token.
    async fn ask<C: TokenCredential>(
        &self,
        credential: azure_core::Result<Arc<C>>,
    ) -> Result<(SecretString, Duration), TokenReason> {
        let asked = match credential {
            Ok(credential) => credential.get_token(&[&self.options.scope], None).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(token) => {
                let left = token.expires_on - OffsetDateTime::now_utc();
                let lifetime = Duration::try_from(left).unwrap_or_default();
                Ok((token.token.secret().to_owned().into(), lifetime))
            }
            // The last request tells more than what azure_identity makes of it.
            Err(error) => Err(self
                .last_failure
                .get()
                .unwrap_or_else(|| recognized(&error.to_string()))),
        }
    }

    fn client_options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host.clone_from(&self.options.authority);
        ClientOptions {
            transport: Some(Transport::new(Arc::clone(&self.http))),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        }
    }
}
