//! The one connection that listens: for new events of the replies that are mirrored here, and for
//! stops of those that are produced here.
//!
//! Messages are hints. One that is lost costs a second, since mirrors and rounds also look by
//! themselves; so a connection that has fallen silent is replaced without haste, and after each
//! reconnect every mirror looks once.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::{Redis, commands};
use crate::event::ReplyId;

/// How long a connection may take to open, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a connection that says nothing is asked whether it is alive.
const PING: Duration = Duration::from_secs(2);
/// The pause between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What to listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// A mirror needs the reply's messages.
    Begin(ReplyId),
    /// It does no longer.
    End(ReplyId),
}

impl Redis {
    pub(super) fn subscribe(&self, subscription: Subscription) {
        // Nobody listens any more when the server stops.
        let _ = self.subscriptions.send(subscription);
    }
}

/// Listens for as long as it is polled.
pub(super) async fn listen(redis: Arc<Redis>, mut asked: mpsc::UnboundedReceiver<Subscription>) {
    loop {
        // What ends it makes no difference: the next connection begins afresh.
        let _ = listen_once(&redis, &mut asked).await;
        sleep(RETRY_PAUSE).await;
    }
}

async fn listen_once(
    redis: &Arc<Redis>,
    asked: &mut mpsc::UnboundedReceiver<Subscription>,
) -> Result<(), redis::RedisError> {
    let closed = Arc::new(Notify::new());
    let (weak, tell) = (Arc::downgrade(redis), Arc::clone(&closed));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_push_sender(move |push: PushInfo| {
            hear(&weak, &tell, &push);
            Ok::<(), std::convert::Infallible>(())
        });
    let client = redis.link.client();
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    connection
        .subscribe(commands::stop_channel(&redis.replica))
        .await?;
    // What is asked for from here on is in the queue; what was before is among the mirrors.
    let mirrored: Vec<ReplyId> = redis.mirrors.lock().keys().copied().collect();
    for id in mirrored {
        begin(redis, &mut connection, id).await?;
    }
    loop {
        tokio::select! {
            () = closed.notified() => return Ok(()),
            next = timeout(PING, asked.recv()) => match next {
                Ok(None) => return Ok(()),
                Ok(Some(Subscription::Begin(id))) => begin(redis, &mut connection, id).await?,
                Ok(Some(Subscription::End(id))) => {
                    if !redis.mirrors.lock().contains_key(&id) {
                        connection.unsubscribe(commands::wake_channel(id)).await?;
                    }
                }
                Err(_) => redis::cmd("PING").query_async::<()>(&mut connection).await?,
            },
        }
    }
}

async fn begin(
    redis: &Redis,
    connection: &mut MultiplexedConnection,
    id: ReplyId,
) -> Result<(), redis::RedisError> {
    connection.subscribe(commands::wake_channel(id)).await?;
    // For what came before Redis began to tell.
    if let Some(mirror) = redis.mirrors.lock().get(&id) {
        mirror.wake();
    }
    Ok(())
}

fn hear(redis: &Weak<Redis>, closed: &Notify, push: &PushInfo) {
    match push.kind {
        PushKind::Disconnection => closed.notify_one(),
        PushKind::Message => {
            let (Some(redis), [Value::BulkString(channel), Value::BulkString(payload)]) =
                (redis.upgrade(), push.data.as_slice())
            else {
                return;
            };
            let Ok(channel) = std::str::from_utf8(channel) else {
                return;
            };
            if let Some(id) = commands::woken(channel) {
                if let Some(mirror) = redis.mirrors.lock().get(&id) {
                    mirror.wake();
                }
            } else if let Some(id) = std::str::from_utf8(payload)
                .ok()
                .and_then(|id| id.parse().ok())
            {
                redis.stop_here(id);
            }
        }
        _ => {}
    }
}
