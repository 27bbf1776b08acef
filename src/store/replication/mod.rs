//! Replies that several replicas share, by way of Redis (or Valkey).
//!
//! The replica that took the POST produces the reply and keeps its whole log in memory; that is the
//! truth. Redis holds a copy, which a [`leader`] writes and, after any trouble, compares and heals.
//! Other replicas read the copy: a [`follower`] follows it for all viewers here. [`heartbeat`] renew this
//! replica's lease, look for stops, and find out which producers are [`failover`]; [`pubsub`] listens for the
//! messages that make all of it quick. A message is only ever a hint: what is true is in the log.
//!
//! This is the only module that knows of Redis. It knows nothing of HTTP or of upstream.

mod leader;
mod connection;
mod failover;
mod follower;
mod heartbeat;
mod pubsub;
mod commands;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use self::{
    commands::Pointer,
    connection::{Connection, Link},
    follower::Mirror,
    pubsub::Subscription,
};
use super::{
    error::{CreateError, Unavailable},
    idempotency::Request,
    local_log::StopRequest,
    log::Log,
    memory::Memory,
    options::ReplicationOptions,
    writer::{Created, Writer},
};
use crate::event::{ReplyId, Seq};

/// How long a replica counts as alive after it last said so.
const LEASE: Duration = Duration::from_secs(3);
/// How often it says so, and looks for what others want of it.
const ROUND: Duration = Duration::from_millis(500);
/// How long another POST with the same key waits for the reply that the first one is creating.
const CLAIM: Duration = Duration::from_secs(5);
/// The pause between two looks at that.
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
/// The epoch of no connection: what was copied has to be compared first.
const UNKNOWN: u64 = 0;
/// How long after a reconnect a key that is not there may still be put back by its producer.
const KEYS_COME_BACK: Duration = Duration::from_secs(2);
/// How long a log outlives the longest that its reply can run. Its `end` sets the true time.
const MARGIN: Duration = Duration::from_secs(60);
/// How many pages may be fetched at once. Bounds what thousands of viewers that reconnect in one
/// moment hold in memory and ask of Redis.
const PAGES_AT_ONCE: usize = 32;
/// How many whole logs may be read at once, for snapshots.
const WHOLES_AT_ONCE: usize = 8;
/// How many ended replies are compared at once after a reconnect.
const COMPARED_AT_ONCE: usize = 8;

/// What replicas share.
pub(super) struct Redis {
    /// This process's name among the replicas; a new one with each start.
    replica: String,
    link: Link,
    memory: Memory,
    mirrors: Mutex<HashMap<ReplyId, Arc<Mirror>>>,
    /// Of the replies that are produced here.
    pointers: Mutex<HashMap<ReplyId, Pointer>>,
    pages: Semaphore,
    wholes: Arc<Semaphore>,
    subscriptions: mpsc::UnboundedSender<Subscription>,
    /// How many logs are not yet copied to their end.
    uncopied: watch::Sender<usize>,
    /// Where the work for Redis is done: on one thread, whichever worker has asked for it.
    runtime: Handle,
    retention: Duration,
    max_reply: Duration,
}

/// The work that goes on in the background, for as long as this exists.
pub(super) struct Background(#[expect(dead_code, reason = "its drop ends the tasks")] JoinSet<()>);

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Background")
    }
}

/// Whether a key leads to this reply or to another one.
enum Claim {
    Ours,
    Taken(Log),
}

