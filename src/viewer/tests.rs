//! Viewers in paused time.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::*;
use crate::{
    event::{End, ReplyEvent, Status, Timing},
    shutdown::DrainSignal,
    store::{Log, Reader, Store, Writer},
};

const PING: Duration = Duration::from_secs(10);

async fn writer() -> Writer {
    Store::for_tests().writer().await
}

async fn next(viewer: &mut Viewer) -> String {
    let piece = std::future::poll_fn(|cx| Pin::new(&mut *viewer).poll_next(cx)).await;
    let Some(Ok(piece)) = piece else {
        panic!("the body has ended")
    };
    String::from_utf8(piece.into()).unwrap()
}

async fn body_ends(viewer: &mut Viewer) {
    let piece = std::future::poll_fn(|cx| Pin::new(&mut *viewer).poll_next(cx)).await;
    assert!(piece.is_none(), "{piece:?}");
}

fn delta(length: usize) -> ReplyEvent {
    let text = "x".repeat(length);
    ReplyEvent::Delta { text }
}

fn end_of(writer: &Writer) -> End {
    End {
        status: Status::Completed,
        finish_reason: None,
        reason: None,
        model: None,
        usage: None,
        bytes: writer.transcript().bytes(),
        sha256: writer.transcript().sha256(),
        ms: Timing::default(),
        error: None,
    }
}

fn reader(writer: &Writer) -> Reader {
    Log::from(Arc::clone(writer.log())).reader()
}

/// A viewer that never leaves before the end.
fn staying(writer: &Writer, cursor: Seq) -> Viewer {
    staying_despite(writer, cursor, &DrainSignal::default())
}

fn staying_despite(writer: &Writer, cursor: Seq, signal: &DrainSignal) -> Viewer {
    let on_drain = OnDrain::Stay(signal.guard());
    Viewer::new(reader(writer), cursor, Format::Native, PING, on_drain)
}

/// A viewer of all events that leaves when it is told to.
fn leaving(writer: &Writer, signal: &DrainSignal) -> Viewer {
    let on_drain = OnDrain::Leave(signal.watch().unwrap());
    Viewer::new(reader(writer), Seq::ZERO, Format::Native, PING, on_drain)
}

/// Checks that an event is a reconnect hint at a cursor.
fn is_reconnect_hint(event: &str, cursor: u64) {
    let (retry, ping) = event.split_once('\n').unwrap();
    let retry: u16 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((200..=3000).contains(&retry), "{retry}");
    let expected = format!("id: {cursor}\nevent: ping\ndata: {{\"last\":{cursor}}}\n\n");
    assert_eq!(ping, expected);
}

#[tokio::test(start_paused = true)]
async fn minutes_of_thinking_are_filled_with_pings() {
    let mut writer = writer().await;
    let mut viewer = staying(&writer, Seq::ZERO);
    assert!(next(&mut viewer).await.starts_with("retry: "));
    let begun = Instant::now();
    for n in 1..=54 {
        let ping = next(&mut viewer).await;
        assert_eq!(ping, "id: 1\nevent: ping\ndata: {\"last\":1}\n\n");
        assert_eq!(begun.elapsed(), PING * n);
    }
    writer
        .append(&[ReplyEvent::Delta {
            text: "at last".into(),
        }])
        .unwrap();
    assert!(next(&mut viewer).await.contains("at last"));
    assert_eq!(begun.elapsed(), Duration::from_secs(540));
}

#[tokio::test(start_paused = true)]
async fn the_silence_is_counted_from_the_last_event() {
    let mut writer = writer().await;
    let mut viewer = staying(&writer, Seq::ZERO);
    next(&mut viewer).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    writer
        .append(&[ReplyEvent::Delta { text: "a".into() }])
        .unwrap();
    next(&mut viewer).await;
    let sent = Instant::now();
    assert!(next(&mut viewer).await.contains("event: ping"));
    assert_eq!(sent.elapsed(), PING);
}

