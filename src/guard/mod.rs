//! Guards the HTTP interface: who may ask, and from where.
//!
//! The routes hand over what a request says, as plain text, and answer what is refused. This module
//! knows nothing of HTTP types, of generations and of viewers.

mod hosts;
mod origins;
mod proxies;
mod token;
mod tokens;
mod caller;
mod access;
mod options;

use std::net::IpAddr;

use self::proxies::Proxies;
pub use self::{
    access::{Access, Credentials, Unauthorized},
    caller::{Caller, Network},
    hosts::{HostName, Hosts},
    options::Options,
    origins::{Origin, Origins, Source},
    token::TokenError,
    tokens::{AccessTokens, TokenSource, TokensError},
};

/// What all workers check requests against.
#[derive(Debug)]
pub struct Guard {
    hosts: Hosts,
    origins: Origins,
    access: Access,
}

/// The server would be open to all who can reach it, and no setting says that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenToAll;

impl Guard {
    /// A guard with these options, for a server that listens on `address`.
    ///
    /// # Errors
    ///
    /// [`OpenToAll`].
    pub fn new(options: Options, address: IpAddr) -> Result<Self, OpenToAll> {
        let proxies = Proxies::new(options.proxies);
        let access = Access::new(options.tokens, options.user_header, proxies);
        if access.is_open() && !address.is_loopback() && !options.allow_anonymous {
            return Err(OpenToAll);
        }
        Ok(Self {
            hosts: Hosts::new(options.hosts),
            origins: Origins::new(options.origins),
            access,
        })
    }

    /// The names under which the server may be asked.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The pages whose scripts may use the server.
    #[must_use]
    pub const fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Who may ask.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Reads the access tokens again. Those that are not listed any more are refused from now on.
    pub fn reload(&self) {
        if let Some(tokens) = self.access.tokens() {
            tokens.reload();
        }
    }

    /// Reloads the access tokens whenever their file changes, for as long as it is polled.
    pub async fn watch(&self) {
        match self.access.tokens() {
            Some(tokens) => std::sync::Arc::clone(tokens).watch().await,
            None => std::future::pending().await,
        }
    }
}
