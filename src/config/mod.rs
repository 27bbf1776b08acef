//! The configuration: all settings read, checked against each other, and sorted by who needs them.
//!
//! A [`Config`] exists only if the program can start with it; every [`ConfigError`] is one line that
//! names the variable and the remedy. Everything else takes its part of the configuration as a
//! value and knows nothing of flags or variables.

pub mod environment;
pub mod identity;
pub mod settings;
pub mod sharing;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use self::settings::{AuthMode, MoreDeployment, Settings};
pub use self::settings::{Cli, Command};
use crate::{
    generation, store,
    upstream::{
        Credential, DeploymentOptions, IdentityOptions, ModelOptions,
        endpoint::{self, EndpointError, EndpointKind},
    },
};

/// A program that can start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How many threads serve.
    pub workers: usize,
    /// Where the page is.
    pub static_dir: PathBuf,
    /// Who answers.
    pub upstream: UpstreamConfig,
    /// How to obtain Entra's tokens, where they are the credential.
    pub identity: Option<IdentityOptions>,
    /// What is sent upstream with each conversation.
    pub model: ModelOptions,
    /// How long and how large a reply may be.
    pub limits: generation::Limits,
    /// How replies are kept.
    pub store: store::Options,
    /// How they are shared with other replicas; `None` where there are none.
    pub replication: Option<store::ReplicationOptions>,
    /// Silence after which a viewer gets a ping.
    pub ping: Duration,
    /// How long running replies may go on once the server is asked to exit.
    pub drain: Duration,
}

/// Who answers.
#[derive(Clone, Debug)]
pub enum UpstreamConfig {
    /// No Azure setting is present: the simulator, which the server starts itself.
    Simulator,
    /// Deployments of Azure OpenAI, or of compatible servers, in the order in which to ask them; at
    /// least one.
    Deployments(Vec<DeploymentOptions>),
}