#[tokio::test]
async fn only_a_large_event_is_sent_in_pieces() {
    let mut writer = writer().await;
    let events = ["small".to_owned(), "x".repeat(40_000)];
    let events = events.map(|text| ReplyEvent::Delta { text });
    writer.append(&events).unwrap();
    let mut viewer = staying(&writer, Seq(1));
    assert!(next(&mut viewer).await.ends_with("\n\n"));
    let pieces = [
        next(&mut viewer).await,
        next(&mut viewer).await,
        next(&mut viewer).await,
    ];
    assert_eq!(pieces[0].len(), PIECE_BYTES);
    let whole = pieces.concat();
    assert!(whole.starts_with("id: 3\nevent: delta\n") && whole.ends_with("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_must_leave_sends_a_reconnect_hint_and_its_body_ends() {
    let writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    next(&mut viewer).await;
    let given = Instant::now();
    let told = async { signal.start(Duration::from_secs(5)) };
    let (hint, ()) = tokio::join!(next(&mut viewer), told);
    is_reconnect_hint(&hint, 1);
    assert!(given.elapsed() <= Duration::from_millis(5001));
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_waits_to_leave_sends_its_events_and_pings_as_ever() {
    let mut writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    next(&mut viewer).await;
    // So long a time that its random moment is not within the first minute.
    signal.start(Duration::from_secs(60 * 1_000_000_000));
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
        assert_eq!(begun.elapsed(), PING);
    }
    writer.append(&[delta(1)]).unwrap();
    assert!(next(&mut viewer).await.starts_with("id: 2\nevent: delta"));
}

#[tokio::test(start_paused = true)]
async fn a_large_event_is_finished_before_its_viewer_leaves() {
    let mut writer = writer().await;
    writer.append(&[delta(40_000), delta(1)]).unwrap();
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    next(&mut viewer).await;
    let mut large = next(&mut viewer).await;
    signal.start(Duration::ZERO);
    while !large.ends_with("\n\n") {
        large.push_str(&next(&mut viewer).await);
    }
    assert!(large.starts_with("id: 2\nevent: delta\n") && large.len() > 40_000);
    is_reconnect_hint(&next(&mut viewer).await, 2);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_always_finds_an_event_leaves_all_the_same() {
    let mut writer = writer().await;
    writer.append(&[delta(1), delta(1)]).unwrap();
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    next(&mut viewer).await;
    signal.start(Duration::ZERO);
    is_reconnect_hint(&next(&mut viewer).await, 1);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_ready_is_sent_instead_of_a_reconnect_hint() {
    let writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    next(&mut viewer).await;
    let end = end_of(&writer);
    writer.end(end);
    signal.start(Duration::ZERO);
    assert!(next(&mut viewer).await.starts_with("id: 2\nevent: end"));
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_was_not_polled_for_long_leaves_at_once() {
    let writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewer = leaving(&writer, &signal);
    signal.start(Duration::from_secs(5));
    tokio::time::advance(Duration::from_secs(6)).await;
    // It has sent nothing yet, and its only event is its last.
    is_reconnect_hint(&next(&mut viewer).await, 0);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_stays_takes_no_notice_of_the_signal_and_is_counted() {
    let writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewer = staying_despite(&writer, Seq(1), &signal);
    next(&mut viewer).await;
    signal.start(Duration::ZERO);
    assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
    assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
    assert!(signal.guards_dropped().now_or_never().is_none());
    drop(viewer);
    signal.guards_dropped().now_or_never().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_every_viewer_that_leaves() {
    let writer = writer().await;
    let signal = DrainSignal::default();
    let mut viewers = [(); 20].map(|()| leaving(&writer, &signal));
    for viewer in &mut viewers {
        next(viewer).await;
    }
    let begun = Instant::now();
    signal.start(Duration::from_secs(5));
    let last = viewers.map(|mut viewer| async move {
        is_reconnect_hint(&next(&mut viewer).await, 1);
        body_ends(&mut viewer).await;
        begun.elapsed()
    });
    let last = futures_util::future::join_all(last);
    let waited = async {
        signal.watches_dropped().await;
        begun.elapsed()
    };
    let (last, waited) = tokio::join!(last, waited);
    assert_eq!(last.into_iter().max(), Some(waited));
}

#[test]
fn a_viewer_costs_no_more_than_a_cursor_and_a_timer() {
    let size = size_of::<Viewer>();
    assert!(size <= 208, "{size}");
}
