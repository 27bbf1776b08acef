//! The one connection for commands, and whether Redis can be reached.
//!
//! Everybody who finds the connection wanting says so; one task opens the next. Each connection has
//! an epoch, and who keeps a copy in Redis compares it anew in each: what answers may be another
//! server, or the same with an empty memory. A connection counts only once it has carried a write,
//! since a replica that was not yet promoted, or a full server, would answer everything else.
//!
//! This module knows nothing of replies.

use std::{sync::Arc, time::Duration};

use log::{info, warn};
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, Pipeline,
    ProtocolVersion, RedisError, ServerErrorKind, TlsCertificates, Value,
    aio::MultiplexedConnection,
};
use secrecy::ExposeSecret as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, timeout},
};

use super::{LEASE, commands};
use crate::store::options::ReplicationOptions;

/// How long an answer may take. Redis answers in well under a millisecond; who waits longer than
/// this waits for a server that is paused, gone or out of reach.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to open a connection, its first write included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two attempts to open one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How many commands may be on their way on one connection; more wait their turn. Without it a
/// server that has become slow would be answering those that have long given up.
const IN_FLIGHT: usize = 1024;
/// How many connections may be watching keys at once. Bounds what a restart of Redis with thousands
/// of replies costs both sides.
const WATCHING: usize = 4;

/// Redis did not do what it was asked, or it is unknown whether it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble;

/// An open connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    /// Which one it is, counted from 1.
    pub(super) epoch: u64,
    /// Since when it is open.
    pub(super) since: Instant,
}

/// Whether Redis can be reached.
#[derive(Clone)]
pub(super) enum State {
    /// It answers.
    Up(Connection),
    /// It failed just now; nobody knows yet whether it can be reached anew.
    Reconnecting,
    /// It cannot.
    Down,
}

pub(super) struct Link {
    client: Client,
    replica: Arc<str>,
    state: watch::Sender<State>,
    watching: Semaphore,
    /// Connections that have watched keys and may do so again.
    idle: Mutex<Vec<Connection>>,
}

