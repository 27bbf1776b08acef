//! Tokens of Microsoft Entra ID, one at a time for the whole program.
//!
//! ```text
//! worker ─ask─┐
//! worker ─ask─┤▶ Desk, on a thread of its own ─▶ source: azure_identity ─▶ wire: awc ─▶ Entra, IMDS
//! ```
//!
//! The desk keeps one token, renews it early and beside the requests that still use the old one, and
//! however many ask, it fetches once; a failure too is shared. This module knows nothing of
//! deployments: what a token opens, and whether it was refused, a deployment tells it.

mod source;
mod token;
mod wire;

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Fuse, FusedFuture as _, FutureExt as _, LocalBoxFuture};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};

pub(super) use self::token::Token;
use self::{
    source::Source,
    wire::{LastAnswer, Wire},
};
use super::{client::Tls, diagnosis::Diagnosis, fault::Fault};
use crate::{event::ErrorCode, upstream::options::IdentityOptions};

/// How long a reply waits for a token. The fetch itself may go on, and the next reply joins it.
const PATIENCE: Duration = Duration::from_secs(30);
/// For one fetch with all its retries: a machine's identity can be away for 70 s while it is updated.
const FETCH_TIMEOUT: Duration = Duration::from_secs(75);
/// Between two renewals of a token that is still good, whether they succeed or not.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// Between two renewals because of a refusal: without the role every reply is refused, and Entra must
/// not be asked for each.
const REFUSAL_PAUSE: Duration = Duration::from_secs(60);
/// The most that wait to be heard at the desk; it hears each within microseconds.
const MAX_ASKS: usize = 64;

/// How long things may take; tests are less patient.
#[derive(Clone, Copy, Debug)]
struct Times {
    patience: Duration,
    fetch: Duration,
    renewal_pause: Duration,
    refusal_pause: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            fetch: FETCH_TIMEOUT,
            renewal_pause: RENEWAL_PAUSE,
            refusal_pause: REFUSAL_PAUSE,
        }
    }
}

/// The program's identity. Cheap to clone; all clones share one token.
#[derive(Clone, Debug)]
pub struct Identity {
    asks: mpsc::Sender<Ask>,
    name: &'static str,
    last_answer: LastAnswer,
    patience: Duration,
}

#[derive(Debug)]
struct Ask {
    /// The number of a token that was refused.
    refused: Option<u64>,
    answer: oneshot::Sender<Result<Token, Fault>>,
}

impl Identity {
    /// Starts the thread that fetches tokens; it ends with the last clone. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// If the thread could not be started.
    pub fn start(config: &IdentityOptions, tls: &Tls) -> io::Result<Self> {
        Self::start_with(config, tls, Times::default(), |_| {})
    }

    fn start_with(
        config: &IdentityOptions,
        tls: &Tls,
        times: Times,
        adapt: impl FnOnce(&mut Source) + Send + 'static,
    ) -> io::Result<Self> {
        let (asks, asked) = mpsc::channel(MAX_ASKS);
        let last_answer = LastAnswer::default();
        let identity = Self {
            asks,
            name: source::name(&config.source),
            last_answer: last_answer.clone(),
            patience: times.patience,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (config, tls) = (config.clone(), tls.clone());
        std::thread::Builder::new()
            .name("entra".to_owned())
            .spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    let wire = Arc::new(Wire::start(&tls, last_answer.clone()));
                    let mut source = Source::new(config, wire, last_answer);
                    adapt(&mut source);
                    Desk::new(source, times).serve(asked).await;
                });
            })?;
        Ok(identity)
    }

    /// A token that is good now.
    pub(super) async fn token(&self) -> Result<Token, Fault> {
        self.ask(None).await
    }

    /// Another token than the one that was refused; `None` if there was a new one only just now, so
    /// that it is not the token's fault.
    pub(super) async fn instead_of(&self, refused: &Token) -> Result<Option<Token>, Fault> {
        let token = self.ask(Some(refused.number)).await?;
        Ok((token.number != refused.number).then_some(token))
    }

    async fn ask(&self, refused: Option<u64>) -> Result<Token, Fault> {
        let (answer, answered) = oneshot::channel();
        if self.asks.send(Ask { refused, answer }).await.is_err() {
            return Err(failed("the thread that fetches tokens has ended"));
        }
        match tokio::time::timeout(self.patience, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(failed("the thread that fetches tokens has ended")),
            Err(_) => {
                let last = self.last_answer.get();
                Err(failed(&format!(
                    "{} gave no token within {} s ({}): check the network between this machine and it",
                    self.name,
                    self.patience.as_secs_f32(),
                    last.as_deref().unwrap_or("no answer at all"),
                )))
            }
        }
    }
}

