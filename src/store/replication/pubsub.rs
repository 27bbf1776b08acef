//! The connection that receives published messages: notifications for followers, and the sign that
//! there is something in this replica's inbox.
//!
//! Messages only save time. Followers and the heartbeat also poll, so a lost message costs at most a
//! second. After each reconnect every subscriber polls once. This module
//! knows nothing of logs.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use log::warn;
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, PushInfo, PushKind, RedisResult, Value, aio::MultiplexedConnection,
};
use tokio::{
    sync::{Notify, broadcast, mpsc},
    time::{Instant, sleep, timeout},
};

use super::{
    backoff::Backoff,
    commands,
    connection::{Redis, STABLE_AFTER},
    inbox,
};
use crate::event::ReplyId;

/// How long a connection may take to open, and an answer to come.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a silent connection is tested.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause before the next attempt to connect.
const RETRY_LIMIT: Duration = Duration::from_secs(2);
/// The most messages that wait for one subscriber. After more it reads the log instead.
const WAITING_LIMIT: usize = 64;

/// The subscriptions of this process.
pub(super) struct PubSub {
    subscribers: Mutex<HashMap<ReplyId, broadcast::Sender<Bytes>>>,
    /// The replies whose subscribers have come or gone.
    changes: mpsc::UnboundedSender<ReplyId>,
    inbox: Notify,
}

/// The right to receive a reply's messages, until it is dropped.
pub(super) struct Subscription {
    id: ReplyId,
    messages: broadcast::Receiver<Bytes>,
    pubsub: Arc<PubSub>,
}

/// Keeps a connection on which messages arrive.
pub(super) struct Listener {
    pubsub: Arc<PubSub>,
    redis: Arc<Redis>,
    changes: mpsc::UnboundedReceiver<ReplyId>,
}

/// A connection on which messages arrive, and the sign that it is closed.
pub(super) type Listening = (MultiplexedConnection, Arc<Notify>);

impl PubSub {
    pub(super) fn new(redis: Arc<Redis>) -> (Arc<Self>, Listener) {
        let (sender, changes) = mpsc::unbounded_channel();
        let pubsub = Arc::new(Self {
            subscribers: Mutex::default(),
            changes: sender,
            inbox: Notify::new(),
        });
        let listener = Listener {
            pubsub: Arc::clone(&pubsub),
            redis,
            changes,
        };
        (pubsub, listener)
    }

    /// Subscribes to a reply's messages.
    pub(super) fn subscribe(self: &Arc<Self>, id: ReplyId) -> Subscription {
        let mut subscribers = self.subscribers.lock();
        let sender = subscribers
            .entry(id)
            .or_insert_with(|| broadcast::Sender::new(WAITING_LIMIT));
        let messages = sender.subscribe();
        drop(subscribers);
        // An error means that the server stops.
        let _ = self.changes.send(id);
        Subscription {
            id,
            messages,
            pubsub: Arc::clone(self),
        }
    }

    /// Makes the subscribers of a reply poll.
    pub(super) fn interrupt(&self, id: ReplyId) {
        self.pass_on(id, Bytes::new());
    }

    /// Resolves once there may be something in this replica's inbox.
    pub(super) async fn inbox(&self) {
        self.inbox.notified().await;
    }

    /// Says that there may be something in this replica's inbox.
    pub(super) fn ring_inbox(&self) {
        self.inbox.notify_one();
    }

    fn pass_on(&self, id: ReplyId, message: Bytes) {
        if let Some(subscribers) = self.subscribers.lock().get(&id) {
            // An error means that the last one is leaving.
            let _ = subscribers.send(message);
        }
    }