/// Why the program cannot start. Displayed in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Help, version, or a command line that clap explains best.
    #[error("{0}")]
    Usage(clap::Error),
    /// A value out of bounds.
    #[error("{name} {wanted}, and not {value:?} ({flag}, the environment, or .env)")]
    Value {
        /// The variable's name.
        name: String,
        /// The flag, in words.
        flag: String,
        /// What was given; no secret is checked by its value.
        value: String,
        /// What would be right.
        wanted: String,
    },
    /// `.env` cannot be parsed.
    #[error(
        ".env cannot be read at line {line}: write NAME=value there, the value in single quotes if it holds spaces, # or $"
    )]
    DotEnv {
        /// Counted from 1.
        line: usize,
    },
    /// `.env` is there, but cannot be opened or is not UTF-8.
    #[error(".env cannot be read ({0}): make it a readable file of UTF-8 text, or remove it")]
    DotEnvUnreadable(std::io::Error),
    /// The endpoint, deployment or API version.
    #[error("{0}")]
    Endpoint(#[from] EndpointError),
    /// Azure settings, but no endpoint among them.
    #[error(
        "AZURE_OPENAI_ENDPOINT is missing: set it beside the other AZURE_OPENAI settings, or unset them all to use the simulator"
    )]
    NoEndpoint,
    /// No key where one is needed.
    #[error(
        "AZURE_OPENAI_API_KEY is missing: set it (or AZURE_OPENAI_API_KEY_FILE), or unset AZURE_OPENAI_AUTH to use the Entra identity; an OpenAI-compatible server's address ends in /v1"
    )]
    NoKey,
    /// Both the key and the file that holds it.
    #[error("AZURE_OPENAI_API_KEY and AZURE_OPENAI_API_KEY_FILE are both set: unset one of them")]
    TwoKeys,
    /// The key's file cannot be read.
    #[error("AZURE_OPENAI_API_KEY_FILE cannot be read ({0}): set it to a file that holds the key")]
    KeyFile(std::io::Error),
    /// A key with characters that cannot stand in a header.
    #[error(
        "AZURE_OPENAI_API_KEY holds spaces or characters that are not ASCII: copy the key again"
    )]
    KeyForm,
    /// Not a URL of Redis.
    #[error(
        "REDIS_URL must be redis://[USER:PASSWORD@]HOST[:PORT] (rediss:// for TLS; % and other signs in a password as in any URL, such as %25)"
    )]
    RedisUrl,
    /// The file with Redis's certificates cannot be read.
    #[error(
        "REDIS_CA_FILE cannot be read ({0}): set it to a file of certificates in PEM, or unset it"
    )]
    RedisCa(std::io::Error),
    /// Certificates, but no connection that they are for.
    #[error(
        "REDIS_CA_FILE is set, but REDIS_URL does not begin with rediss://: unset the one or correct the other"
    )]
    RedisCaAlone,
    /// Part of an Entra identity.
    #[error("{name} is missing: set it beside {because}, or unset that")]
    Identity {
        /// What is missing.
        name: &'static str,
        /// What makes it needed.
        because: &'static str,
    },
    /// The page is not there.
    #[error(
        "STATIC_DIR has no index.html: start the program where the directory \"static\" is, or set STATIC_DIR to it"
    )]
    NoPage,
}

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] that stands in the way.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        if !settings.static_dir.join("index.html").is_file() {
            return Err(ConfigError::NoPage);
        }
        let upstream = upstream(&settings)?;
        let identity = match &upstream {
            UpstreamConfig::Deployments(all) if all.iter().any(|one| one.credential.is_entra()) => {
                Some(identity::options(&settings)?)
            }
            _ => None,
        };
        let replication = sharing::options(&settings)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: SocketAddr::new(settings.host, settings.port),
            workers: settings.workers.map_or(cores, saturated),
            upstream,
            identity,
            static_dir: settings.static_dir,
            model: ModelOptions {
                system_prompt: settings.system_prompt,
                max_output_tokens: settings.max_output_tokens,
                temperature: settings.temperature,
                reasoning_effort: settings.reasoning_effort,
                first_byte: settings.first_byte_seconds,
            },
            limits: generation::Limits {
                first_delta: settings.first_delta_seconds,
                stall: settings.stall_seconds,
                total: settings.max_reply_seconds,
                bytes: settings.max_reply_bytes,
                idle_reader: settings.idle_reader_seconds,
                history_chars: saturated(settings.max_history_chars),
            },
            store: store::Options {
                max_replies: saturated(settings.max_replies),
                retention: settings.retention_seconds,
                pad: settings.pad,
            },
            replication,
            ping: settings.ping_seconds,
            drain: settings.drain_seconds,
        })
    }

    /// The configuration that `flags` make, with neither environment nor `.env`; for programs that
    /// embed the server.
    ///
    /// # Errors
    ///
    /// As [`Config::new`], and for flags that are not known.
    pub fn from_flags<S: Into<OsString>>(
        flags: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        let args = std::iter::once(OsString::from("rasta-stream"))
            .chain(flags.into_iter().map(Into::into));
        Self::new(environment::parse(args, &environment::Environment::default())?.settings)
    }
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Azure counts as configured when any of its settings is present; then all that is needed must be.
fn upstream(settings: &Settings) -> Result<UpstreamConfig, ConfigError> {
    let first = MoreDeployment {
        endpoint: settings.azure_openai_endpoint.clone(),
        deployment: settings.azure_openai_deployment.clone(),
        api_key: settings.azure_openai_api_key.clone(),
        api_key_file: settings.azure_openai_api_key_file.clone(),
        api_version: settings.azure_openai_api_version.clone(),
        auth: settings.azure_openai_auth,
    };
    let any = first.endpoint.is_some()
        || first.deployment.is_some()
        || first.api_key.is_some()
        || first.api_key_file.is_some()
        || !settings.more_deployments.is_empty();
    if !any {
        return Ok(UpstreamConfig::Simulator);
    }
    let mut deployments = vec![deployment(first.clone())?];
    for more in &settings.more_deployments {
        let has_key = more.api_key.is_some() || more.api_key_file.is_some();
        let (api_key, api_key_file) = if has_key {
            (more.api_key.clone(), more.api_key_file.clone())
        } else {
            (first.api_key.clone(), first.api_key_file.clone())
        };
        let inherited = MoreDeployment {
            endpoint: more.endpoint.clone().or_else(|| first.endpoint.clone()),
            deployment: more.deployment.clone().or_else(|| first.deployment.clone()),
            api_key,
            api_key_file,
            api_version: more
                .api_version
                .clone()
                .or_else(|| first.api_version.clone()),
            auth: more.auth.or(first.auth),
        };
        deployments.push(deployment(inherited)?);
    }
    Ok(UpstreamConfig::Deployments(deployments))
}

fn deployment(settings: MoreDeployment) -> Result<DeploymentOptions, ConfigError> {
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
    Ok(DeploymentOptions {
        endpoint,
        credential,
    })
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

#[cfg(test)]
mod tests;
