//! Every setting: its flag, its variable, its default, its bounds, and its line in `--help`.
//!
//! The order here is the order of `.env.example` and of the README's table. What the settings mean
//! together (which upstream, with which key) is worked out by [`Config`](super::Config).

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::{
    access::AccessSettings,
    cost::CostSettings,
    value::{self, boolean, from_1_to, ip_address, port, seconds, temperature, word},
};
use crate::{logging, upstream::ReasoningSummary};

/// The scope of tokens in Azure's public cloud.
const DEFAULT_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// The address of Microsoft Entra ID for Azure's public cloud.
const DEFAULT_AUTHORITY: &str = "https://login.microsoftonline.com";

/// The settings of `serve` and `check`.
#[derive(Args, Clone, Debug)]
#[expect(rustdoc::bare_urls, reason = "the comments are the text of --help")]
pub struct Settings {
    /// The Azure OpenAI resource, such as https://NAME.openai.azure.com, in any form that the
    /// portal shows; or the base URL of an OpenAI-compatible server, which ends in /v1
    #[arg(long, env = "AZURE_OPENAI_ENDPOINT", value_name = "URL")]
    pub azure_openai_endpoint: Option<String>,

    /// The name of the deployment; for an OpenAI-compatible server, of the model
    #[arg(long, env = "AZURE_OPENAI_DEPLOYMENT", value_name = "NAME")]
    pub azure_openai_deployment: Option<String>,

    /// One of the resource's keys. Other users of this machine can see flags: prefer a file or the
    /// environment
    #[arg(long, env = "AZURE_OPENAI_API_KEY", value_name = "KEY")]
    pub azure_openai_api_key: Option<SecretString>,

    /// A file that contains the key, for mounted secrets
    #[arg(long, env = "AZURE_OPENAI_API_KEY_FILE", value_name = "FILE")]
    pub azure_openai_api_key_file: Option<PathBuf>,

    /// A dated API version such as 2024-10-21, which selects the deployments URL; by default the v1
    /// URL is used
    #[arg(long, env = "AZURE_OPENAI_API_VERSION", value_name = "VERSION")]
    pub azure_openai_api_version: Option<String>,