impl Link {
    /// Opens the first connection.
    ///
    /// # Errors
    ///
    /// What is wrong, in a few words that hold no secret.
    pub(super) async fn open(options: &ReplicationOptions, replica: &str) -> Result<Self, String> {
        let link = Self {
            client: client(options)?,
            replica: replica.into(),
            state: watch::Sender::new(State::Down),
            watching: Semaphore::new(WATCHING),
            idle: Mutex::default(),
        };
        let first = link.connect(1).await?;
        link.state.send_replace(State::Up(first));
        Ok(link)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(connection.clone()),
            State::Reconnecting | State::Down => None,
        }
    }

    /// The connection, or the next one if it failed just now and Redis can be reached anew.
    pub(super) async fn connection_soon(&self) -> Option<Connection> {
        let mut changes = self.state.subscribe();
        let settled = changes.wait_for(|state| !matches!(state, State::Reconnecting));
        match &*settled.await.ok()? {
            State::Up(connection) => Some(connection.clone()),
            State::Reconnecting | State::Down => None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Tells of every change of the state from now on.
    pub(super) fn changes(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Sends commands and gives an answer to each; errors of single commands are among them.
    ///
    /// # Errors
    ///
    /// [`Trouble`]; the connection is then given up.
    pub(super) async fn ask(
        &self,
        connection: &Connection,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Trouble> {
        let answers = ask(&mut connection.inner.clone(), pipe).await;
        answers.map_err(|cause| {
            self.give_up(connection, &cause);
            Trouble
        })
    }

    /// A connection of one's own, on which keys can be watched.
    pub(super) async fn watching(&self, epoch: u64) -> Result<Watching<'_>, Trouble> {
        let permit = self.watching.acquire().await.map_err(|_| Trouble)?;
        let idle = {
            let mut idle = self.idle.lock();
            idle.retain(|connection| connection.epoch == epoch);
            idle.pop()
        };
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect(epoch).await.map_err(|_| Trouble)?,
        };
        Ok(Watching {
            link: self,
            connection: Some(connection),
            _permit: permit,
        })
    }

    fn give_up(&self, connection: &Connection, cause: &str) {
        self.state.send_if_modified(|state| {
            let current = matches!(&*state, State::Up(up) if up.epoch == connection.epoch);
            if current {
                warn!(cause = cause; "the connection to Redis failed");
                *state = State::Reconnecting;
            }
            current
        });
    }

    /// Opens a new connection whenever the last one was given up, for as long as it is polled.
    pub(super) async fn keep(&self) {
        let mut changes = self.state.subscribe();
        let mut epoch = 1;
        loop {
            // The sender lives in `self`, so this cannot fail.
            let _ = changes
                .wait_for(|state| !matches!(state, State::Up(_)))
                .await;
            epoch += 1;
            let failed = Instant::now();
            loop {
                match self.connect(epoch).await {
                    Ok(connection) => {
                        let down_ms = u64::try_from(failed.elapsed().as_millis());
                        info!(down_ms = down_ms.unwrap_or(u64::MAX); "connected to Redis anew");
                        self.state.send_replace(State::Up(connection));
                        break;
                    }
                    Err(cause) => {
                        self.state.send_if_modified(|state| {
                            let news = !matches!(state, State::Down);
                            if news {
                                warn!(cause = cause.as_str(); "Redis cannot be reached");
                                *state = State::Down;
                            }
                            news
                        });
                    }
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn connect(&self, epoch: u64) -> Result<Connection, String> {
        let opened = async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_pipeline_buffer_size(IN_FLIGHT)
                .set_concurrency_limit(IN_FLIGHT);
            let client = &self.client;
            let mut inner = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map_err(|error| in_words(&error))?;
            let mut pipe = commands::several();
            commands::renew(&mut pipe, &self.replica, LEASE);
            ask(&mut inner, &pipe).await?;
            Ok::<_, String>(inner)
        };
        let inner = timeout(CONNECT_TIMEOUT, opened)
            .await
            .map_err(|_| "no answer in time".to_owned())??;
        Ok(Connection {
            inner,
            epoch,
            since: Instant::now(),
        })
    }
}

/// The use of a connection of one's own. Not given back unless it is [`Watching::done`].
pub(super) struct Watching<'a> {
    link: &'a Link,
    connection: Option<Connection>,
    _permit: SemaphorePermit<'a>,
}

impl Watching<'_> {
    /// As [`Link::ask`]. A transaction that was undone by a change of what is watched has no
    /// answers.
    pub(super) async fn ask(&mut self, pipe: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let connection = self.connection.as_mut().ok_or(Trouble)?;
        ask(&mut connection.inner, pipe).await.map_err(|cause| {
            warn!(cause = cause.as_str(); "Redis refused to be healed");
            self.connection = None;
            Trouble
        })
    }

    /// Watches a key until the next transaction.
    pub(super) async fn watch(&mut self, key: &str) -> Result<(), Trouble> {
        let mut pipe = commands::several();
        pipe.cmd("WATCH").arg(key);
        self.ask(&pipe).await.map(drop)
    }

    /// Gives the connection back.
    pub(super) async fn done(mut self) {
        let mut pipe = commands::several();
        pipe.cmd("UNWATCH");
        if self.ask(&pipe).await.is_ok() {
            self.link.idle.lock().extend(self.connection.take());
        }
    }
}

async fn ask(
    connection: &mut MultiplexedConnection,
    pipe: &Pipeline,
) -> Result<Vec<Value>, String> {
    let answers: Vec<Value> = pipe
        .query_async(connection)
        .await
        .map_err(|error| in_words(&error))?;
    // A command that does not fit what is stored gets an error of this one kind. Every other says
    // that this is not a server to be written to.
    for answer in &answers {
        if let Value::ServerError(error) = answer
            && error.kind() != Some(ServerErrorKind::ResponseError)
        {
            return Err(error.code().to_owned());
        }
    }
    Ok(answers)
}

/// An error without whatever a server may have put into it.
fn in_words(error: &RedisError) -> String {
    match error.code() {
        Some(code) => code.to_owned(),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => error.category().to_owned(),
    }
}

fn client(options: &ReplicationOptions) -> Result<Client, String> {
    let info = options
        .url
        .expose_secret()
        .into_connection_info()
        .map_err(|_| "it is not understood".to_owned())?;
    // RESP3 carries messages of subscriptions, and tells them from answers.
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let info: ConnectionInfo = info.set_redis_settings(settings);
    let client = match &options.ca {
        Some(pem) => Client::build_with_tls(
            info,
            TlsCertificates {
                client_tls: None,
                root_cert: Some(pem.clone()),
            },
        ),
        None => Client::open(info),
    };
    client.map_err(|error| error.category().to_owned())
}
