//! The configuration: every setting read, checked against the others, and handed out as the options
//! of the component that it configures.
//!
//! A [`Config`] exists only if the program can start with it. The components know nothing of flags
//! and variables; this module knows nothing of the command line around them.

mod access;
mod cost;
mod error;
pub mod flags;
mod network;
mod replication;
pub mod settings;
mod upstream;
pub(crate) mod value;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args as _, FromArgMatches as _};

use self::settings::Settings;
pub use self::{error::ConfigError, flags::FlagError, upstream::UpstreamConfig};
use crate::{
    connection::TlsFiles,
    generation, guard, store,
    upstream::{IdentityOptions, ModelOptions, NetworkOptions, ReasoningSummary},
};

/// A configuration with which the program can start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Where the figures have an address of their own.
    pub metrics: Option<SocketAddr>,
    /// How many threads serve.
    pub workers: usize,
    /// The files for TLS; `None` to serve plain HTTP.
    pub tls: Option<TlsFiles>,
    /// For how long browsers should use only HTTPS for this host.
    pub hsts: Option<Duration>,
    /// The folder of the page; `None` for the built-in page.
    pub static_dir: Option<PathBuf>,
    /// Who answers.
    pub upstream: UpstreamConfig,
    /// How to sign in to Microsoft Entra ID; `None` if no deployment needs it.
    pub identity: Option<IdentityOptions>,
    /// How upstream and Entra are reached.
    pub network: NetworkOptions,
    /// What every request to a model has in common.
    pub model: ModelOptions,
    /// How long and how large a reply may be.
    pub limits: generation::Limits,
    /// Who may ask, from where, and what it may cost.
    pub guard: guard::Options,
    /// How replies are kept.
    pub store: store::Options,
    /// How replies are shared with other replicas; `None` if there are none.
    pub replication: Option<store::ReplicationOptions>,
    /// The silence after which a viewer gets a ping.
    pub ping_interval: Duration,
    /// How long running replies may go on once the server is asked to exit.
    pub drain_timeout: Duration,
}

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] that is found.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let upstream = UpstreamConfig::new(&settings)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: SocketAddr::new(settings.host, settings.port),
            metrics: settings.metrics_addr,
            workers: settings.workers.map_or(cores, saturated),
            identity: upstream.identity(&settings)?,
            network: network::options(&settings, &upstream)?,
            replication: replication::options(&settings)?,
            upstream,
            tls: tls_files(settings.tls_cert_file, settings.tls_key_file)?,
            hsts: settings.hsts_seconds,
            static_dir: settings.static_dir,
            model: ModelOptions {
                system_prompt: settings.system_prompt,
                max_output_tokens: settings.max_output_tokens,
                temperature: settings.temperature,
                reasoning_effort: settings.reasoning_effort,
                reasoning_summary: settings.reasoning_summary.into(),
                first_byte: settings.first_byte_seconds,
            },
            limits: generation::Limits {
                first_delta: settings.first_delta_seconds,
                stall: settings.stall_seconds,
                total: settings.max_reply_seconds,
                bytes: settings.max_reply_bytes,
                reasoning_bytes: Option::<ReasoningSummary>::from(settings.reasoning_summary)
                    .map(|_| settings.max_reply_bytes),
                idle_reader: settings.idle_reader_seconds,
                max_idle_reader: settings.max_idle_reader_seconds,
                history_chars: saturated(settings.max_history_chars),
            },
            guard: guard::Options {
                limits: settings.cost.limits(settings.max_output_tokens),
                ..settings.access.options()?
            },
            store: store::Options {
                max_replies: saturated(settings.max_replies),
                // The server knows how many connections it may have.
                max_running: usize::MAX,
                retention: settings.retention_seconds,
                padding: settings.pad.into(),
            },
            ping_interval: settings.ping_seconds,
            drain_timeout: settings.drain_seconds,
        })
    }

    /// The configuration that `flags` make, without environment and `.env`; for programs that embed
    /// the server.
    ///
    /// # Errors
    ///
    /// As [`Config::new`], and [`ConfigError::Flag`] for flags that are unknown or not allowed.
    pub fn from_flags<S: Into<OsString>>(
        flags: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        Self::new(settings(flags.into_iter().map(Into::into))?)
    }
}

fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(ConfigError::HalfTls("TLS_KEY_FILE")),
        (None, Some(_)) => Err(ConfigError::HalfTls("TLS_CERT_FILE")),
    }
}

fn settings(flags: impl Iterator<Item = OsString>) -> Result<Settings, FlagError> {
    let command = clap::Command::new("rasta-stream").no_binary_name(true);
    flags::without_environment(Settings::augment_args(command))
        .try_get_matches_from(flags)
        .and_then(|matches| Settings::from_arg_matches(&matches))
        .map_err(flags::explained)
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
