//! The token cache: the one token of the program, and the fetch of the next one.
//!
//! It runs on a thread of its own and serves one query after the other. It knows no HTTP and no
//! source of tokens.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Fuse, FusedFuture as _, FutureExt as _, LocalBoxFuture};
use log::{debug, warn};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};

use super::{failure::no_token, source::Source, token::Token};
use crate::upstream::fault::Fault;

/// How long a reply waits for a token. The fetch itself may go on, and the next reply joins it.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Bounds one fetch with all its retries. A machine's identity can be away for 70 s while it is
/// updated.
const FETCH_TIMEOUT: Duration = Duration::from_secs(75);
/// The shortest time between two renewals of a token that is still valid, successful or not.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two renewals because of a refusal. Without the role every request is
/// refused, and Entra must not be asked for each.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

/// The limits of time; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) token_timeout: Duration,
    pub(super) fetch_timeout: Duration,
    pub(super) renewal_interval: Duration,
    pub(super) refusal_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            token_timeout: TOKEN_TIMEOUT,
            fetch_timeout: FETCH_TIMEOUT,
            renewal_interval: RENEWAL_INTERVAL,
            refusal_interval: REFUSAL_INTERVAL,
        }
    }
}

/// A request for a token.
#[derive(Debug)]
pub(super) struct Query {
    /// The number of a token that was refused.
    pub(super) refused: Option<u64>,
    pub(super) reply: oneshot::Sender<Result<Token, Fault>>,
}

type Fetch = Fuse<LocalBoxFuture<'static, Result<(SecretString, Duration), Fault>>>;

/// Owns the token.
pub(super) struct TokenCache {
    source: Arc<Source>,
    timing: Timing,
    token: Option<Token>,
    fetched: u64,
    fetch: Fetch,
    waiting: Vec<oneshot::Sender<Result<Token, Fault>>>,
    /// A valid token is not renewed before.
    next_renewal: Instant,
    /// A token is not replaced because of a refusal before.
    next_replacement: Instant,
}

impl TokenCache {
    pub(super) fn new(source: Source, timing: Timing) -> Self {
        let now = Instant::now();
        Self {
            source: Arc::new(source),
            timing,
            token: None,
            fetched: 0,
            fetch: Fuse::terminated(),
            waiting: Vec::new(),
            next_renewal: now,
            next_replacement: now,
        }
    }

    /// Serves until the last sender of queries is gone.
    pub(super) async fn serve(mut self, mut queries: mpsc::Receiver<Query>) {
        loop {
            tokio::select! {
                query = queries.recv() => match query {
                    Some(query) => self.take(query),
                    None => return,
                },
                outcome = &mut self.fetch, if !self.fetch.is_terminated() => self.store(outcome),
            }
        }
    }

    fn take(&mut self, query: Query) {
        let now = Instant::now();
        if let Some(refused) = query.refused
            && self
                .token
                .as_ref()
                .is_some_and(|token| token.number == refused)
            && now >= self.next_replacement
        {
            self.next_replacement = now + self.timing.refusal_interval;
            self.token = None;
        }
        match self.token.as_ref().filter(|token| now < token.until) {
            Some(token) => {
                // This fails if the caller no longer waits.
                let _ = query.reply.send(Ok(token.clone()));
                if now >= token.renew_at && now >= self.next_renewal {
                    self.start_fetch();
                }
            }
            None => {
                self.waiting.push(query.reply);
                self.start_fetch();
            }
        }
    }

    /// Starts a fetch, unless one is running.
    fn start_fetch(&mut self) {
        if self.fetch.is_terminated() {
            let (source, limit) = (Arc::clone(&self.source), self.timing.fetch_timeout);
            let fetch = async move {
                let fetched = AssertUnwindSafe(source.fetch()).catch_unwind();
                match tokio::time::timeout(limit, fetched).await {
                    Ok(Ok(outcome)) => outcome,
                    // A response with absurd figures must not end the thread.
                    Ok(Err(_)) => Err(no_token("the response with the Entra token is invalid")),
                    Err(_) => Err(source.timed_out(limit)),
                }
            };
            self.fetch = fetch.boxed_local().fuse();
        }
    }

    fn store(&mut self, outcome: Result<(SecretString, Duration), Fault>) {
        self.next_renewal = Instant::now() + self.timing.renewal_interval;
        let outcome = outcome.map(|(value, lifetime)| {
            self.fetched += 1;
            Token::new(value, lifetime, self.fetched)
        });
        match &outcome {
            Ok(token) => {
                debug!("Entra token fetched");
                self.token = Some(token.clone());
            }
            Err(fault) => warn!(cause:% = fault.cause; "Entra token not fetched"),
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(outcome.clone());
        }
    }
}
