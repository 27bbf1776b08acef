//! A log that is written here with a copy for other replicas: its readers see what the copy has.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::{add, block, bytes, log};
use crate::{
    event::Seq,
    store::log::{Next, Origin, StopRequest},
};

#[tokio::test]
async fn readers_see_only_what_is_delivered() {
    let log = log(Origin::Copied);
    add(&log, &["a", "b", "c"], false);
    assert_eq!(log.written(), (Seq(3), false));
    assert_eq!(log.tail(), (Seq::ZERO, false));
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq::ZERO));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.deliver(Seq(2));
    assert_eq!(waiting.await, block(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).await, block(2, "b", false));
    assert_eq!(reader.read_after(Seq(2)).now_or_never(), None);
    let snapshot = log.snapshot().await.unwrap();
    assert_eq!((snapshot.last, snapshot.end), (Seq(2), None));
}

#[tokio::test]
async fn an_end_that_is_not_delivered_is_no_end_to_readers() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    add(&log, &["end"], true);
    log.deliver(Seq(1));
    let mut reader = log.reader();
    assert_eq!(reader.read_after(Seq::ZERO).await, block(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).now_or_never(), None);
    assert_eq!(log.tail(), (Seq(1), false));
    assert_eq!(log.written(), (Seq(2), true));
    log.deliver(Seq(2));
    assert_eq!(reader.read_after(Seq(1)).await, block(2, "end", true));
    assert_eq!(log.tail(), (Seq(2), true));
}

#[tokio::test]
async fn what_was_delivered_once_stays_so() {
    let log = log(Origin::Copied);
    add(&log, &["a", "b"], false);
    log.deliver(Seq(2));
    log.deliver(Seq(1));
    assert_eq!(log.tail(), (Seq(2), false));
    log.deliver(Seq(1000));
    assert_eq!(log.tail(), (Seq(2), false));
}

#[tokio::test]
async fn the_copier_gets_everything_once_and_in_order() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    let batch = log.to_copy(Seq::ZERO, 10).await;
    assert_eq!((batch.blocks, batch.ends), (vec![bytes("a")], false));
    let mut waiting = Box::pin(log.to_copy(Seq(1), 10));
    assert!(waiting.as_mut().now_or_never().is_none());
    add(&log, &["b", "c"], false);
    add(&log, &["end"], true);
    let batch = waiting.await;
    let rest = vec![bytes("b"), bytes("c"), bytes("end")];
    assert_eq!((batch.blocks, batch.ends), (rest, true));
    // What is to be healed is the same, however often it is asked for.
    assert_eq!(log.written_after(Seq(3), 10).blocks, [bytes("end")]);
    assert!(log.written_after(Seq(4), 10).blocks.is_empty());
}

#[tokio::test]
async fn a_foreign_end_takes_the_place_of_what_was_not_delivered() {
    let log = log(Origin::Copied);
    add(&log, &["a", "b", "c"], false);
    log.deliver(Seq(1));
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq(1)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    assert!(log.cut(Seq(1), bytes("lost")));
    assert_eq!(waiting.await, block(2, "lost", true));
    assert_eq!(reader.read_after(Seq(2)).await, Next::Nothing);
    assert_eq!(log.stop_requested().await, StopRequest::Lost);
    assert!(!add(&log, &["d"], false), "it has ended");
    assert_eq!(log.written(), (Seq(2), true));
}

#[tokio::test]
async fn a_foreign_end_also_takes_the_place_of_an_end_that_was_not_delivered() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    add(&log, &["end"], true);
    log.deliver(Seq(1));
    assert!(log.cut(Seq(1), bytes("lost")));
    let mut reader = log.reader();
    assert_eq!(reader.read_after(Seq(1)).await, block(2, "lost", true));
    assert_eq!(log.stop_requested().now_or_never(), None, "it is over");
}

#[tokio::test]
async fn a_foreign_end_is_refused_once_readers_have_seen_more() {
    let log = log(Origin::Copied);
    add(&log, &["a", "b"], false);
    log.deliver(Seq(2));
    assert!(!log.cut(Seq(1), bytes("lost")));
    assert_eq!(log.written(), (Seq(2), false));
    assert_eq!(log.stop_requested().now_or_never(), None);
    assert!(add(&log, &["c"], false));
}

#[tokio::test]
async fn there_is_one_end_whoever_writes_it() {
    let log = log(Origin::Copied);
    add(&log, &["a", "end"], true);
    log.deliver(Seq(2));
    assert!(!log.cut(Seq(2), bytes("lost")));
    assert_eq!(log.tail(), (Seq(2), true));
}

#[tokio::test]
async fn a_foreign_end_leaves_no_gap() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    assert!(!log.cut(Seq(2), bytes("lost")));
    assert_eq!(log.written(), (Seq(1), false));
}

#[tokio::test]
async fn a_stop_that_was_asked_for_before_a_foreign_end_stays() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    log.request_stop(StopRequest::Viewer);
    assert!(log.cut(Seq::ZERO, bytes("lost")));
    assert_eq!(log.stop_requested().await, StopRequest::Viewer);
}

#[tokio::test]
async fn who_waits_for_a_log_that_vanishes_is_let_go() {
    let log = log(Origin::Copied);
    add(&log, &["a"], false);
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq::ZERO));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.vanish();
    assert_eq!(waiting.await, Next::Nothing);
    assert_eq!(log.reader().read_after(Seq::ZERO).await, Next::Nothing);
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_readers_elsewhere_waits_longer_for_their_mark() {
    let log = log(Origin::Copied);
    let mut unread = Box::pin(log.unread_for(Duration::from_secs(1)));
    let almost = Duration::from_millis(5900);
    for _ in 0..3 {
        assert!(
            tokio::time::timeout(almost, unread.as_mut()).await.is_err(),
            "the mark is renewed"
        );
        log.mark_read();
    }
    let left = tokio::time::Instant::now();
    unread.await;
    assert_eq!(left.elapsed(), Duration::from_secs(6));
}
