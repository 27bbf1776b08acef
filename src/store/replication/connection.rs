//! The connection to Redis that all commands of this process share.
//!
//! Any caller that gets an error marks the connection as failed; one background task reconnects.
//! Each connection has an epoch. Whoever keeps something in Redis verifies it once per epoch, because
//! a new connection may lead to another server, or to the same one with an empty memory.
//!
//! A connection counts only after every command that is ever sent has worked on it. So a server
//! that answers some commands and refuses others (it is full, read-only, or the user lacks a right)
//! counts as down, and is tried again with growing pauses. This module knows nothing of replies.

use std::{fmt, time::Duration};

use log::{debug, info, warn};
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, Pipeline, ProtocolVersion,
    ServerErrorKind, TlsCertificates, Value, aio::MultiplexedConnection,
};
use secrecy::ExposeSecret as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, timeout},
};

use super::{backoff::Backoff, commands};
use crate::store::options::ReplicationOptions;

/// How long an answer may take. Redis answers in well under a millisecond, so a server that takes
/// longer than this is paused, gone or out of reach.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to open a connection, and then to try every command on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest pause before the next attempt to connect, if Redis does not answer: it must be
/// noticed soon when it does.
const UNREACHABLE_RETRY_LIMIT: Duration = Duration::from_millis(500);
/// The same if Redis refuses to work: somebody has to change something first.
const REFUSED_RETRY_LIMIT: Duration = Duration::from_secs(5);
/// A connection that failed sooner than this does not prove that Redis works.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How often the same fault is logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// How many commands may be on their way on one connection; more wait. Without a limit, a server
/// that has become slow would answer callers that have long given up.
const IN_FLIGHT_LIMIT: usize = 1024;
/// How many exclusive connections may be open. Bounds what a failover of Redis with thousands of
/// replies costs both sides.
const EXCLUSIVE_LIMIT: usize = 4;

/// Why Redis did not do what it was asked; nobody knows whether it did a part of it.
///
/// An error that concerns one key or one command only (`WRONGTYPE`, `ERR`) is no `RedisError`: it
/// stands among the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedisError {
    /// There is no answer, or Redis is starting: another connection or a little time can cure it.
    Unreachable,
    /// Redis refuses, and will do so until an administrator changes something.
    Refused,
}

/// A [`RedisError`] with its cause, in a few words without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    class: RedisError,
    cause: String,
    remedy: Option<&'static str>,
}

/// An open connection. A cheap handle, to be cloned.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    /// Counts the connections of this process, from 1; 0 for an exclusive one.
    pub(super) epoch: u64,
    /// When it was opened.
    pub(super) since: Instant,
}

/// The epoch of the connection that is opened at the start.
pub(super) const FIRST_EPOCH: u64 = 1;

/// Whether Redis can be used.
#[derive(Clone)]
pub(super) enum State {
    /// It can, on this connection.
    Up(Connection),
    /// The connection failed just now, and another one is being opened.
    Reconnecting(RedisError),
    /// It cannot, for this reason since this moment.
    Down(RedisError, Instant),
}

/// Redis as this replica reaches it.
pub(super) struct Redis {
    client: Client,
    replica: Box<str>,
    state: watch::Sender<State>,
    exclusive: Semaphore,
    /// The last fault that was logged.
    reported: Mutex<Option<(String, Instant)>>,
}

impl Redis {
    /// Opens the first connection, and tries every command on it.
    ///
    /// # Errors
    ///
    /// Why Redis cannot be used, and what to do, in one line without secrets.
    pub(super) async fn open(options: &ReplicationOptions, replica: &str) -> Result<Self, String> {
        let redis = Self {
            client: client(options)?,
            replica: replica.into(),
            state: watch::Sender::new(State::Reconnecting(RedisError::Unreachable)),
            exclusive: Semaphore::new(EXCLUSIVE_LIMIT),
            reported: Mutex::default(),
        };
        let first = redis.connect(FIRST_EPOCH).await;
        let first = first.map_err(|fault| fault.to_string())?;
        redis.state.send_replace(State::Up(first));
        Ok(redis)
    }

