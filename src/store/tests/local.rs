//! A log whose events are committed on append, and its readers.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use super::*;
use crate::store::{batch::EVENTS_LIMIT, local_log::StopRequest};

fn new() -> Arc<LocalLog> {
    log(Commit::OnAppend)
}

#[tokio::test]
async fn a_reader_gets_what_is_there_and_then_what_comes() {
    let log = new();
    append(&log, &["a", "b"]);
    let mut reader = reader(&log);
    assert_eq!(reader.read_after(Seq(0)).await, event(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).await, event(2, "b", false));
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    end(&log);
    assert_eq!(waiting.await, event(3, "end", true));
    assert_eq!(reader.read_after(Seq(3)).await, Next::Closed);
}

#[tokio::test]
async fn a_cursor_ahead_of_a_running_log_waits_until_the_log_gets_there() {
    let log = new();
    append(&log, &["a"]);
    let mut reader = reader(&log);
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    append(&log, &["b"]);
    assert_eq!(waiting.as_mut().now_or_never(), None);
    append(&log, &["c"]);
    assert_eq!(waiting.await, event(3, "c", false));
}

#[tokio::test]
async fn a_cursor_beyond_everything_is_closed_at_the_end() {
    let log = new();
    let mut reader = reader(&log);
    let mut waiting = Box::pin(reader.read_after(Seq(u64::MAX)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    end(&log);
    assert_eq!(waiting.await, Next::Closed);
}

#[test]
fn nothing_is_appended_after_the_end() {
    let log = new();
    end(&log);
    let more = log.append([bytes("b")].into_iter());
    assert_eq!(more, Err(AppendError::Ended));
    assert_eq!(log.append_end(bytes("end")), Err(AppendError::Ended));
    assert_eq!(log.position(), ended_at(1));
}

#[test]
fn a_full_log_still_takes_its_end() {
    let log = new();
    let all = usize::try_from(EVENTS_LIMIT).unwrap();
    let most = vec![bytes("a"); all - 1];
    assert_eq!(
        log.append(vec![bytes("a"); all].into_iter()),
        Err(AppendError::Full)
    );
    log.append(most.into_iter()).unwrap();
    assert_eq!(log.append([bytes("b")].into_iter()), Err(AppendError::Full));
    end(&log);
    assert_eq!(log.position(), ended_at(EVENTS_LIMIT));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_an_unread_reply_runs_from_the_last_readers_leaving() {
    let log = new();
    let (first, second) = (reader(&log), reader(&log));
    let mut unread = Box::pin(log.unread_for(Duration::from_secs(60)));
    let far = Duration::from_secs(1000);
    assert!(timeout(far, unread.as_mut()).await.is_err());
    drop(first);
    assert!(timeout(far, unread.as_mut()).await.is_err());
    drop(second);
    let left = Instant::now();
    unread.await;
    assert_eq!(left.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_as_reading() {
    let log = new();
    let mut unread = Box::pin(log.unread_for(Duration::from_secs(60)));
    let almost = Duration::from_secs(59);
    assert!(timeout(almost, unread.as_mut()).await.is_err());
    log.snapshot();
    assert!(timeout(almost, unread.as_mut()).await.is_err());
    assert!(timeout(Duration::from_secs(2), unread).await.is_ok());
}

#[tokio::test]
async fn the_first_stop_request_counts() {
    let log = new();
    let mut stopped = Box::pin(log.stop_requested());
    assert_eq!(stopped.as_mut().now_or_never(), None);
    log.request_stop(StopRequest::Viewer);
    log.request_stop(StopRequest::Shutdown);
    assert_eq!(stopped.await, StopRequest::Viewer);
    assert_eq!(log.stop_requested().await, StopRequest::Viewer, "it stays");
}

#[tokio::test]
async fn a_stop_after_the_end_has_no_effect() {
    let log = new();
    end(&log);
    log.request_stop(StopRequest::Viewer);
    assert_eq!(log.stop_requested().now_or_never(), None);
}

#[test]
fn a_stop_is_never_lost_between_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..2000 {
            let log = new();
            let waiting = Arc::clone(&log);
            let generation = tokio::spawn(async move { waiting.stop_requested().await });
            tokio::spawn(async move { log.request_stop(StopRequest::Viewer) });
            let stopped = timeout(Duration::from_secs(10), generation).await;
            assert_eq!(stopped.unwrap().unwrap(), StopRequest::Viewer);
        }
    });
}
