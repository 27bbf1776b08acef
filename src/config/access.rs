//! The settings of who may ask, and from where.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use clap::Args;
use ipnet::IpNet;
use secrecy::SecretString;

use super::{error::ConfigError, value::boolean};
use crate::guard::{AccessTokens, HostName, Options, Origin, TokenSource};

/// Who may ask, and from where.
#[derive(Args, Clone, Debug)]
#[expect(rustdoc::bare_urls, reason = "the comments are the text of --help")]
pub struct AccessSettings {
    /// NAME:TOKEN entries, separated by commas: only callers with one of these tokens may ask. A
    /// token has 20 visible ASCII characters or more. Other users of this machine can see flags:
    /// prefer a file or the environment
    #[arg(long, env = "ACCESS_TOKENS", value_name = "TOKENS")]
    pub access_tokens: Option<SecretString>,

    /// A file with such entries, one a line; it is read again when it changes
    #[arg(long, env = "ACCESS_TOKENS_FILE", value_name = "FILE")]
    pub access_tokens_file: Option<PathBuf>,

    /// Start without access tokens also on an address that others can reach: then all of them may
    /// ask
    #[arg(long, env = "ALLOW_ANONYMOUS", value_name = "BOOL", default_value = "false",
        action = clap::ArgAction::Set, value_parser = boolean)]
    pub allow_anonymous: bool,

    /// The addresses or networks of the proxies in front, such as 10.0.0.0/8, separated by commas.
    /// They tell the client's address in X-Forwarded-For
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETWORKS", value_parser = networks)]
    pub trusted_proxies: Option<List<IpNet>>,

    /// The header in which these proxies name the user whom they have signed in, such as
    /// X-Forwarded-User
    #[arg(long, env = "TRUSTED_USER_HEADER", value_name = "HEADER", value_parser = header_name)]
    pub trusted_user_header: Option<String>,

    /// The names of this server, such as chat.example.com, separated by commas. The names of the
    /// loopback interface and the address of the connection are always among them; a request by any
    /// other name is refused
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "NAMES", value_parser = host_names)]
    pub allowed_hosts: Option<List<HostName>>,

    /// Other origins whose pages may use this server, such as https://app.example.com, separated by
    /// commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ORIGINS", value_parser = origins)]
    pub allowed_origins: Option<List<Origin>>,
}

impl AccessSettings {
    pub(super) fn options(self) -> Result<Options, ConfigError> {
        let tokens = tokens(self.access_tokens, self.access_tokens_file)?;
        if self.trusted_user_header.is_some() && self.trusted_proxies.is_none() {
            return Err(ConfigError::NoProxies);
        }
        Ok(Options {
            hosts: List::items(self.allowed_hosts),
            origins: List::items(self.allowed_origins),
            tokens: tokens.map(Arc::new),
            user_header: self.trusted_user_header.map(Into::into),
            proxies: List::items(self.trusted_proxies),
            allow_anonymous: self.allow_anonymous,
            ..Options::default()
        })
    }
}

fn tokens(
    text: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<AccessTokens>, ConfigError> {
    let (name, source) = match (text, file) {
        (Some(_), Some(_)) => return Err(ConfigError::TwoTokenLists),
        (Some(text), None) => ("ACCESS_TOKENS", TokenSource::Text(text)),
        (None, Some(file)) => ("ACCESS_TOKENS_FILE", TokenSource::File(file)),
        (None, None) => return Ok(None),
    };
    let tokens = AccessTokens::read(source);
    tokens
        .map(Some)
        .map_err(|error| ConfigError::Tokens(name, error))
}

/// Values that are separated by commas.
#[derive(Clone, Debug)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    fn parse(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let items = text.split(',').map(|text| item(text.trim()));
        items.collect::<Option<Vec<T>>>().map(Self)
    }

    fn items(list: Option<Self>) -> Vec<T> {
        list.map(|list| list.0).unwrap_or_default()
    }
}

fn host_names(text: &str) -> Result<List<HostName>, String> {
    List::parse(text, HostName::parse).ok_or_else(|| {
        "must be host names such as chat.example.com, separated by commas".to_owned()
    })
}

fn origins(text: &str) -> Result<List<Origin>, String> {
    List::parse(text, Origin::parse).ok_or_else(|| {
        "must be origins such as https://app.example.com, without a path, separated by commas"
            .to_owned()
    })
}

fn networks(text: &str) -> Result<List<IpNet>, String> {
    let network = |text: &str| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(address)
    };
    // Then each client could say that it is another one.
    let is_all = |network: &IpNet| network.prefix_len() == 0;
    List::parse(text, network)
        .filter(|list| !list.0.iter().any(is_all))
        .ok_or_else(|| {
            "must be addresses or networks such as 10.0.0.0/8, separated by commas".to_owned()
        })
}

fn header_name(text: &str) -> Result<String, String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(valid) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be the name of a header, such as X-Forwarded-User".to_owned())
    }
}