impl Redis {
    /// Connects, and begins the work in the background.
    ///
    /// # Errors
    ///
    /// What is wrong, in a few words that hold no secret.
    pub(super) async fn connect(
        options: &ReplicationOptions,
        memory: Memory,
        retention: Duration,
    ) -> Result<(Arc<Self>, Background), String> {
        let replica = Uuid::new_v4().to_string();
        let link = Link::open(options, &replica).await?;
        let (subscriptions, asked) = mpsc::unbounded_channel();
        let (let_go, gone) = mpsc::unbounded_channel();
        memory.on_evict(let_go);
        let redis = Arc::new(Self {
            replica,
            link,
            memory,
            mirrors: Mutex::default(),
            pointers: Mutex::default(),
            pages: Semaphore::new(PAGES_AT_ONCE),
            wholes: Arc::new(Semaphore::new(WHOLES_AT_ONCE)),
            subscriptions,
            uncopied: watch::Sender::new(0),
            runtime: Handle::current(),
            retention,
            max_reply: options.max_reply,
        });
        let mut tasks = JoinSet::new();
        let this = || Arc::clone(&redis);
        let link = this();
        tasks.spawn(async move { link.link.keep().await });
        tasks.spawn(heartbeat::run(this()));
        tasks.spawn(pubsub::listen(this(), asked));
        tasks.spawn(leader::compare_ended(this()));
        tasks.spawn(remove_let_go(this(), gone));
        Ok((redis, Background(tasks)))
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Resolves once every log that has its end is copied.
    pub(super) async fn replicated(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .uncopied
            .subscribe()
            .wait_for(|count| *count == 0)
            .await;
    }

    /// As [`super::Store::create`].
    pub(super) async fn create(
        self: &Arc<Self>,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let this = Arc::clone(self);
        // A caller that goes away while Redis is asked must not leave half a reply behind.
        let created = self
            .runtime
            .spawn(async move { this.create_now(request).await });
        created
            .await
            .unwrap_or(Err(CreateError::Unavailable(Unavailable)))
    }

    async fn create_now(self: Arc<Self>, request: Option<Request>) -> Result<Created, CreateError> {
        let id = ReplyId::random();
        let pointer = request.map(|request| Pointer::new(id, &request));
        if self.memory.is_draining() {
            // A reply that is there already is found all the same.
            let existing = match &pointer {
                Some(pointer) => self.existing(pointer).await?,
                None => None,
            };
            return existing.map(Created::Existing).ok_or(CreateError::Draining);
        }
        if let Some(pointer) = &pointer
            && let Claim::Taken(log) = self.claim(pointer).await?
        {
            return Ok(Created::Existing(log));
        }
        self.link.connection_soon().await.ok_or(Unavailable)?;
        let writer = match self.memory.open(id) {
            Ok(writer) => writer,
            Err(refused) => {
                if let Some(pointer) = &pointer {
                    self.release(pointer).await;
                }
                return Err(refused);
            }
        };
        let start = writer.log().batch_after(Seq::ZERO, 1);
        let terms = self.terms(id, pointer.as_ref(), false);
        let pipe = commands::append(&terms, Seq::ZERO, &start.events, false);
        let epoch = match self.ask(&pipe).await {
            Ok((answers, connection)) if commands::created(&answers) => connection.epoch,
            // Nobody knows whether it is there, and its key may have led somebody to it already. So
            // it goes on as any reply does while Redis is in trouble.
            _ => UNKNOWN,
        };
        self.begin_copying(&writer, pointer, epoch);
        Ok(Created::New(writer))
    }

    /// Has the log copied from now on; its `start` was in the connection of this epoch.
    fn begin_copying(self: &Arc<Self>, writer: &Writer, pointer: Option<Pointer>, epoch: u64) {
        let log = Arc::clone(writer.log());
        if let Some(pointer) = pointer {
            self.pointers.lock().insert(log.id(), pointer);
        }
        if epoch != UNKNOWN {
            log.commit(Seq(1));
        }
        self.uncopied.send_modify(|count| *count += 1);
        let this = Arc::clone(self);
        self.runtime.spawn(async move {
            leader::copy(&this, &log, epoch).await;
            this.uncopied.send_modify(|count| *count -= 1);
        });
    }

    /// Makes a key lead to a new reply, unless it leads to one already.
    async fn claim(self: &Arc<Self>, pointer: &Pointer) -> Result<Claim, CreateError> {
        let deadline = Instant::now() + CLAIM;
        loop {
            let connection = self.settled_connection().await?;
            // Never sent again on another connection: that one would not be settled.
            if let Ok(answers) = self
                .link
                .ask(&connection, &commands::claim(pointer, CLAIM))
                .await
            {
                match answers.get(1) {
                    Some(Value::BulkString(stored)) if pointer.is(stored) => {
                        return Ok(Claim::Ours);
                    }
                    // Nothing, where it has expired between the two commands.
                    stored => {
                        if let Some(log) = self.led_to(pointer, stored).await? {
                            return Ok(Claim::Taken(log));
                        }
                    }
                }
            }
            if Instant::now() > deadline {
                return Err(Unavailable.into());
            }
            sleep(CLAIM_PAUSE).await;
        }
    }

    /// A connection on which a missing key is free. Redis may have lost every key before a later
    /// connection than the first was opened; the other replicas get time to restore theirs.
    async fn settled_connection(&self) -> Result<Connection, Unavailable> {
        loop {
            let connection = self.link.connection_soon().await.ok_or(Unavailable)?;
            let settled = connection.since + KEYS_COME_BACK;
            if connection.epoch == 1 || settled <= Instant::now() {
                return Ok(connection);
            }
            // It may fail in the meantime, so the next one is looked at afresh.
            tokio::time::sleep_until(settled).await;
        }
    }

    /// The reply that a key leads to already.
    async fn existing(self: &Arc<Self>, pointer: &Pointer) -> Result<Option<Log>, CreateError> {
        let (answers, _) = self.ask(&commands::pointer_value(pointer)).await?;
        self.led_to(pointer, answers.first()).await
    }

    /// The reply that `stored` leads to, if it is there yet.
    async fn led_to(
        self: &Arc<Self>,
        pointer: &Pointer,
        stored: Option<&Value>,
    ) -> Result<Option<Log>, CreateError> {
        let Some(Value::BulkString(stored)) = stored else {
            return Ok(None);
        };
        let id = pointer.leads_to(stored);
        let id = id.ok_or(CreateError::IdempotencyMismatch)?;
        // Whoever has claimed the key may be about to create it, or to put it back.
        Ok(self.find(id).await.unwrap_or(None))
    }

    /// Lets go of a key for which no reply is created after all. If that fails, the key does so by
    /// itself in a moment.
    async fn release(&self, pointer: &Pointer) {
        if let Ok((answers, _)) = self.ask(&commands::pointer_value(pointer)).await
            && let Some(Value::BulkString(stored)) = answers.first()
            && pointer.is(stored)
        {
            let _ = self.ask(&commands::release(pointer)).await;
        }
    }

    /// As [`super::Store::find`].
    pub(super) async fn find(self: &Arc<Self>, id: ReplyId) -> Result<Option<Log>, Unavailable> {
        if let Some(log) = self.memory.find(id) {
            return Ok(Some(log.into()));
        }
        follower::find(self, id).await
    }

    /// Sends commands that may be sent twice, on a new connection if the one at hand turns out to
    /// have failed. Gives the answers, and the connection on which they came.
    async fn ask(&self, pipe: &Pipeline) -> Result<(Vec<Value>, Connection), Unavailable> {
        for _ in 0..2 {
            let connection = self.link.connection_soon().await.ok_or(Unavailable)?;
            if let Ok(answers) = self.link.ask(&connection, pipe).await {
                return Ok((answers, connection));
            }
        }
        Err(Unavailable)
    }

    /// Asks a producer on this replica to stop.
    fn stop_here(&self, id: ReplyId) {
        if let Some(log) = self.memory.find(id) {
            log.request_stop(StopRequest::Viewer);
        }
    }

    fn terms<'a>(
        &'a self,
        id: ReplyId,
        pointer: Option<&'a Pointer>,
        ended: bool,
    ) -> commands::Terms<'a> {
        let keep = if ended {
            self.retention
        } else {
            self.max_reply + self.retention + MARGIN
        };
        commands::Terms {
            id,
            owner: &self.replica,
            pointer,
            keep,
        }
    }
}

/// Removes from Redis what was let go here before its time. What was let go in time is gone there
/// in the same moment.
async fn remove_let_go(redis: Arc<Redis>, mut gone: mpsc::UnboundedReceiver<ReplyId>) {
    while let Some(id) = gone.recv().await {
        let pointer = redis.pointers.lock().remove(&id);
        if let Some(connection) = redis.link.connection() {
            // If it fails, its time there ends by itself.
            let pipe = commands::remove(id, pointer.as_ref());
            let _ = redis.link.ask(&connection, &pipe).await;
        }
    }
}
