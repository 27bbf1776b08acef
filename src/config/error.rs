//! Why the settings do not make a configuration. Every error is one line that names the variable and
//! the remedy.

use std::io;

use super::flags::FlagError;
use crate::{
    guard::TokensError,
    upstream::{CaError, ProxyError, endpoint::EndpointError},
};

/// Why the program cannot start with these settings. Displayed in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag, in a configuration that is made of flags.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The endpoint, deployment or API version.
    #[error("{0}")]
    Endpoint(#[from] EndpointError),
    /// Azure settings, but no endpoint among them.
    #[error(
        "AZURE_OPENAI_ENDPOINT is missing: set it, or unset all AZURE_OPENAI settings to use the built-in simulator"
    )]
    NoEndpoint,
    /// No key where one is needed.
    #[error(
        "AZURE_OPENAI_API_KEY is missing: set it or AZURE_OPENAI_API_KEY_FILE, or unset AZURE_OPENAI_AUTH to sign in with Microsoft Entra ID"
    )]
    NoKey,
    /// Both the key and the file that holds it.
    #[error("AZURE_OPENAI_API_KEY and AZURE_OPENAI_API_KEY_FILE are both set: unset one of them")]
    TwoKeys,
    /// The key's file cannot be read.
    #[error(
        "AZURE_OPENAI_API_KEY_FILE cannot be read ({0}): set it to a text file that contains only the key"
    )]
    KeyFile(io::Error),
    /// A key with characters that no HTTP header can hold.
    #[error(
        "AZURE_OPENAI_API_KEY is empty, or contains spaces or non-ASCII characters: copy the key again"
    )]
    KeyForm,
    /// A key or a token that would be sent without encryption.
    #[error(
        "AZURE_OPENAI_ENDPOINT begins with http://, and {0} is another machine: anyone on the way could read the {1}; use https://, or set ALLOW_PLAIN_HTTP=true if you trust the network"
    )]
    PlainHttp(String, &'static str),
    /// One of the above, in the settings of a further deployment.
    #[error("deployment {number} (the settings that end in _{number}): {error}")]
    Further {
        /// The number of the deployment, from 2.
        number: u8,
        /// What is wrong with it.
        error: Box<ConfigError>,
    },
    /// Not the URL of a proxy.
    #[error(
        "{0} {1}; correct or unset it (it may also be set as its lower-case name or ALL_PROXY)"
    )]
    Proxy(&'static str, ProxyError),
    /// A file with certificate authorities cannot be read.
    #[error("{0} cannot be read ({1}): set it to a PEM file of CA certificates, or unset it")]
    CaFile(&'static str, io::Error),
    /// A file with certificate authorities has none.
    #[error("{0} is not usable ({1}): set it to a PEM file of CA certificates, or unset it")]
    CaContent(&'static str, CaError),
    /// One of the two files for TLS.
    #[error("{0} is missing: TLS needs a certificate and its key; set both, or neither")]
    HalfTls(&'static str),
    /// Not a URL of Redis.
    #[error(
        "REDIS_URL must be redis://[USER:PASSWORD@]HOST[:PORT], or rediss:// for TLS; special characters in the password must be percent-encoded"
    )]
    RedisUrl,
    /// The file with Redis's certificate authorities cannot be read.
    #[error(
        "REDIS_CA_FILE cannot be read ({0}): set it to a PEM file of CA certificates, or unset it"
    )]
    RedisCa(io::Error),
    /// Certificate authorities, but no TLS connection that they are for.
    #[error(
        "REDIS_CA_FILE is set, but REDIS_URL does not begin with rediss://: use rediss://, or unset REDIS_CA_FILE"
    )]
    RedisCaAlone,
    /// Both the access tokens and the file that lists them.
    #[error("ACCESS_TOKENS and ACCESS_TOKENS_FILE are both set: unset one of them")]
    TwoTokenLists,
    /// The access tokens are no list of tokens.
    #[error("{0} {1}")]
    Tokens(&'static str, TokensError),
    /// A proxy's header, and no proxy that may send it.
    #[error(
        "TRUSTED_USER_HEADER is set, but TRUSTED_PROXIES is not: set it to the addresses of the proxies that may name users"
    )]
    NoProxies,
    /// Part of an Entra identity.
    #[error("{name} is missing: set it, or unset {because}, which needs it")]
    Identity {
        /// What is missing.
        name: &'static str,
        /// What makes it needed.
        because: &'static str,
    },
}
