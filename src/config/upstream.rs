//! Who answers: the deployments, their credentials, and the Microsoft Entra identity.
//!
//! Nothing is asked here: whether a deployment exists and a credential is accepted, only a request
//! can tell.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    error::ConfigError,
    settings::{ApiMode, AuthMode, MoreDeployment, Settings},
};
use crate::upstream::{
    Api, Credential, DeploymentOptions, IdentityOptions, IdentitySource,
    endpoint::{self, EndpointKind},
    is_this_machine,
};

/// Who answers.
#[derive(Clone, Debug)]
pub enum UpstreamConfig {
    /// The simulator, which the server starts itself, because no Azure setting is present.
    Simulator,
    /// Deployments of Azure OpenAI or of compatible servers, in the order in which to ask them; at
    /// least one.
    Deployments(Vec<DeploymentOptions>),
}

impl UpstreamConfig {
    /// Azure counts as configured when any of its settings is present; then all that is needed must
    /// be.
    pub(super) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let first = MoreDeployment {
            number: 1,
            endpoint: settings.azure_openai_endpoint.clone(),
            deployment: settings.azure_openai_deployment.clone(),
            api_key: settings.azure_openai_api_key.clone(),
            api_key_file: settings.azure_openai_api_key_file.clone(),
            api_version: settings.azure_openai_api_version.clone(),
            api: Some(settings.azure_openai_api),
            auth: settings.azure_openai_auth,
        };
        let any = first.endpoint.is_some()
            || first.deployment.is_some()
            || first.api_key.is_some()
            || first.api_key_file.is_some()
            || !settings.more_deployments.is_empty();
        if !any {
            return Ok(Self::Simulator);
        }
        let plain_http = settings.allow_plain_http;
        let mut deployments = vec![deployment(first.clone(), plain_http)?];
        for more in &settings.more_deployments {
            let more_deployment =
                deployment(inherited(more, &first), plain_http).map_err(|error| {
                    ConfigError::Further {
                        number: more.number,
                        error: Box::new(error),
                    }
                })?;
            deployments.push(more_deployment);
        }
        Ok(Self::Deployments(deployments))
    }

    /// The identity that signs in to Entra, if any deployment needs it.
    pub(super) fn identity(
        &self,
        settings: &Settings,
    ) -> Result<Option<IdentityOptions>, ConfigError> {
        match self {
            Self::Deployments(all) if all.iter().any(|one| one.credential.is_entra()) => {
                identity(settings).map(Some)
            }
            Self::Deployments(_) | Self::Simulator => Ok(None),
        }
    }
}

/// What a further deployment does not say is as for the first.
fn inherited(more: &MoreDeployment, first: &MoreDeployment) -> MoreDeployment {
    let has_key = more.api_key.is_some() || more.api_key_file.is_some();
    let keys = if has_key { more } else { first };
    let version = more.api_version.as_ref().or(first.api_version.as_ref());
    MoreDeployment {
        number: more.number,
        endpoint: more.endpoint.clone().or_else(|| first.endpoint.clone()),
        deployment: more.deployment.clone().or_else(|| first.deployment.clone()),
        api_key: keys.api_key.clone(),
        api_key_file: keys.api_key_file.clone(),
        api_version: version.cloned(),
        api: more.api.or(first.api),
        auth: more.auth.or(first.auth),
    }
}

fn deployment(
    settings: MoreDeployment,
    allow_plain_http: bool,
) -> Result<DeploymentOptions, ConfigError> {
    let endpoint = endpoint::resolve(
        settings
            .endpoint
            .as_deref()
            .ok_or(ConfigError::NoEndpoint)?,
        settings.deployment.as_deref(),
        settings.api_version.as_deref(),
    )?;
    let key = || key(settings.api_key, settings.api_key_file);
    let credential = match settings.auth {
        Some(AuthMode::None) => Credential::None,
        Some(AuthMode::Entra) => Credential::Entra,
        Some(AuthMode::Key) => Credential::Key(key()?.ok_or(ConfigError::NoKey)?),
        None => match (key()?, endpoint.kind) {
            (Some(key), _) => Credential::Key(key),
            (None, EndpointKind::Azure) => Credential::Entra,
            (None, EndpointKind::Compatible) => Credential::None,
        },
    };
    if !allow_plain_http {
        refuse_plain_http(endpoint.url(Api::ChatCompletions), &credential)?;
    }
    let api = match settings.api {
        None | Some(ApiMode::Auto) => None,
        Some(ApiMode::Chat) => Some(Api::ChatCompletions),
        Some(ApiMode::Responses) => Some(Api::Responses),
    };
    Ok(DeploymentOptions {
        endpoint,
        credential,
        api,
    })
}

/// A credential crosses a network only with encryption.
fn refuse_plain_http(url: &Url, credential: &Credential) -> Result<(), ConfigError> {
    let what = match credential {
        Credential::Key(_) => "key",
        Credential::Entra => "token",
        Credential::None => return Ok(()),
    };
    match url.host_str() {
        Some(host) if url.scheme() == "http" && !is_this_machine(host) => {
            Err(ConfigError::PlainHttp(host.to_owned(), what))
        }
        _ => Ok(()),
    }
}

fn key(
    key: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    let key = match (key, file) {
        (Some(_), Some(_)) => return Err(ConfigError::TwoKeys),
        (Some(key), None) => key,
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(ConfigError::KeyFile)?;
            SecretString::from(text.trim().to_owned())
        }
        (None, None) => return Ok(None),
    };
    let text = key.expose_secret();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::KeyForm);
    }
    Ok(Some(key))
}

/// The identity by the variables that all Azure SDKs read: workload identity if its token file is
/// named, else an application's secret, else what the machine offers.
fn identity(settings: &Settings) -> Result<IdentityOptions, ConfigError> {
    let client = &settings.azure_client_id;
    let needed = |because| {
        let missing = |name| ConfigError::Identity { name, because };
        Ok::<_, ConfigError>((
            settings
                .azure_tenant_id
                .clone()
                .ok_or_else(|| missing("AZURE_TENANT_ID"))?,
            client.clone().ok_or_else(|| missing("AZURE_CLIENT_ID"))?,
        ))
    };
    let source = if let Some(file) = &settings.azure_federated_token_file {
        let (tenant, client) = needed("AZURE_FEDERATED_TOKEN_FILE")?;
        IdentitySource::Workload {
            tenant,
            client,
            file: file.clone(),
        }
    } else if let Some(secret) = &settings.azure_client_secret {
        let (tenant, client) = needed("AZURE_CLIENT_SECRET")?;
        IdentitySource::Secret {
            tenant,
            client,
            secret: secret.clone(),
        }
    } else {
        IdentitySource::Machine {
            client: client.clone(),
        }
    };
    Ok(IdentityOptions {
        source,
        scope: settings.azure_openai_scope.clone(),
        authority: settings.azure_authority_host.clone(),
    })
}