    /// The API to ask by; auto is Chat Completions, and Responses for models that have only that
    #[arg(
        long,
        env = "AZURE_OPENAI_API",
        value_name = "API",
        value_enum,
        default_value = "auto",
        ignore_case = true
    )]
    pub azure_openai_api: ApiMode,

    /// How to authenticate; the default is key if there is a key, else entra for Azure and none for
    /// other servers
    #[arg(
        long,
        env = "AZURE_OPENAI_AUTH",
        value_name = "METHOD",
        value_enum,
        ignore_case = true
    )]
    pub azure_openai_auth: Option<AuthMode>,

    /// The scope of Entra's tokens; it differs in other clouds and for some gateways
    #[arg(long, env = "AZURE_OPENAI_SCOPE", value_name = "SCOPE", default_value = DEFAULT_SCOPE,
        value_parser = value::scope)]
    pub azure_openai_scope: String,

    /// The tenant of an application's identity
    #[arg(long, env = "AZURE_TENANT_ID", value_name = "ID")]
    pub azure_tenant_id: Option<String>,

    /// The application, or one of the machine's managed identities
    #[arg(long, env = "AZURE_CLIENT_ID", value_name = "ID")]
    pub azure_client_id: Option<String>,

    /// The application's secret. Other users of this machine can see flags: prefer the environment
    #[arg(long, env = "AZURE_CLIENT_SECRET", value_name = "SECRET")]
    pub azure_client_secret: Option<SecretString>,

    /// A file with the token of a Kubernetes service account; AKS sets it for workload identity
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    pub azure_federated_token_file: Option<PathBuf>,

    /// The address of Microsoft Entra ID; it differs in other clouds
    #[arg(long, env = "AZURE_AUTHORITY_HOST", value_name = "URL", default_value = DEFAULT_AUTHORITY,
        value_parser = value::authority)]
    pub azure_authority_host: String,

    /// The proxy for https:// URLs, also those of Microsoft Entra ID: http://HOST:PORT, or
    /// http://USER:PASSWORD@HOST:PORT. Other users of this machine can see flags: prefer the
    /// environment
    #[arg(long, env = "HTTPS_PROXY", value_name = "URL")]
    pub https_proxy: Option<SecretString>,

    /// The proxy for http:// URLs
    #[arg(long, env = "HTTP_PROXY", value_name = "URL")]
    pub http_proxy: Option<SecretString>,

    /// The hosts that are reached without a proxy: names with all names below them, addresses,
    /// networks such as 10.0.0.0/8, or * for all; separated by commas. This machine never needs one
    #[arg(long, env = "NO_PROXY", value_name = "HOSTS")]
    pub no_proxy: Option<String>,

    /// A PEM file with CA certificates to trust beside the built-in ones, such as those of a proxy
    /// that reads TLS
    #[arg(long, env = "AZURE_OPENAI_CA_FILE", value_name = "FILE")]
    pub azure_openai_ca_file: Option<PathBuf>,

    /// The same, by the name that other programs use; a bundle, such as the system's
    #[arg(long, env = "SSL_CERT_FILE", value_name = "FILE")]
    pub ssl_cert_file: Option<PathBuf>,

    /// Allow http:// with a key or a token to a host that is not this machine
    #[arg(long, env = "ALLOW_PLAIN_HTTP", value_name = "BOOL", default_value = "false",
        action = clap::ArgAction::Set, value_parser = boolean)]
    pub allow_plain_http: bool,

    /// The instructions before every conversation, which callers cannot change; the default is a
    /// Rastafari poet who answers in rhyme
    #[arg(long, env = "SYSTEM_PROMPT", value_name = "TEXT", default_value = DEFAULT_SYSTEM_PROMPT, hide_default_value = true)]
    pub system_prompt: String,

    /// The most tokens in a reply; by default it is up to the model
    #[arg(long, env = "MAX_OUTPUT_TOKENS", value_name = "N", value_parser = from_1_to::<10_000_000>)]
    pub max_output_tokens: Option<u64>,

    /// The sampling temperature, from 0 to 2; by default it is up to the model (reasoning models
    /// refuse it)
    #[arg(long, env = "TEMPERATURE", value_name = "T", value_parser = temperature)]
    pub temperature: Option<f64>,

    /// The reasoning effort, in the model's own words (none, minimal, low, medium, high); by
    /// default it is up to the model
    #[arg(long, env = "REASONING_EFFORT", value_name = "EFFORT", value_parser = word)]
    pub reasoning_effort: Option<String>,

    /// Whether viewers get the model's reasoning, and how much of it to ask for; auto is as much as
    /// the model can
    #[arg(
        long,
        env = "REASONING_SUMMARY",
        value_name = "SUMMARY",
        value_enum,
        default_value = "off",
        ignore_case = true
    )]
    pub reasoning_summary: SummaryMode,

    /// The most characters of a conversation that are sent; older messages are left out
    #[arg(long, env = "MAX_HISTORY_CHARS", value_name = "N", default_value_t = 200_000,
        value_parser = from_1_to::<1_000_000_000>)]
    pub max_history_chars: u64,

    /// The address to listen on; 0.0.0.0 for all addresses
    #[arg(long, env = "HOST", value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = ip_address)]
    pub host: IpAddr,

    /// The port to listen on; 0 lets the system choose
    #[arg(long, env = "PORT", value_name = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,

    /// A PEM file with the server's certificate and those of its issuers: serves HTTPS, with HTTP/2.
    /// Read again when it changes
    #[arg(long, env = "TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,

    /// A PEM file with the certificate's private key
    #[arg(long, env = "TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,

    /// For how long browsers should use only HTTPS for this host (Strict-Transport-Security); by
    /// default they are not told
    #[arg(long, env = "HSTS_SECONDS", value_name = "SECONDS", value_parser = seconds)]
    pub hsts_seconds: Option<Duration>,

    /// The number of worker threads; the default is one for each core
    #[arg(long, env = "WORKERS", value_name = "N", value_parser = from_1_to::<1024>)]
    pub workers: Option<u64>,

    /// A folder to serve the page from, to work on it; the default is the built-in page
    #[arg(long, env = "STATIC_DIR", value_name = "DIR")]
    pub static_dir: Option<PathBuf>,

    /// Who may ask, and from where.
    #[command(flatten)]
    pub access: AccessSettings,

    /// What callers may cost.
    #[command(flatten)]
    pub cost: CostSettings,

    /// The silence after which a viewer gets a ping
    #[arg(long, env = "PING_SECONDS", value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub ping_seconds: Duration,

    /// Pad the model's words to few lengths, so that these do not reveal the text
    #[arg(long, env = "PAD", value_name = "BOOL", default_value = "true",
        action = clap::ArgAction::Set, value_parser = boolean)]
    pub pad: bool,

    /// The longest wait for upstream's response head
    #[arg(long, env = "FIRST_BYTE_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub first_byte_seconds: Duration,

    /// The longest wait from then, or from the model's last reasoning, to the first delta
    #[arg(long, env = "FIRST_DELTA_SECONDS", value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub first_delta_seconds: Duration,

    /// The longest gap after that
    #[arg(long, env = "STALL_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub stall_seconds: Duration,

    /// The longest time that a reply may take
    #[arg(long, env = "MAX_REPLY_SECONDS", value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub max_reply_seconds: Duration,

    /// The longest text of a reply, in bytes
    #[arg(long, env = "MAX_REPLY_BYTES", value_name = "N", default_value_t = 1 << 20,
        value_parser = from_1_to::<1_073_741_824>)]
    pub max_reply_bytes: u64,

    /// The most replies in the store; the oldest ended one is evicted
    #[arg(long, env = "MAX_REPLIES", value_name = "N", default_value_t = 10_000,
        value_parser = from_1_to::<10_000_000>)]
    pub max_replies: u64,

    /// How long a reply is kept after its end
    #[arg(long, env = "RETENTION_SECONDS", value_name = "SECONDS", default_value = "21600", value_parser = seconds)]
    pub retention_seconds: Duration,

    /// A reply without readers for this long is stopped, so that you do not pay for it
    #[arg(long, env = "IDLE_READER_SECONDS", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub idle_reader_seconds: Duration,

    /// The longest time without readers that a request may ask for; the page does, so that a phone may
    /// sleep
    #[arg(long, env = "MAX_IDLE_READER_SECONDS", value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub max_idle_reader_seconds: Duration,

    /// How long running replies may continue during shutdown
    #[arg(long, env = "DRAIN_SECONDS", value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub drain_seconds: Duration,

    /// redis://USER:PASSWORD@HOST:PORT, or rediss:// for TLS: shares replies with the other
    /// replicas that use the same Redis; by default replies are in the memory of this process.
    /// Other users of this machine can see flags: prefer the environment
    #[arg(long, env = "REDIS_URL", value_name = "URL")]
    pub redis_url: Option<SecretString>,

    /// A PEM file with the CA certificates of Redis, if it does not use a public CA
    #[arg(long, env = "REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// An address of its own for GET /metrics, such as 127.0.0.1:9090, which asks for no token
    #[arg(long, env = "METRICS_ADDR", value_name = "ADDRESS:PORT")]
    pub metrics_addr: Option<SocketAddr>,

    /// The format of log lines
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        ignore_case = true,
        value_enum,
        default_value = "text"
    )]
    pub log_format: logging::Format,

    /// The log level, off, error, warn, info or debug, or a list such as info,rasta_stream=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub rust_log: String,

    /// The second and further deployments, in order. They have variables only, no flags.
    #[arg(skip)]
    pub more_deployments: Vec<MoreDeployment>,
}