    /// For a connection that receives messages.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// The name of this process among the replicas; each start has a new one.
    pub(super) const fn replica(&self) -> &str {
        &self.replica
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Receives every change of the state from now on.
    pub(super) fn changes(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The connection, if Redis can be used.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if it cannot.
    pub(super) fn connection(&self) -> Result<Connection, RedisError> {
        match &*self.state.borrow() {
            State::Up(connection) => Ok(connection.clone()),
            State::Reconnecting(class) | State::Down(class, _) => Err(*class),
        }
    }

    /// The connection; while it is being replaced, waits for the outcome.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if Redis cannot be used.
    pub(super) async fn connection_soon(&self) -> Result<Connection, RedisError> {
        let mut changes = self.state.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = changes
            .wait_for(|state| !matches!(state, State::Reconnecting(_)))
            .await;
        self.connection()
    }

    /// How long Redis has been refusing to work; `None` if it does not.
    pub(super) fn refused_for(&self) -> Option<Duration> {
        match &*self.state.borrow() {
            State::Down(RedisError::Refused, since) => Some(since.elapsed()),
            _ => None,
        }
    }

    /// Sends commands on a connection. Gives one answer to each, `WRONGTYPE` and `ERR` among them;
    /// none for a transaction that was not executed because a watched key had changed.
    ///
    /// # Errors
    ///
    /// [`RedisError`]; the connection is then marked as failed.
    pub(super) async fn ask(
        &self,
        connection: &Connection,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, RedisError> {
        let answers = ask(&mut connection.inner.clone(), pipe).await;
        answers.map_err(|fault| self.mark_failed(connection, &fault))
    }

    /// Sends commands that may be repeated: once more on the next connection if this one fails.
    /// Gives the answers and the connection on which they came.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if that fails, too.
    pub(super) async fn ask_twice(
        &self,
        pipe: &Pipeline,
    ) -> Result<(Vec<Value>, Connection), RedisError> {
        let mut connection = self.connection_soon().await?;
        let mut answers = self.ask(&connection, pipe).await;
        if answers.is_err() {
            connection = self.connection_soon().await?;
            answers = self.ask(&connection, pipe).await;
        }
        Ok((answers?, connection))
    }

    /// Opens a connection for one caller, on which keys can be watched. An error on it says nothing
    /// about the shared one.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if it cannot be opened.
    pub(super) async fn exclusive(&self) -> Result<(Connection, SemaphorePermit<'_>), RedisError> {
        let permit = self.exclusive.acquire().await;
        let permit = permit.map_err(|_| RedisError::Unreachable)?;
        let inner = timeout(CONNECT_TIMEOUT, self.dial()).await;
        let inner = inner.map_err(|_| RedisError::Unreachable)?;
        let connection = Connection {
            inner: inner.map_err(|fault| fault.class)?,
            epoch: 0,
            since: Instant::now(),
        };
        Ok((connection, permit))
    }

    /// Marks a connection as failed because Redis has forgotten what was stored on it.
    pub(super) fn mark_emptied(&self, connection: &Connection) {
        let fault = Fault::unreachable("it has lost its data");
        self.mark_failed(connection, &fault);
    }

    fn mark_failed(&self, connection: &Connection, fault: &Fault) -> RedisError {
        let was_up = self.state.send_if_modified(|state| {
            let was_up = matches!(&*state, State::Up(up) if up.epoch == connection.epoch);
            if was_up {
                *state = State::Reconnecting(fault.class);
            }
            was_up
        });
        if was_up {
            self.report("the connection to Redis failed", fault);
        }
        fault.class
    }

    fn mark_down(&self, class: RedisError) {
        self.state.send_modify(|state| match state {
            State::Down(same, _) if *same == class => {}
            state => *state = State::Down(class, Instant::now()),
        });
    }

    /// Logs a fault, unless it was logged a moment ago.
    fn report(&self, message: &str, fault: &Fault) {
        let cause = fault.to_string();
        let mut reported = self.reported.lock();
        let known = reported
            .as_ref()
            .is_some_and(|(known, when)| *known == cause && when.elapsed() < REPORT_INTERVAL);
        if known {
            debug!(cause = cause.as_str(); "{message}");
        } else {
            warn!(cause = cause.as_str(); "{message}");
            *reported = Some((cause, Instant::now()));
        }
    }

    /// Replaces the connection whenever it fails, for as long as it is polled. A new connection
    /// counts only after `restore` has put back what Redis may have lost.
    pub(super) async fn keep_connected<F>(&self, restore: impl Fn(Connection) -> F)
    where
        F: Future<Output = Result<(), RedisError>>,
    {
        let mut changes = self.state.subscribe();
        let mut backoff = Backoff::default();
        let mut epoch = FIRST_EPOCH;
        loop {
            let opened = Instant::now();
            // The sender lives in `self`, so this cannot fail.
            let _ = changes
                .wait_for(|state| !matches!(state, State::Up(_)))
                .await;
            let failed = Instant::now();
            if failed - opened >= STABLE_AFTER {
                backoff.reset();
            }
            while let Err(class) = self.connection() {
                let pause = backoff.next(match class {
                    RedisError::Unreachable => UNREACHABLE_RETRY_LIMIT,
                    RedisError::Refused => REFUSED_RETRY_LIMIT,
                });
                if !pause.is_zero() {
                    self.mark_down(class);
                    sleep(pause).await;
                }
                epoch += 1;
                match self.connect_and_restore(epoch, &restore).await {
                    Ok(connection) => {
                        let down_ms = u64::try_from(failed.elapsed().as_millis());
                        info!(down_ms = down_ms.unwrap_or(u64::MAX); "connected to Redis again");
                        self.state.send_replace(State::Up(connection));
                    }
                    Err(fault) => {
                        self.report("Redis cannot be used", &fault);
                        self.mark_down(fault.class);
                    }
                }
            }
        }
    }

    async fn connect_and_restore<F>(
        &self,
        epoch: u64,
        restore: &impl Fn(Connection) -> F,
    ) -> Result<Connection, Fault>
    where
        F: Future<Output = Result<(), RedisError>>,
    {
        let connection = self.connect(epoch).await?;
        let restored = restore(connection.clone()).await;
        restored.map_err(|class| Fault {
            class,
            cause: "claims could not be restored".to_owned(),
            remedy: None,
        })?;
        Ok(connection)
    }

    async fn connect(&self, epoch: u64) -> Result<Connection, Fault> {
        let opened = async {
            let mut inner = self.dial().await?;
            let answers = ask(&mut inner, &commands::check(&self.replica)).await?;
            works(&answers)?;
            Ok::<_, Fault>(inner)
        };
        let inner = timeout(CONNECT_TIMEOUT, opened).await;
        let inner = inner.map_err(|_| Fault::unreachable("no answer in time"))?;
        Ok(Connection {
            inner: inner?,
            epoch,
            since: Instant::now(),
        })
    }

    async fn dial(&self) -> Result<MultiplexedConnection, Fault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(IN_FLIGHT_LIMIT)
            .set_concurrency_limit(IN_FLIGHT_LIMIT);
        let opened = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        opened.await.map_err(|error| Fault::from(&error))
    }
}

async fn ask(connection: &mut MultiplexedConnection, pipe: &Pipeline) -> Result<Vec<Value>, Fault> {
    let answers: Vec<Value> = pipe
        .query_async(connection)
        .await
        .map_err(|error| Fault::from(&error))?;
    for answer in &answers {
        if let Value::ServerError(error) = answer
            && error.kind() != Some(ServerErrorKind::ResponseError)
            && error.code() != "WRONGTYPE"
        {
            return Err(Fault::of_code(error.code()));
        }
    }
    Ok(answers)
}

/// Judges the answers to a check: no command may have failed, and the server must not be a part of
/// a cluster, which would refuse the keys of other parts.
fn works(answers: &[Value]) -> Result<(), Fault> {
    let failed = answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(Fault {
            class: RedisError::Refused,
            cause: format!("a command failed with {}", error.code()),
            remedy: Some("it must be Redis 6.2 or later, or Valkey, with all commands enabled"),
        }),
        _ => None,
    });
    let mode = answers.first().and_then(|answer| match answer {
        Value::Map(fields) => fields.iter().find_map(|field| match field {
            (Value::BulkString(name), Value::BulkString(mode)) if name == b"mode" => Some(mode),
            _ => None,
        }),
        _ => None,
    });
    match (failed, mode) {
        (Some(fault), _) => Err(fault),
        (None, Some(mode)) if mode == b"cluster" || mode == b"sentinel" => Err(Fault {
            class: RedisError::Refused,
            cause: format!("it runs in {} mode", String::from_utf8_lossy(mode)),
            remedy: Some("REDIS_URL must lead to a single primary"),
        }),
        (None, _) => Ok(()),
    }
}