fn failed(why: &str) -> Fault {
    let cause = format!("no token of Entra's: {why}");
    Fault {
        diagnosis: Diagnosis::Identity,
        ..Fault::new(ErrorCode::UpstreamAuth, cause)
    }
}

type Fetch = Fuse<LocalBoxFuture<'static, Result<(SecretString, Duration), Fault>>>;

/// Where all ask. Owns the token.
struct Desk {
    source: Arc<Source>,
    times: Times,
    token: Option<Token>,
    fetched: u64,
    fetch: Fetch,
    waiting: Vec<oneshot::Sender<Result<Token, Fault>>>,
    /// No renewal of a good token before.
    next_renewal: Instant,
    /// No renewal because of a refusal before.
    next_refusal: Instant,
}

impl Desk {
    fn new(source: Source, times: Times) -> Self {
        let now = Instant::now();
        Self {
            source: Arc::new(source),
            times,
            token: None,
            fetched: 0,
            fetch: Fuse::terminated(),
            waiting: Vec::new(),
            next_renewal: now,
            next_refusal: now,
        }
    }

    async fn serve(mut self, mut asked: mpsc::Receiver<Ask>) {
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return,
                },
                outcome = &mut self.fetch, if !self.fetch.is_terminated() => self.keep(outcome),
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        let now = Instant::now();
        if let Some(refused) = ask.refused
            && self
                .token
                .as_ref()
                .is_some_and(|token| token.number == refused)
            && now >= self.next_refusal
        {
            self.next_refusal = now + self.times.refusal_pause;
            self.token = None;
        }
        match self.token.as_ref().filter(|token| now < token.until) {
            Some(token) => {
                // Who asked no longer waits if this fails.
                let _ = ask.answer.send(Ok(token.clone()));
                if now >= token.renew_at && now >= self.next_renewal {
                    self.begin();
                }
            }
            None => {
                self.waiting.push(ask.answer);
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        if self.fetch.is_terminated() {
            let (source, limit) = (Arc::clone(&self.source), self.times.fetch);
            let fetch = async move {
                let fetched = AssertUnwindSafe(source.fetch()).catch_unwind();
                match tokio::time::timeout(limit, fetched).await {
                    Ok(Ok(outcome)) => outcome,
                    // An answer with absurd figures must not end the thread.
                    Ok(Err(_)) => Err(failed("its answer could not be read")),
                    Err(_) => Err(source.silent(limit)),
                }
            };
            self.fetch = fetch.boxed_local().fuse();
        }
    }

    fn keep(&mut self, outcome: Result<(SecretString, Duration), Fault>) {
        self.next_renewal = Instant::now() + self.times.renewal_pause;
        let outcome = outcome.map(|(value, lifetime)| {
            self.fetched += 1;
            Token::new(value, lifetime, self.fetched)
        });
        match &outcome {
            Ok(token) => {
                log::debug!("a token of Entra's was fetched");
                self.token = Some(token.clone());
            }
            Err(fault) => {
                log::warn!(cause = fault.cause.as_str(); "no token of Entra's");
            }
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests;