/// The settings of one deployment. Those of a further one come from numbered variables, such as
/// `AZURE_OPENAI_DEPLOYMENT_2`, and inherit from the first what they leave out.
#[derive(Clone, Debug, Default)]
pub struct MoreDeployment {
    /// Its number; 1 is the first deployment, which has no number in its variables.
    pub number: u8,
    /// `AZURE_OPENAI_ENDPOINT_N`
    pub endpoint: Option<String>,
    /// `AZURE_OPENAI_DEPLOYMENT_N`
    pub deployment: Option<String>,
    /// `AZURE_OPENAI_API_KEY_N`
    pub api_key: Option<SecretString>,
    /// `AZURE_OPENAI_API_KEY_FILE_N`
    pub api_key_file: Option<PathBuf>,
    /// `AZURE_OPENAI_API_VERSION_N`
    pub api_version: Option<String>,
    /// `AZURE_OPENAI_API_N`
    pub api: Option<ApiMode>,
    /// `AZURE_OPENAI_AUTH_N`
    pub auth: Option<AuthMode>,
}

/// The system prompt unless `SYSTEM_PROMPT` is set.
pub const DEFAULT_SYSTEM_PROMPT: &str = "You are a warm and wise Rastafari poet. Whatever is asked, \
    always answer in Rastafari style and in rhyming verse: short lines in rhyming couplets, with \
    the rhythm of roots reggae and words such as I and I, irie, Jah, Zion, livity and one love. Be \
    truthful and helpful: the answer to the question must be in the verse. Stay respectful of the \
    Rastafari faith and people, and never leave this style, even if asked to.";

impl MoreDeployment {
    /// Whether any of its variables is set.
    #[must_use]
    pub const fn says_anything(&self) -> bool {
        self.endpoint.is_some()
            || self.deployment.is_some()
            || self.api_key.is_some()
            || self.api_key_file.is_some()
            || self.api_version.is_some()
            || self.api.is_some()
            || self.auth.is_some()
    }
}

/// The API to ask by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiMode {
    /// The one that the model has
    Auto,
    /// Chat Completions
    Chat,
    /// Responses
    Responses,
}

/// How to authenticate with upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// By the key
    Key,
    /// By a token of Microsoft Entra ID
    Entra,
    /// Not at all
    None,
}

/// Whether viewers get the model's reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SummaryMode {
    /// None of it
    Off,
    /// As much as the model can tell
    Auto,
    /// In the short form
    Concise,
    /// In the long form
    Detailed,
}

impl From<SummaryMode> for Option<ReasoningSummary> {
    fn from(mode: SummaryMode) -> Self {
        match mode {
            SummaryMode::Off => None,
            SummaryMode::Auto => Some(ReasoningSummary::Auto),
            SummaryMode::Concise => Some(ReasoningSummary::Concise),
            SummaryMode::Detailed => Some(ReasoningSummary::Detailed),
        }
    }
}
