//! What a server that is asked to exit does before its workers stop: it refuses new replies, sends
//! viewers on that can go elsewhere, and lets the replies that run come to their end and be read.
//!
//! The server answers meanwhile. This module knows nothing of HTTP or of signals.

use std::time::Duration;

use log::{info, warn};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{store::Store, viewer::MoveSignal};

/// Over which time viewers are moved, so that they do not all come to the other replicas in one
/// moment.
const MOVE_SPREAD: Duration = Duration::from_secs(5);
/// How long replies that are asked to stop may take to write their end, and how long it may take
/// until other replicas have it; both need a moment.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// Resolves when no reply runs, and no viewer is to be moved or waited for any more. Replies get
/// `patience` to end by themselves, and are then stopped. Viewers are moved if there is a place
/// `elsewhere`; those that stay have until `patience` is over to read.
pub async fn drain(store: &Store, viewers: &MoveSignal, elsewhere: bool, patience: Duration) {
    let deadline = Instant::now() + patience;
    store.refuse_new();
    info!(
        running = store.running(), seconds = patience.as_secs_f64();
        "draining; a second signal exits at once"
    );
    tokio::join!(end_replies(store, patience), async {
        if elsewhere {
            move_viewers(viewers, MOVE_SPREAD.min(patience)).await;
        }
    });
    let read = async {
        if !elsewhere {
            viewers.all_left().await;
        }
        viewers.nobody_stays().await;
    };
    // Those that do not read at all are let go by the write time-out before that.
    let _ = timeout_at(deadline, read).await;
}

async fn end_replies(store: &Store, patience: Duration) {
    if timeout(patience, store.idle()).await.is_err() {
        warn!(running = store.running(); "replies are cut short: DRAIN_SECONDS are over");
        store.stop_running();
        if timeout(END_TIMEOUT, store.idle()).await.is_err() {
            warn!(running = store.running(); "replies did not end in time");
        }
    }
    if timeout(END_TIMEOUT, store.copied()).await.is_err() {
        warn!("other replicas will not see every end: Redis does not answer");
    }
}

async fn move_viewers(moves: &MoveSignal, spread: Duration) {
    moves.give(spread);
    // One that does not read cannot be moved, and is not waited for.
    let _ = timeout(spread, moves.all_left()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, CreateError, Created, StopRequest, Writer};
    use futures_util::FutureExt as _;

    const PATIENCE: Duration = Duration::from_secs(120);

    fn store() -> Store {
        Store::in_memory(store::Options {
            max_replies: 10,
            retention: Duration::from_secs(600),
            pad: false,
        })
    }

    async fn started(store: &Store) -> Writer {
        match store.create(None).await.unwrap() {
            Created::New(writer) => writer,
            Created::Existing(_) => panic!("no key was given"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn with_nothing_to_wait_for_the_drain_is_over_at_once() {
        let (store, moves) = (store(), MoveSignal::default());
        let drained = drain(&store, &moves, true, PATIENCE).now_or_never();
        assert!(drained.is_some());
        assert_eq!(store.create(None).await.unwrap_err(), CreateError::Draining);
        assert!(moves.listen().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_place_to_move_to_nobody_is_moved() {
        let (store, moves) = (store(), MoveSignal::default());
        drain(&store, &moves, false, PATIENCE).await;
        assert!(moves.listen().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_is_over_when_the_last_reply_has_ended() {
        let store = store();
        let writer = started(&store).await;
        let begun = Instant::now();
        let reply = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            // Leaves an end behind.
            drop(writer);
        };
        let moves = MoveSignal::default();
        tokio::join!(drain(&store, &moves, false, PATIENCE), reply);
        assert_eq!(begun.elapsed().as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_runs_on_is_stopped_when_patience_is_over() {
        let store = store();
        let writer = started(&store).await;
        let begun = Instant::now();
        let reply = async {
            assert_eq!(writer.log().stop_requested().await, StopRequest::Shutdown);
            assert_eq!(begun.elapsed().as_secs(), 120);
            drop(writer);
        };
        let moves = MoveSignal::default();
        let both = async { tokio::join!(drain(&store, &moves, false, PATIENCE), reply) };
        timeout(PATIENCE * 2, both).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_cannot_end_holds_the_server_for_seconds_only() {
        let store = store();
        let _writer = started(&store).await;
        let begun = Instant::now();
        drain(&store, &MoveSignal::default(), false, PATIENCE).await;
        assert_eq!(begun.elapsed(), PATIENCE + END_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_are_waited_for_until_they_had_to_be_gone() {
        let (store, moves) = (store(), MoveSignal::default());
        let listener = moves.listen().unwrap();
        let begun = Instant::now();
        let leaves = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(listener);
        };
        tokio::join!(drain(&store, &moves, true, PATIENCE), leaves);
        assert_eq!(begun.elapsed().as_secs(), 2);

        let moves = MoveSignal::default();
        let _never_leaves = moves.listen().unwrap();
        let begun = Instant::now();
        drain(&store, &moves, true, PATIENCE).await;
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_that_cannot_go_elsewhere_may_read_to_the_end() {
        for elsewhere in [true, false] {
            let (store, moves) = (store(), MoveSignal::default());
            let stays = moves.stay();
            let listener = (!elsewhere).then(|| moves.listen().unwrap());
            let begun = Instant::now();
            let leave = async {
                tokio::time::sleep(Duration::from_secs(30)).await;
                drop(stays);
                tokio::time::sleep(Duration::from_secs(10)).await;
                drop(listener);
            };
            let drained = async {
                drain(&store, &moves, elsewhere, PATIENCE).await;
                begun.elapsed().as_secs()
            };
            let (took, ()) = tokio::join!(drained, leave);
            assert_eq!(took, if elsewhere { 30 } else { 40 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_that_read_for_ever_are_not_waited_for_longer_than_replies() {
        let (store, moves) = (store(), MoveSignal::default());
        let _stays = moves.stay();
        let begun = Instant::now();
        drain(&store, &moves, false, PATIENCE).await;
        assert_eq!(begun.elapsed(), PATIENCE);
    }
}
