//! A log that is written in this process, and its readers.

use futures_util::FutureExt as _;

use super::*;

fn log() -> Arc<Log> {
    Arc::new(Log::new(ReplyId::random(), Created::now(), Origin::Here))
}

fn add(log: &Log, blocks: &[&'static str], ends: bool) -> bool {
    log.add(
        blocks.iter().map(|b| Bytes::from_static(b.as_bytes())),
        ends,
        &mut Vec::new(),
    )
}

fn block(seq: u64, text: &'static str, last: bool) -> Next {
    Next::Block {
        seq: Seq(seq),
        block: Bytes::from_static(text.as_bytes()),
        last,
    }
}

#[tokio::test]
async fn a_reader_gets_what_is_there_and_then_what_comes() {
    let log = log();
    add(&log, &["a", "b"], false);
    let mut reader = log.reader();
    assert_eq!(reader.read_after(Seq(0)).await, block(1, "a", false));
    assert_eq!(reader.read_after(Seq(1)).await, block(2, "b", false));
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    add(&log, &["c"], true);
    assert_eq!(waiting.await, block(3, "c", true));
    assert_eq!(reader.read_after(Seq(3)).await, Next::Nothing);
}

#[tokio::test]
async fn a_cursor_ahead_of_a_running_log_waits_until_the_log_gets_there() {
    let log = log();
    add(&log, &["a"], false);
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    add(&log, &["b"], false);
    assert_eq!(waiting.as_mut().now_or_never(), None);
    add(&log, &["c"], false);
    assert_eq!(waiting.await, block(3, "c", false));
}

#[tokio::test]
async fn a_cursor_beyond_everything_is_let_go_at_the_end() {
    let log = log();
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq(u64::MAX)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    add(&log, &["a"], true);
    assert_eq!(waiting.await, Next::Nothing);
}

#[test]
fn nothing_is_added_after_the_end() {
    let log = log();
    assert!(add(&log, &["a"], true));
    assert!(!add(&log, &["b"], false));
    assert_eq!(log.tail(), (Seq(1), true));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_an_unread_reply_runs_from_the_last_readers_leaving() {
    let log = log();
    let reader = log.reader();
    let second = log.reader();
    let patience = Duration::from_secs(60);
    let mut unread = Box::pin(log.unread_for(patience));
    let far = Duration::from_secs(1000);
    assert!(tokio::time::timeout(far, unread.as_mut()).await.is_err());
    drop(reader);
    assert!(tokio::time::timeout(far, unread.as_mut()).await.is_err());
    drop(second);
    let left = Instant::now();
    unread.await;
    assert_eq!(left.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_as_reading() {
    let log = log();
    let mut unread = Box::pin(log.unread_for(Duration::from_secs(60)));
    assert!(
        tokio::time::timeout(Duration::from_secs(59), unread.as_mut())
            .await
            .is_err()
    );
    let _ = log.snapshot().await;
    assert!(
        tokio::time::timeout(Duration::from_secs(59), unread.as_mut())
            .await
            .is_err()
    );
    assert!(
        tokio::time::timeout(Duration::from_secs(2), unread)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_first_stop_request_counts() {
    let log = log();
    let mut stopped = Box::pin(log.stop_requested());
    assert_eq!(stopped.as_mut().now_or_never(), None);
    log.request_stop(StopRequest::Viewer);
    log.request_stop(StopRequest::Shutdown);
    assert_eq!(stopped.await, StopRequest::Viewer);
}
