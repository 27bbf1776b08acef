//! A log whose events are committed on acknowledgement: readers see what the leader has committed.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use super::*;
use crate::store::local_log::{StopRequest, TruncateError};

fn new() -> Arc<LocalLog> {
    log(Commit::OnAcknowledgement)
}

#[tokio::test]
async fn readers_see_only_what_is_committed() {
    let log = new();
    append(&log, &["a", "b", "c"]);
    assert_eq!(log.appended(), running_at(3));
    assert_eq!(log.position(), running_at(0));
    let mut reader = reader(&log);
    let mut waiting = Box::pin(reader.read_after(Seq::ZERO));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.commit(Seq(2));
    assert_eq!(waiting.await, event(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).await, event(2, "b", false));
    assert_eq!(reader.read_after(Seq(2)).now_or_never(), None);
    let snapshot = log.snapshot();
    assert_eq!((snapshot.last, snapshot.content.end), (Seq(2), None));
}

#[tokio::test]
async fn an_end_that_is_not_committed_is_no_end_to_readers() {
    let log = new();
    append(&log, &["a"]);
    end(&log);
    log.commit(Seq(1));
    let mut reader = reader(&log);
    assert_eq!(reader.read_after(Seq::ZERO).await, event(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).now_or_never(), None);
    assert_eq!(log.position(), running_at(1));
    assert_eq!(log.appended(), ended_at(2));
    log.commit(Seq(2));
    assert_eq!(reader.read_after(Seq(1)).await, event(2, "end", true));
    assert_eq!(log.position(), ended_at(2));
}

#[tokio::test]
async fn what_is_committed_stays_committed() {
    let log = new();
    append(&log, &["a", "b"]);
    log.commit(Seq(2));
    log.commit(Seq(1));
    assert_eq!(log.position(), running_at(2));
    log.commit(Seq(1000));
    assert_eq!(log.position(), running_at(2));
}

#[tokio::test]
async fn the_leader_gets_everything_once_and_in_order() {
    let log = new();
    append(&log, &["a"]);
    assert_eq!(
        log.appended_after(Seq::ZERO, 10).await,
        batch(0, &["a"], false)
    );
    let mut waiting = Box::pin(log.appended_after(Seq(1), 10));
    assert!(waiting.as_mut().now_or_never().is_none());
    append(&log, &["b", "c"]);
    end(&log);
    assert_eq!(waiting.await, batch(1, &["b", "c", "end"], true));
    assert_eq!(
        log.appended_after(Seq(1), 2).await,
        batch(1, &["b", "c"], false)
    );
    // However often it is called.
    assert_eq!(log.batch_after(Seq(3), 10), batch(3, &["end"], true));
    assert_eq!(log.batch_after(Seq(4), 10), batch(4, &[], true));
}

#[tokio::test]
async fn a_foreign_end_replaces_what_was_not_committed() {
    let log = new();
    append(&log, &["a", "b", "c"]);
    log.commit(Seq(1));
    let mut reader = reader(&log);
    let mut waiting = Box::pin(reader.read_after(Seq(1)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.truncate_and_end(Seq(1), bytes("lost")).unwrap();
    assert_eq!(waiting.await, event(2, "lost", true));
    assert_eq!(reader.read_after(Seq(2)).await, Next::Closed);
    assert_eq!(log.stop_requested().await, StopRequest::FailedOver);
    let more = log.append([bytes("d")].into_iter());
    assert_eq!(more, Err(AppendError::Ended));
    assert_eq!(log.appended(), ended_at(2));
}

#[tokio::test]
async fn a_foreign_end_also_replaces_an_end_that_was_not_committed() {
    let log = new();
    append(&log, &["a"]);
    end(&log);
    log.commit(Seq(1));
    log.truncate_and_end(Seq(1), bytes("lost")).unwrap();
    let mut reader = reader(&log);
    assert_eq!(reader.read_after(Seq(1)).await, event(2, "lost", true));
    assert_eq!(log.stop_requested().now_or_never(), None, "it is over");
}

#[tokio::test]
async fn a_foreign_end_is_refused_once_readers_have_seen_more() {
    let log = new();
    append(&log, &["a", "b"]);
    log.commit(Seq(2));
    let refused = log.truncate_and_end(Seq(1), bytes("lost"));
    assert_eq!(refused, Err(TruncateError::Committed));
    assert_eq!(log.appended(), running_at(2));
    assert_eq!(log.stop_requested().now_or_never(), None);
    append(&log, &["c"]);
}

#[tokio::test]
async fn there_is_one_end_whichever_replica_writes_it() {
    let log = new();
    append(&log, &["a"]);
    end(&log);
    log.commit(Seq(2));
    let refused = log.truncate_and_end(Seq(2), bytes("lost"));
    assert_eq!(refused, Err(TruncateError::Committed));
    assert_eq!(log.position(), ended_at(2));
}

#[tokio::test]
async fn a_foreign_end_leaves_no_gap() {
    let log = new();
    append(&log, &["a"]);
    let refused = log.truncate_and_end(Seq(2), bytes("lost"));
    assert_eq!(refused, Err(TruncateError::Gap));
    assert_eq!(log.appended(), running_at(1));
}

#[tokio::test]
async fn a_stop_that_was_requested_before_a_foreign_end_stays() {
    let log = new();
    append(&log, &["a"]);
    log.request_stop(StopRequest::Viewer);
    log.truncate_and_end(Seq::ZERO, bytes("lost")).unwrap();
    assert_eq!(log.stop_requested().await, StopRequest::Viewer);
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_remote_readers_waits_longer_for_their_mark() {
    let log = new();
    let mut unread = Box::pin(log.unread_for(Duration::from_secs(1)));
    let almost = Duration::from_millis(5900);
    for _ in 0..3 {
        let waited = timeout(almost, unread.as_mut()).await;
        assert!(waited.is_err(), "the mark is renewed");
        log.mark_read();
    }
    let left = Instant::now();
    unread.await;
    assert_eq!(left.elapsed(), Duration::from_secs(6));
}
