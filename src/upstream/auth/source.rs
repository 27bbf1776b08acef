//! Where a token comes from: one of azure_identity's credentials, made anew for every token.
//!
//! Made anew because a credential hands out its own stored token until five minutes before its end,
//! even if that was refused; here the desk stores. A failure becomes a fault that names the source, what it
//! said, and a remedy. This module neither stores nor waits.

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
    Fault, failed,
    wire::{LastAnswer, clean},
};
use crate::upstream::options::{IdentityOptions, IdentitySource};

/// What azure_identity makes its requests with.
pub(super) type Http = Arc<dyn HttpClient>;

/// The metadata service of Azure's machines.
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// Where there is one it answers at once; elsewhere nobody answers at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Azure CLI starts slowly, and can wait for the network.
const CLI_TIMEOUT: Duration = Duration::from_secs(20);
/// By these the platform says that it has managed identities of its own.
const PLATFORMS: [&str; 2] = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"];

const WORKLOAD: &str = "workload identity (AZURE_FEDERATED_TOKEN_FILE)";
const SECRET: &str = "the application's secret (AZURE_CLIENT_SECRET)";
const MACHINE: &str = "the machine's managed identity";

/// What the source is called in messages.
pub(super) const fn name(source: &IdentitySource) -> &'static str {
    match source {
        IdentitySource::Workload { .. } => WORKLOAD,
        IdentitySource::Secret { .. } => SECRET,
        IdentitySource::Machine { .. } => MACHINE,
    }
}

/// One source of tokens.
pub(super) struct Source {
    config: IdentityOptions,
    pub(super) http: Http,
    last_answer: LastAnswer,
    /// What runs Azure CLI; `None` for azure_identity's own.
    pub(super) executor: Option<Arc<dyn Executor>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

type Fetched = Result<(SecretString, Duration), Fault>;

impl Source {
    pub(super) fn new(config: IdentityOptions, http: Http, last_answer: LastAnswer) -> Self {
        Self {
            config,
            http,
            last_answer,
            executor: None,
        }
    }

    /// One token, and how long it is good for.
    pub(super) async fn fetch(&self) -> Fetched {
        self.last_answer.set(None);
        match &self.config.source {
            IdentitySource::Workload {
                tenant,
                client,
                file,
            } => {
                let credential =
                    WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                        credential_options: ClientAssertionCredentialOptions {
                            client_options: self.options(),
                        },
                        client_id: Some(client.clone()),
                        tenant_id: Some(tenant.clone()),
                        token_file_path: Some(file.clone()),
                    }));
                self.ask(credential).await.map_err(|said| {
                    failed(&format!(
                        "{WORKLOAD} failed ({said}): check AZURE_TENANT_ID, AZURE_CLIENT_ID and the \
                         application's federated credential for this service account"
                    ))
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
                        client_options: self.options(),
                    }),
                );
                self.ask(credential).await.map_err(|said| {
                    failed(&format!(
                        "{SECRET} failed ({said}): check that it is the secret's value, that it has not \
                         expired, and AZURE_TENANT_ID and AZURE_CLIENT_ID"
                    ))
                })
            }
            IdentitySource::Machine { client } => self.machine(client.as_deref()).await,
        }
    }

    /// The fault of a fetch that took too long.
    pub(super) fn silent(&self, limit: Duration) -> Fault {
        let last = self.last_answer.get();
        failed(&format!(
            "{} gave none within {} s ({}): check the network between this machine and it",
            name(&self.config.source),
            limit.as_secs_f32(),
            last.as_deref().unwrap_or("no answer at all"),
        ))
    }

    async fn machine(&self, client: Option<&str>) -> Fetched {
        let remedy = "assign this machine a managed identity, or check AZURE_CLIENT_ID";
        if PLATFORMS.iter().any(|name| env::var_os(name).is_some()) {
            return self.managed(client).await.map_err(|said| {
                failed(&format!(
                    "the platform's managed identity failed ({said}): {remedy}"
                ))
            });
        }
        let no_identity = if self.has_imds().await {
            match self.managed(client).await {
                Ok(token) => return Ok(token),
                Err(said) => format!("{MACHINE} failed ({said})"),
            }
        } else {
            "no managed identity is offered to this machine".to_owned()
        };
        self.cli().await.map_err(|said| {
            failed(&format!(
                "{no_identity}, and Azure CLI gave none ({said}): set AZURE_OPENAI_API_KEY, or {remedy}, \
                 or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run `az login`"
            ))
        })
    }

    /// Without its header IMDS refuses a request, and so tells that it is there.
    async fn has_imds(&self) -> bool {
        let Ok(url) = Url::parse(IMDS) else {
            return false;
        };
        let request = Request::new(url, Method::Get);
        let probe = tokio::time::timeout(PROBE_TIMEOUT, self.http.execute_request(&request));
        // Other clouds have something else there, which says 401 or 404.
        matches!(
            probe
                .await
                .map(|answer| answer.map(|answer| u16::from(answer.status()))),
            Ok(Ok(200 | 400 | 410 | 429 | 500..=599))
        )
    }

    async fn managed(&self, client: Option<&str>) -> Result<(SecretString, Duration), String> {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(|id| UserAssignedId::ClientId(id.to_owned())),
            client_options: self.options(),
        };
        self.ask(ManagedIdentityCredential::new(Some(options)))
            .await
    }

    async fn cli(&self) -> Result<(SecretString, Duration), String> {
        let credential = AzureCliCredential::new(Some(AzureCliCredentialOptions {
            executor: self.executor.clone(),
            ..AzureCliCredentialOptions::default()
        }));
        self.last_answer.set(None);
        match tokio::time::timeout(CLI_TIMEOUT, self.ask(credential)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", CLI_TIMEOUT.as_secs())),
        }
    }

    /// Asks a credential; an error is what was said, fit for the log.
    async fn ask<C: TokenCredential>(
        &self,
        credential: azure_core::Result<Arc<C>>,
    ) -> Result<(SecretString, Duration), String> {
        let asked = match credential {
            Ok(credential) => credential.get_token(&[&self.config.scope], None).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(token) => {
                let left = token.expires_on - OffsetDateTime::now_utc();
                let lifetime = Duration::try_from(left).unwrap_or_default();
                Ok((token.token.secret().to_owned().into(), lifetime))
            }
            Err(error) => Err(self.said(&error)),
        }
    }

    /// The words of the refusal itself, where one came; else azure_identity's, without its advice.
    fn said(&self, error: &azure_core::Error) -> String {
        let words = self.last_answer.get().unwrap_or_else(|| {
            let text = error.to_string();
            let text = text.split("\nTo troubleshoot").next().unwrap_or_default();
            clean(text)
        });
        match &self.config.source {
            IdentitySource::Secret { secret, .. } => {
                words.replace(secret.expose_secret(), "[secret]")
            }
            _ => words,
        }
    }

    fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host.clone_from(&self.config.authority);
        ClientOptions {
            transport: Some(Transport::new(Arc::clone(&self.http))),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        }
    }
}