impl Fault {
    fn unreachable(cause: &str) -> Self {
        Self {
            class: RedisError::Unreachable,
            cause: cause.to_owned(),
            remedy: None,
        }
    }

    /// Classifies an error code of Redis.
    fn of_code(code: &str) -> Self {
        let remedy = match code {
            "NOPERM" => Some("give the user the rights that deploy/users.acl lists"),
            "NOAUTH" | "WRONGPASS" => Some("check the user and the password in REDIS_URL"),
            "READONLY" => Some("REDIS_URL must lead to the primary"),
            "OOM" => Some("raise maxmemory, or lower RETENTION_SECONDS or MAX_REPLIES"),
            "MISCONF" => Some("Redis cannot save to its disk: see its log"),
            "NOREPLICAS" => Some("Redis has fewer replicas than min-replicas-to-write"),
            "CLUSTERDOWN" | "MOVED" | "ASK" | "CROSSSLOT" => {
                Some("a cluster is not supported: REDIS_URL must lead to a single primary")
            }
            // One of the transaction's commands was refused; a check tells which.
            "EXECABORT" => None,
            _ => return Self::unreachable(code),
        };
        Self {
            class: RedisError::Refused,
            cause: code.to_owned(),
            remedy,
        }
    }
}

impl From<&redis::RedisError> for Fault {
    /// Leaves out whatever a server may have put into an error's text.
    fn from(error: &redis::RedisError) -> Self {
        match error.code() {
            Some(code) => Self::of_code(code),
            None if error.is_timeout() => Self::unreachable("no answer in time"),
            None => Self::unreachable(error.category()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        match self.remedy {
            Some(remedy) => write!(f, ": {remedy}"),
            None => Ok(()),
        }
    }
}

/// Says why a connection cannot be used, and what to do.
pub(super) fn describe(error: &redis::RedisError) -> String {
    Fault::from(error).to_string()
}

fn client(options: &ReplicationOptions) -> Result<Client, String> {
    let info = options.url.expose_secret().into_connection_info();
    let info = info.map_err(|_| "it is not a Redis URL".to_owned())?;
    // RESP3 carries published messages, and tells them from answers.
    let settings = info.redis_settings().clone();
    let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
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
