//! Shutdowns in paused time.

use futures_util::FutureExt as _;

use super::{Topology::*, *};
use crate::store::{CreateError, Owner, StopRequest};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(start_paused = true)]
async fn with_nothing_to_wait_for_the_drain_is_over_at_once() {
    let (store, streams) = (Store::for_tests(), DrainSignal::default());
    let drained = drain(&store, &streams, Replicated, PATIENCE).now_or_never();
    assert!(drained.is_some());
    assert_eq!(
        store.create(Owner::Anyone, None).await.unwrap_err(),
        CreateError::Draining
    );
    assert!(streams.watch().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_workers_stop_last() {
    let (store, streams) = (Store::for_tests(), DrainSignal::default());
    let writer = store.writer().await;
    let begun = Instant::now();
    let reply = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(writer);
    };
    let stop_workers = async || {
        assert_eq!(begun.elapsed().as_secs(), 10);
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::join!(run(&store, &streams, Single, PATIENCE, stop_workers), reply);
    assert_eq!(begun.elapsed().as_secs(), 11);
}

#[tokio::test(start_paused = true)]
async fn without_another_replica_no_stream_has_to_leave() {
    let (store, streams) = (Store::for_tests(), DrainSignal::default());
    drain(&store, &streams, Single, PATIENCE).await;
    assert!(streams.watch().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_drain_is_over_when_the_last_reply_has_ended() {
    let store = Store::for_tests();
    let writer = store.writer().await;
    let begun = Instant::now();
    let reply = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        // Leaves an end behind.
        drop(writer);
    };
    let streams = DrainSignal::default();
    tokio::join!(drain(&store, &streams, Single, PATIENCE), reply);
    assert_eq!(begun.elapsed().as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_runs_on_is_stopped_when_patience_is_over() {
    let store = Store::for_tests();
    let writer = store.writer().await;
    let begun = Instant::now();
    let reply = async {
        assert_eq!(writer.log().stop_requested().await, StopRequest::Shutdown);
        assert_eq!(begun.elapsed().as_secs(), 120);
        drop(writer);
    };
    let streams = DrainSignal::default();
    let both = async { tokio::join!(drain(&store, &streams, Single, PATIENCE), reply) };
    timeout(PATIENCE * 2, both).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_end_holds_the_server_for_seconds_only() {
    let store = Store::for_tests();
    let _writer = store.writer().await;
    let begun = Instant::now();
    drain(&store, &DrainSignal::default(), Single, PATIENCE).await;
    assert_eq!(begun.elapsed(), PATIENCE + END_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn streams_are_waited_for_until_they_had_to_leave() {
    let (store, streams) = (Store::for_tests(), DrainSignal::default());
    let watch = streams.watch().unwrap();
    let begun = Instant::now();
    let leaves = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(watch);
    };
    tokio::join!(drain(&store, &streams, Replicated, PATIENCE), leaves);
    assert_eq!(begun.elapsed().as_secs(), 2);

    let streams = DrainSignal::default();
    let _never_leaves = streams.watch().unwrap();
    let begun = Instant::now();
    drain(&store, &streams, Replicated, PATIENCE).await;
    assert_eq!(begun.elapsed(), MOVE_SPREAD);
}

#[tokio::test(start_paused = true)]
async fn streams_that_cannot_leave_may_read_to_the_end() {
    for topology in [Replicated, Single] {
        let (store, streams) = (Store::for_tests(), DrainSignal::default());
        let guard = streams.guard();
        let watch = (topology == Single).then(|| streams.watch().unwrap());
        let begun = Instant::now();
        let leave = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(guard);
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(watch);
        };
        let drained = async {
            drain(&store, &streams, topology, PATIENCE).await;
            begun.elapsed().as_secs()
        };
        let (took, ()) = tokio::join!(drained, leave);
        assert_eq!(took, if topology == Single { 40 } else { 30 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_drain_waits_for_endless_readers_no_longer_than_for_replies() {
    let (store, streams) = (Store::for_tests(), DrainSignal::default());
    let _guard = streams.guard();
    let begun = Instant::now();
    drain(&store, &streams, Single, PATIENCE).await;
    assert_eq!(begun.elapsed(), PATIENCE);
}