    fn receive(&self, push: PushInfo) {
        let mut data = push.data.into_iter();
        let (PushKind::Message, Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
            (push.kind, data.next(), data.next())
        else {
            return;
        };
        let channel = std::str::from_utf8(&channel);
        match channel.ok().and_then(commands::reply_of_channel) {
            Some(id) => self.pass_on(id, message.into()),
            None => self.ring_inbox(),
        }
    }
}

impl Subscription {
    /// Waits for the next message; empty if messages were lost, or if the subscriber should poll.
    pub(super) async fn next(&mut self) -> Bytes {
        self.messages.recv().await.unwrap_or_default()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.pubsub.subscribers.lock();
        // This one still counts.
        if subscribers
            .get(&self.id)
            .is_some_and(|all| all.receiver_count() == 1)
        {
            subscribers.remove(&self.id);
        }
        drop(subscribers);
        let _ = self.pubsub.changes.send(self.id);
    }
}

impl Listener {
    /// Opens a connection and subscribes to all channels that have subscribers.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(super) async fn open(&self) -> RedisResult<Listening> {
        let closed = Arc::new(Notify::new());
        let (pubsub, on_close) = (Arc::downgrade(&self.pubsub), Arc::clone(&closed));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    on_close.notify_one();
                } else if let Some(pubsub) = pubsub.upgrade() {
                    pubsub.receive(push);
                }
                Ok::<(), Infallible>(())
            });
        let client = self.redis.client();
        let opened = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = opened.await?;
        let inbox = inbox::key(self.redis.replica());
        connection.subscribe(inbox).await?;
        self.pubsub.ring_inbox();
        // A subscriber that comes from here on is in the channel of changes.
        let wanted: Vec<_> = self.pubsub.subscribers.lock().keys().copied().collect();
        for id in wanted {
            self.update(&mut connection, id).await?;
        }
        Ok((connection, closed))
    }

    /// Listens for as long as it is polled; begins with a connection that is open.
    pub(super) async fn run(mut self, first: Listening) {
        let mut opened = Ok(first);
        let mut backoff = Backoff::default();
        let mut refused = false;
        loop {
            let begun = Instant::now();
            let failed = match opened {
                Ok(listening) => self.listen(listening).await,
                Err(error) => Err(error),
            };
            if begun.elapsed() >= STABLE_AFTER {
                backoff.reset();
                refused = false;
            }
            // That Redis is away, the connection for commands reports. Only subscriptions need
            // this right.
            if failed.is_err_and(|error| error.code() == Some("NOPERM")) && !refused {
                refused = true;
                warn!("Redis refuses subscriptions: followers receive events late");
            }
            sleep(backoff.next(RETRY_LIMIT)).await;
            opened = self.open().await;
        }
    }

    /// Keeps Redis informed of subscribers until the connection fails.
    async fn listen(&mut self, (mut connection, closed): Listening) -> RedisResult<()> {
        loop {
            tokio::select! {
                () = closed.notified() => return Ok(()),
                changed = timeout(PING_INTERVAL, self.changes.recv()) => match changed {
                    Ok(Some(id)) => self.update(&mut connection, id).await?,
                    // There can be no more subscribers.
                    Ok(None) => return Ok(()),
                    Err(_) => redis::cmd("PING").query_async(&mut connection).await?,
                },
            }
        }
    }

    /// Subscribes to a reply's channel or unsubscribes from it, whichever is wanted now.
    async fn update(&self, connection: &mut MultiplexedConnection, id: ReplyId) -> RedisResult<()> {
        let channel = commands::events_channel(id);
        if self.pubsub.subscribers.lock().contains_key(&id) {
            connection.subscribe(channel).await?;
            // Redis has not sent what was published before.
            self.pubsub.interrupt(id);
            Ok(())
        } else {
            connection.unsubscribe(channel).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pubsub() -> Arc<PubSub> {
        let (changes, _) = mpsc::unbounded_channel();
        Arc::new(PubSub {
            subscribers: Mutex::default(),
            changes,
            inbox: Notify::new(),
        })
    }

    fn receive(pubsub: &PubSub, channel: String, message: &str) {
        let data = [channel, message.to_owned()];
        pubsub.receive(PushInfo {
            kind: PushKind::Message,
            data: data.map(|text| Value::BulkString(text.into())).into(),
        });
    }

    #[tokio::test]
    async fn a_subscriber_receives_in_order_what_is_published_until_it_leaves() {
        let (pubsub, id, other) = (pubsub(), ReplyId::random(), ReplyId::random());
        let mut subscription = pubsub.subscribe(id);
        for message in ["1", "2"] {
            receive(&pubsub, commands::events_channel(id), message);
            receive(&pubsub, commands::events_channel(other), message);
        }
        assert_eq!(subscription.next().await, "1");
        assert_eq!(subscription.next().await, "2");
        let second = pubsub.subscribe(id);
        drop(subscription);
        assert!(pubsub.subscribers.lock().contains_key(&id));
        drop(second);
        assert!(pubsub.subscribers.lock().is_empty());
    }

    #[tokio::test]
    async fn a_subscriber_that_is_too_slow_is_told_that_messages_were_lost() {
        let (pubsub, id) = (pubsub(), ReplyId::random());
        let mut subscription = pubsub.subscribe(id);
        for _ in 0..=WAITING_LIMIT {
            receive(&pubsub, commands::events_channel(id), "1");
        }
        assert_eq!(subscription.next().await, "");
        assert_eq!(subscription.next().await, "1");
    }

    #[tokio::test]
    async fn a_message_on_another_channel_is_about_the_inbox() {
        let pubsub = pubsub();
        receive(&pubsub, inbox::key("name"), "");
        pubsub.inbox().await;
    }
}
