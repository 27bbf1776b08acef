//! The connection to Redis that all commands of this process share.
//!
//! Any caller that gets an error marks the connection as failed; one background task reconnects.
//! Each connection has an epoch. Code that stores something in Redis verifies it once per epoch,
//! because a new connection may lead to another server, or to the same one without its data.
//!
//! A connection counts only after every command that is ever sent has worked on it. So a server
//! that answers some commands and refuses others (it is full, read-only, or the user lacks a right)
//! counts as down, and is retried with backoff. This module knows nothing of replies.

use std::{mem::discriminant, time::Duration};

use log::{info, warn};
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

use super::{
    backoff::Backoff,
    commands,
    error::{NO_ANSWER, RedisError, of_code, unreachable},
};
use crate::store::options::ReplicationOptions;

/// How long an answer may take. Redis answers in less than a millisecond, so a server that takes longer
/// than this is paused, down or unreachable.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to open a connection, and then to try every command on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most attempts to connect at the start, if Redis does not answer.
const START_ATTEMPTS_LIMIT: u32 = 4;
/// The longest pause before the next attempt to connect if Redis does not answer. It is short, so that
/// replication resumes soon.
const UNREACHABLE_RETRY_LIMIT: Duration = Duration::from_millis(500);
/// The same if Redis refuses commands: an administrator has to change something first.
const REFUSED_RETRY_LIMIT: Duration = Duration::from_secs(5);
/// A connection that failed sooner than this does not prove that Redis works.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(5);
/// A connection that fails again and again counts as down from this pause on. The first failures do
/// not count: a process that was frozen resyncs its logs before it commits anything.
const DOWN_PAUSE: Duration = Duration::from_millis(320);
/// How often the same error is logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// How many commands may be in flight on one connection; more wait. Without a limit, a slow server
/// would answer callers that have already timed out.
const IN_FLIGHT_LIMIT: usize = 1024;
/// How many exclusive connections may be open. Bounds what a failover of Redis with thousands of
/// replies costs both sides.
const EXCLUSIVE_LIMIT: usize = 4;

/// An open connection. A handle that is cheap to clone.
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

/// This replica's access to Redis.
pub(super) struct Redis {
    client: Client,
    replica: Box<str>,
    state: watch::Sender<State>,
    exclusive: Semaphore,
    /// The last error that was logged.
    reported: Mutex<Option<(RedisError, Instant)>>,
}

