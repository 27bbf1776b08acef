//! The connection that receives published messages: notifications for followers, and the sign that
//! there is something in this replica's inbox.
//!
//! Messages only make things quick. Followers and the heartbeat also look by themselves, so that a
//! lost message costs a second at most. After each reconnect every subscriber looks once. This
//! module knows nothing of logs.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use log::warn;
use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};

use super::{
    backoff::Backoff,
    commands,
    connection::Redis,
    notification::{self, Notification},
};
use crate::event::ReplyId;

/// How long a connection may take to open, and an answer to come.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a silent connection is tested.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause before the next attempt to connect.
const RETRY_LIMIT: Duration = Duration::from_secs(2);
/// A connection that failed sooner than this does not prove that subscriptions work.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// The most notifications that wait for one subscriber; after more it reads the log instead.
const MAILBOX_LIMIT: usize = 64;

/// What a subscriber receives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A notification.
    Notification(Notification),
    /// Notifications may have been lost: look by yourself.
    Gap,
}

/// The subscriptions of this process.
#[derive(Default)]
pub(super) struct PubSub {
    mailboxes: Mutex<HashMap<ReplyId, Arc<Mailbox>>>,
    /// Wakes the task that talks to Redis: the set of mailboxes has changed.
    changes: Mutex<Option<mpsc::UnboundedSender<ReplyId>>>,
    /// There may be something in this replica's inbox.
    inbox: Notify,
}

/// The right to receive a reply's notifications, until it is dropped.
pub(super) struct Subscription {
    id: ReplyId,
    mailbox: Arc<Mailbox>,
    pubsub: Arc<PubSub>,
}

#[derive(Default)]
struct Mailbox {
    state: Mutex<MailboxState>,
    arrived: Notify,
}

#[derive(Default)]
struct MailboxState {
    notifications: VecDeque<Notification>,
    gap: bool,
}

impl PubSub {
    /// Subscribes to a reply's notifications. One subscription to a reply may exist at a time.
    pub(super) fn subscribe(self: &Arc<Self>, id: ReplyId) -> Subscription {
        let mailbox = Arc::<Mailbox>::default();
        self.mailboxes.lock().insert(id, Arc::clone(&mailbox));
        self.changed(id);
        Subscription {
            id,
            mailbox,
            pubsub: Arc::clone(self),
        }
    }

    /// Resolves once there may be something in this replica's inbox.
    pub(super) async fn inbox(&self) {
        self.inbox.notified().await;
    }

    /// Says that there may be something more in this replica's inbox.
    pub(super) fn ring_inbox(&self) {
        self.inbox.notify_one();
    }

    fn changed(&self, id: ReplyId) {
        if let Some(changes) = &*self.changes.lock() {
            // An error says that the connection is being replaced; the next one begins with all.
            let _ = changes.send(id);
        }
    }

    /// Opens a connection on which messages arrive.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(super) async fn open(self: &Arc<Self>, redis: &Redis) -> redis::RedisResult<Listener> {
        let closed = Arc::new(Notify::new());
        let (pubsub, on_close) = (Arc::downgrade(self), Arc::clone(&closed));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    on_close.notify_one();
                } else if let Some(pubsub) = pubsub.upgrade() {
                    pubsub.receive(&push);
                }
                Ok::<(), Infallible>(())
            });
        let (sender, changes) = mpsc::unbounded_channel();
        *self.changes.lock() = Some(sender);
        let opened = redis
            .client()
            .get_multiplexed_async_connection_with_config(&config);
        let mut listener = Listener {
            pubsub: Arc::clone(self),
            connection: opened.await?,
            changes,
            closed,
        };
        let inbox = commands::inbox(redis.replica());
        listener.connection.subscribe(inbox).await?;
        self.inbox.notify_one();
        // A change that comes from here on is in the channel.
        let subscribed: Vec<_> = self.mailboxes.lock().keys().copied().collect();
        for id in subscribed {
            listener.update(id).await?;
        }
        Ok(listener)
    }

    /// Receives messages for as long as it is polled; begins with a connection that is open.
    pub(super) async fn listen(self: Arc<Self>, redis: Arc<Redis>, first: Listener) {
        let mut listener = Ok(first);
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ended = match listener {
                Ok(open) => open.listen().await,
                Err(error) => Err(error),
            };
            if begun.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            // The connection for commands reports that Redis is away; this one reports a right
            // that it lacks, because only subscriptions need it.
            if let Err(error) = ended
                && error.code() == Some("NOPERM")
            {
                warn!("Redis refuses subscriptions: events reach other replicas late");
            }
            sleep(backoff.next(RETRY_LIMIT)).await;
            listener = self.open(&redis).await;
        }
    }

    fn receive(&self, push: &PushInfo) {
        let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) =
            (&push.kind, push.data.as_slice())
        else {
            return;
        };
        let Ok(channel) = std::str::from_utf8(channel) else {
            return;
        };
        let Some(id) = commands::reply_of_channel(channel) else {
            self.inbox.notify_one();
            return;
        };
        let mailbox = self.mailboxes.lock().get(&id).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.put(notification::decode(message));
        }
    }
}

