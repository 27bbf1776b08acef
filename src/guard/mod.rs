//! Guards the HTTP interface: who may ask, from where, and what it may cost.
//!
//! The routes hand over what a request says, as plain text, and answer what is refused. This module
//! knows nothing of HTTP types, of generations and of viewers.

mod clock;
mod hosts;
mod origins;
mod proxies;
mod token;
mod tokens;
mod caller;
mod session;
mod access;
mod limits;
mod rates;
mod running;
mod refusal;
mod budget;
mod costs;
mod options;

use std::{net::IpAddr, sync::Arc};

use self::proxies::Proxies;
pub use self::{
    access::{Access, Credentials, Opened, Unauthorized},
    caller::{Caller, Network},
    clock::Clock,
    costs::{Admission, Costs, NotAdmitted},
    hosts::{HostName, Hosts},
    limits::{Limits, OUTPUT_TOKENS},
    options::Options,
    origins::{Origin, Origins, Source},
    refusal::{Reason, Refusal, Refusals},
    session::SESSION_TTL,
    token::TokenError,
    tokens::{AccessTokens, TokenSource, TokensError},
};

/// What all workers check requests against.
#[derive(Debug)]
pub struct Guard {
    hosts: Hosts,
    origins: Origins,
    access: Access,
    costs: Costs,
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
        let access = Access::new(
            options.tokens,
            options.user_header,
            proxies,
            options.clock.clone(),
        );
        if access.is_open() && !address.is_loopback() && !options.allow_anonymous {
            return Err(OpenToAll);
        }
        Ok(Self {
            hosts: Hosts::new(options.hosts),
            origins: Origins::new(options.origins),
            access,
            costs: Costs::new(&options.limits, &options.clock),
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

    /// What callers may cost.
    #[must_use]
    pub const fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Reads the access tokens again. Those that are not listed any more are refused from now on.
    pub fn reload(&self) {
        if let Some(tokens) = self.access.tokens() {
            tokens.reload();
        }
    }

    /// Reloads the access tokens whenever their file changes, and logs refusals, for as long as it is polled.
    pub async fn watch(&self) {
        let tokens = async {
            if let Some(tokens) = self.access.tokens() {
                Arc::clone(tokens).watch().await;
            }
        };
        tokio::join!(tokens, self.costs.report());
    }
}
