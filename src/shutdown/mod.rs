//! The shutdown of a server, from the request to exit until nothing is left to wait for.
//!
//! [`run`] goes through it in this order. The server answers requests until the last step.
//!
//! 1. New replies are refused; `/readyz` answers 503.
//! 2. With several replicas, streams whose clients resume by themselves leave, at random moments
//!    within `MOVE_SPREAD`; new ones are sent to another replica at once. Meanwhile:
//! 3. Running replies may end by themselves within `DRAIN_SECONDS`.
//! 4. Replies that are still running are stopped; each gets its `end`.
//! 5. Every `end` is replicated, so that no other replica takes the reply for lost.
//! 6. Streams that cannot leave may read to the end, until `DRAIN_SECONDS` are over.
//! 7. The workers stop, and their connections close.
//!
//! Steps 4 and 5 have `END_TIMEOUT` each. This module does not know what the streams are: they
//! hold a [`DrainWatch`] or a [`DrainGuard`] of the [`DrainSignal`]. It knows nothing of HTTP or of
//! Unix signals.

mod signal;

use std::time::Duration;

use log::{info, warn};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::signal::{DrainGuard, DrainSignal, DrainWatch};
use crate::store::Store;

/// Streams leave within this time and not all at once, which would hit the other replicas.
const MOVE_SPREAD: Duration = Duration::from_secs(5);
/// The time in which replies that were stopped write their `end`, and then the time in which every
/// `end` is replicated. Both take milliseconds unless something is broken.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a client can resume a stream that leaves this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Nowhere: replies exist in this process only.
    Single,
    /// On any other replica.
    Replicated,
}

impl Topology {
    /// What the store makes possible.
    #[must_use]
    pub const fn of(store: &Store) -> Self {
        if store.is_shared() {
            Self::Replicated
        } else {
            Self::Single
        }
    }
}

/// Drains the server and then stops its workers.
///
/// `patience` is `DRAIN_SECONDS`. Apart from `stop_workers` this takes no longer than `patience`
/// and two times `END_TIMEOUT`.
pub async fn run(
    store: &Store,
    streams: &DrainSignal,
    topology: Topology,
    patience: Duration,
    stop_workers: impl AsyncFnOnce(),
) {
    drain(store, streams, topology, patience).await;
    stop_workers().await;
}

async fn drain(store: &Store, streams: &DrainSignal, topology: Topology, patience: Duration) {
    let deadline = Instant::now() + patience;
    store.refuse_new();
    info!(
        running = store.running(), seconds = patience.as_secs_f64();
        "draining; a second signal exits at once"
    );
    match topology {
        Topology::Replicated => {
            tokio::join!(
                end_replies(store, patience),
                move_streams(streams, MOVE_SPREAD.min(patience)),
            );
        }
        Topology::Single => end_replies(store, patience).await,
    }
    let read_to_the_end = async {
        if topology == Topology::Single {
            streams.watches_dropped().await;
        }
        streams.guards_dropped().await;
    };
    // A client that does not read at all is disconnected by the TCP write timeout.
    let _ = timeout_at(deadline, read_to_the_end).await;
}

async fn move_streams(streams: &DrainSignal, spread: Duration) {
    streams.start(spread);
    // A stream whose client does not read cannot leave in good order, and is not waited for.
    let _ = timeout(spread, streams.watches_dropped()).await;
}

async fn end_replies(store: &Store, patience: Duration) {
    if timeout(patience, store.idle()).await.is_err() {
        warn!(running = store.running(); "stopping the running replies: DRAIN_SECONDS are over");
        store.stop_running();
        if timeout(END_TIMEOUT, store.idle()).await.is_err() {
            warn!(running = store.running(); "replies did not end in time");
        }
    }
    if timeout(END_TIMEOUT, store.replicated()).await.is_err() {
        warn!("not every end was replicated: Redis does not answer");
    }
}

#[cfg(test)]
mod tests;