/// Repeats a step of the start while Redis does not answer, at most [`START_ATTEMPTS_LIMIT`] times.
///
/// # Errors
///
/// The first refusal, or the error of the last attempt.
pub(super) async fn retry_at_start<T>(
    step: impl AsyncFn() -> Result<T, RedisError>,
) -> Result<T, RedisError> {
    let mut backoff = Backoff::default();
    loop {
        sleep(backoff.next(UNREACHABLE_RETRY_LIMIT)).await;
        match step().await {
            Err(RedisError::Unreachable(_)) if backoff.attempts() < START_ATTEMPTS_LIMIT => {}
            outcome => return outcome,
        }
    }
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
            state: watch::Sender::new(State::Reconnecting(RedisError::Unreachable(String::new()))),
            exclusive: Semaphore::new(EXCLUSIVE_LIMIT),
            reported: Mutex::default(),
        };
        let first = retry_at_start(|| redis.connect(FIRST_EPOCH)).await;
        let first = first.map_err(|error| error.to_string())?;
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
            State::Reconnecting(error) | State::Down(error, _) => Err(error.clone()),
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
            State::Down(RedisError::Refused(_), since) => Some(since.elapsed()),
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
        answers.inspect_err(|error| self.mark_failed(connection, error))
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
        let permit = permit.map_err(|_| unreachable("the server stops"))?;
        let inner = timeout(CONNECT_TIMEOUT, self.dial()).await;
        let inner = inner.map_err(|_| unreachable(NO_ANSWER))?;
        let connection = Connection {
            inner: inner?,
            epoch: 0,
            since: Instant::now(),
        };
        Ok((connection, permit))
    }

    /// Marks a connection as failed because Redis has lost its data.
    pub(super) fn mark_emptied(&self, connection: &Connection) {
        self.mark_failed(connection, &unreachable("it has lost its data"));
    }

    fn mark_failed(&self, connection: &Connection, error: &RedisError) {
        let was_up = self.state.send_if_modified(|state| {
            let was_up = matches!(&*state, State::Up(up) if up.epoch == connection.epoch);
            if was_up {
                *state = State::Reconnecting(error.clone());
            }
            was_up
        });
        if was_up {
            self.report("the connection to Redis failed", error);
        }
    }

    fn mark_down(&self, error: RedisError) {
        self.state.send_modify(|state| {
            let since = match state {
                State::Down(same, since) if discriminant(same) == discriminant(&error) => *since,
                _ => Instant::now(),
            };
            *state = State::Down(error, since);
        });
    }

    /// Logs an error, unless it was logged a moment ago.
    fn report(&self, message: &str, error: &RedisError) {
        let mut reported = self.reported.lock();
        let known = reported
            .as_ref()
            .is_some_and(|(known, when)| known == error && when.elapsed() < REPORT_INTERVAL);
        if !known {
            let cause = error.to_string();
            warn!(cause = cause.as_str(); "{message}");
            *reported = Some((error.clone(), Instant::now()));
        }
    }

    /// Replaces the connection whenever it fails, for as long as it is polled. A new connection
    /// counts only after `restore` has stored again what Redis may have lost.
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
            while let Err(error) = self.connection() {
                let pause = backoff.next(match error {
                    RedisError::Unreachable(_) => UNREACHABLE_RETRY_LIMIT,
                    RedisError::Refused(_) => REFUSED_RETRY_LIMIT,
                });
                if pause >= DOWN_PAUSE {
                    self.mark_down(error);
                }
                sleep(pause).await;
                epoch += 1;
                let connected = async {
                    let connection = self.connect(epoch).await?;
                    restore(connection.clone()).await?;
                    Ok(connection)
                };
                match connected.await {
                    Ok(connection) => {
                        let down_ms = u64::try_from(failed.elapsed().as_millis());
                        info!(down_ms = down_ms.unwrap_or(u64::MAX); "connected to Redis again");
                        self.state.send_replace(State::Up(connection));
                    }
                    Err(error) => {
                        self.report("Redis cannot be used", &error);
                        self.mark_down(error);
                    }
                }
            }
        }
    }

    async fn connect(&self, epoch: u64) -> Result<Connection, RedisError> {
        let opened = async {
            let mut inner = self.dial().await?;
            let answers = ask(&mut inner, &commands::check(&self.replica)).await?;
            works(&answers)?;
            Ok::<_, RedisError>(inner)
        };
        let inner = timeout(CONNECT_TIMEOUT, opened).await;
        let inner = inner.map_err(|_| unreachable(NO_ANSWER))?;
        Ok(Connection {
            inner: inner?,
            epoch,
            since: Instant::now(),
        })
    }

    async fn dial(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(IN_FLIGHT_LIMIT)
            .set_concurrency_limit(IN_FLIGHT_LIMIT);
        let opened = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        opened.await.map_err(|error| RedisError::from(&error))
    }
}

async fn ask(
    connection: &mut MultiplexedConnection,
    pipe: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    let asked = pipe.query_async(connection).await;
    let answers: Vec<Value> = asked.map_err(|error| RedisError::from(&error))?;
    for answer in &answers {
        if let Value::ServerError(error) = answer
            && error.kind() != Some(ServerErrorKind::ResponseError)
            && error.code() != "WRONGTYPE"
        {
            return Err(of_code(error.code()));
        }
    }
    Ok(answers)
}

/// Judges the answers to a check: no command may have failed, and the server must not be a part of
/// a cluster, which would refuse the keys of other parts.
fn works(answers: &[Value]) -> Result<(), RedisError> {
    for answer in answers {
        if let Value::ServerError(error) = answer {
            let code = error.code();
            return Err(RedisError::Refused(format!(
                "a command failed with {code}: it must be Redis 6.2 or later, or Valkey"
            )));
        }
    }
    let mode = match answers.first() {
        Some(Value::Map(fields)) => fields.iter().find_map(|field| match field {
            (Value::BulkString(name), Value::BulkString(mode)) if name == b"mode" => Some(mode),
            _ => None,
        }),
        _ => None,
    };
    match mode.map(Vec::as_slice) {
        Some(b"cluster") => Err(of_code("CLUSTER")),
        _ => Ok(()),
    }
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
