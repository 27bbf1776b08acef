//! Tokens of Microsoft Entra ID, one at a time for the whole program.
//!
//! ```text
//! worker ─request─┐
//! worker ─request─┤▶ cache, on a thread of its own ─▶ source: azure_identity ─▶ bridge ─▶ client ─▶ Entra, IMDS
//! ```
//!
//! The cache keeps one token and renews it early, while requests still use the old one. However many
//! requests ask, it fetches once; a failure is shared in the same way. This module knows nothing of
//! deployments: whether a token was refused is for them to say.

mod bridge;
mod cache;
mod failure;
mod source;
mod token;

use std::{io, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

pub(super) use self::token::Token;
use self::{
    bridge::{HttpBridge, LastFailure},
    cache::{Query, Timing, TokenCache},
    failure::{no_token, sources_failed},
    source::Source,
};
use super::{cause::TokenReason, fault::Fault, options::IdentityOptions, transport::Network};

/// The most queries that wait for the cache, which takes microseconds for each.
const MAX_QUERIES: usize = 64;

/// The program's identity. Cheap to clone; all clones share one token.
#[derive(Clone, Debug)]
pub struct Identity {
    queries: mpsc::Sender<Query>,
    source: &'static str,
    last_failure: LastFailure,
    token_timeout: Duration,
}

impl Identity {
    /// Starts the thread that fetches tokens; it ends with the last clone. It fetches nothing yet.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start(options: &IdentityOptions, network: &Network) -> io::Result<Self> {
        Self::start_with(options, network, Timing::default(), |_| {})
    }

    fn start_with(
        options: &IdentityOptions,
        network: &Network,
        timing: Timing,
        adapt: impl FnOnce(&mut Source) + Send + 'static,
    ) -> io::Result<Self> {
        let (queries, received) = mpsc::channel(MAX_QUERIES);
        let last_failure = LastFailure::default();
        let identity = Self {
            queries,
            source: source::name(&options.source),
            last_failure: last_failure.clone(),
            token_timeout: timing.token_timeout,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (options, network) = (options.clone(), network.clone());
        std::thread::Builder::new()
            .name("entra".to_owned())
            .spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    let http = Arc::new(HttpBridge::start(&network, last_failure.clone()));
                    let mut source = Source::new(options, http, last_failure);
                    adapt(&mut source);
                    TokenCache::new(source, timing).serve(received).await;
                });
            })?;
        Ok(identity)
    }

    /// A token that is valid now.
    ///
    /// # Errors
    ///
    /// A [`Fault`] with `upstream_auth`, whose cause names the source, the reason and a remedy.
    pub(super) async fn token(&self) -> Result<Token, Fault> {
        self.query(None).await
    }

    /// A token to use instead of one that was refused. `None` if that token is new itself, so that
    /// another one would be refused too.
    ///
    /// # Errors
    ///
    /// As [`Identity::token`].
    pub(super) async fn replace(&self, refused: &Token) -> Result<Option<Token>, Fault> {
        let token = self.query(Some(refused.number)).await?;
        Ok((token.number != refused.number).then_some(token))
    }

    async fn query(&self, refused: Option<u64>) -> Result<Token, Fault> {
        let ended = || no_token("the thread that fetches Entra tokens has ended");
        let (reply, token) = oneshot::channel();
        let query = Query { refused, reply };
        self.queries.send(query).await.map_err(|_| ended())?;
        match tokio::time::timeout(self.token_timeout, token).await {
            Ok(Ok(token)) => token,
            Ok(Err(_)) => Err(ended()),
            Err(_) => {
                let last = self.last_failure.get().map(Box::new);
                let reason = TokenReason::TimedOut(self.token_timeout, last);
                Err(sources_failed(
                    [(self.source, reason)],
                    source::CHECK_NETWORK,
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