impl Mailbox {
    /// Puts a notification in; `None` is one that was lost.
    fn put(&self, notification: Option<Notification>) {
        let mut state = self.state.lock();
        match notification {
            Some(notification) if state.notifications.len() < MAILBOX_LIMIT => {
                state.notifications.push_back(notification);
            }
            _ => {
                state.notifications.clear();
                state.gap = true;
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn take(&self) -> Option<Received> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.gap) {
            return Some(Received::Gap);
        }
        state.notifications.pop_front().map(Received::Notification)
    }
}

impl Subscription {
    /// Waits for what comes next.
    pub(super) async fn next(&self) -> Received {
        loop {
            if let Some(received) = self.mailbox.take() {
                return received;
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// Lets whoever waits for what comes next look by itself.
    pub(super) fn interrupt(&self) {
        self.mailbox.put(None);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut mailboxes = self.pubsub.mailboxes.lock();
        let current = mailboxes.get(&self.id);
        // Another subscription may have taken its place.
        if current.is_some_and(|current| Arc::ptr_eq(current, &self.mailbox)) {
            mailboxes.remove(&self.id);
        }
        drop(mailboxes);
        self.pubsub.changed(self.id);
    }
}

/// An open connection on which messages arrive.
pub(super) struct Listener {
    pubsub: Arc<PubSub>,
    connection: MultiplexedConnection,
    /// The replies that were subscribed to, or no longer are, since the connection was opened.
    changes: mpsc::UnboundedReceiver<ReplyId>,
    closed: Arc<Notify>,
}

impl Listener {
    /// Keeps Redis informed of subscriptions until the connection fails.
    async fn listen(mut self) -> redis::RedisResult<()> {
        loop {
            tokio::select! {
                () = self.closed.notified() => return Ok(()),
                changed = timeout(PING_INTERVAL, self.changes.recv()) => match changed {
                    Ok(Some(id)) => self.update(id).await?,
                    // Another connection has taken the place of this one.
                    Ok(None) => return Ok(()),
                    Err(_) => redis::cmd("PING").query_async(&mut self.connection).await?,
                },
            }
        }
    }

    /// Subscribes to a reply's channel or unsubscribes from it, whichever is true now.
    async fn update(&mut self, id: ReplyId) -> redis::RedisResult<()> {
        let channel = commands::events_channel(id);
        let mailbox = self.pubsub.mailboxes.lock().get(&id).cloned();
        match mailbox {
            Some(mailbox) => {
                self.connection.subscribe(channel).await?;
                // Redis has not sent what was published before.
                mailbox.put(None);
                Ok(())
            }
            None => self.connection.unsubscribe(channel).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Seq;

    fn message(id: ReplyId, message: &str) -> PushInfo {
        let channel = commands::events_channel(id).into_bytes();
        PushInfo {
            kind: PushKind::Message,
            data: vec![
                Value::BulkString(channel),
                Value::BulkString(message.into()),
            ],
        }
    }

    #[tokio::test]
    async fn a_subscriber_receives_in_order_what_is_published_until_it_leaves() {
        let pubsub = Arc::<PubSub>::default();
        let (id, other) = (ReplyId::random(), ReplyId::random());
        let subscription = pubsub.subscribe(id);
        for text in ["1", "2"] {
            pubsub.receive(&message(id, text));
            pubsub.receive(&message(other, text));
        }
        for seq in [1, 2] {
            let expected = Notification::UpTo(Seq(seq));
            assert_eq!(subscription.next().await, Received::Notification(expected));
        }
        drop(subscription);
        assert!(pubsub.mailboxes.lock().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_fit_or_is_not_understood_is_a_gap() {
        let pubsub = Arc::<PubSub>::default();
        let id = ReplyId::random();
        let subscription = pubsub.subscribe(id);
        pubsub.receive(&message(id, "garbage"));
        assert_eq!(subscription.next().await, Received::Gap);
        for _ in 0..=MAILBOX_LIMIT {
            pubsub.receive(&message(id, "1"));
        }
        assert_eq!(subscription.next().await, Received::Gap);
        assert_eq!(subscription.mailbox.take(), None, "they are all in the log");
    }

    #[tokio::test]
    async fn a_message_on_another_channel_is_about_the_inbox() {
        let pubsub = Arc::<PubSub>::default();
        let mut push = message(ReplyId::random(), "");
        push.data[0] = Value::BulkString(commands::inbox("name").into());
        pubsub.receive(&push);
        pubsub.inbox().await;
    }
}
