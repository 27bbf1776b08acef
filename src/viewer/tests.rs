//! Viewers in paused time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use super::*;
use crate::{
    event::{End, ReplyEvent, Status, Timing},
    store::{self, Created, Store, Writer},
};

const PING: Duration = Duration::from_secs(10);

async fn writer() -> Writer {
    let retention = Duration::from_secs(600);
    let store = Store::in_memory(store::Options {
        max_replies: 1,
        retention,
        pad: false,
    });
    match store.create(None).await.unwrap() {
        Created::New(writer) => writer,
        Created::Existing(_) => panic!("no key was given"),
    }
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
    assert_eq!(piece, None);
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

/// A viewer of everything that may be moved.
fn movable(writer: &Writer, moves: &MoveSignal) -> Viewer {
    let viewer = Viewer::new(writer.log().reader(), Seq::ZERO, PING);
    viewer.movable(moves.listen().unwrap())
}

/// Checks that a block is a farewell at a cursor.
fn is_farewell(block: &str, cursor: u64) {
    let (retry, ping) = block.split_once('\n').unwrap();
    let retry: u16 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((200..=3000).contains(&retry), "{retry}");
    let expected = format!("id: {cursor}\nevent: ping\ndata: {{\"last\":{cursor}}}\n\n");
    assert_eq!(ping, expected);
}

#[tokio::test(start_paused = true)]
async fn minutes_of_thinking_are_filled_with_pings() {
    let mut writer = writer().await;
    let mut viewer = Viewer::new(writer.log().reader(), Seq::ZERO, PING);
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
    let mut viewer = Viewer::new(writer.log().reader(), Seq::ZERO, PING);
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
    let mut viewer = Viewer::new(writer.log().reader(), Seq(1), PING);
    assert!(next(&mut viewer).await.ends_with("\n\n"));
    let pieces = [
        next(&mut viewer).await,
        next(&mut viewer).await,
        next(&mut viewer).await,
    ];
    assert_eq!(pieces[0].len(), MAX_PIECE);
    let whole = pieces.concat();
    assert!(whole.starts_with("id: 3\nevent: delta\n") && whole.ends_with("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_must_move_gets_a_ping_with_a_time_to_wait_and_its_body_ends() {
    let writer = writer().await;
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    next(&mut viewer).await;
    let given = Instant::now();
    let told = async { moves.give(Duration::from_secs(5)) };
    let (farewell, ()) = tokio::join!(next(&mut viewer), told);
    is_farewell(&farewell, 1);
    assert!(given.elapsed() <= Duration::from_millis(5001));
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn viewers_do_not_move_in_one_moment_and_the_last_one_is_waited_for() {
    let writer = writer().await;
    let moves = MoveSignal::default();
    let mut leaving = Vec::new();
    for _ in 0..200 {
        let mut viewer = movable(&writer, &moves);
        leaving.push(tokio::spawn(async move {
            next(&mut viewer).await;
            is_farewell(&next(&mut viewer).await, 1);
            Instant::now()
        }));
    }
    tokio::task::yield_now().await;
    let given = Instant::now();
    moves.give(Duration::from_secs(5));
    moves.all_left().await;
    let all_left = given.elapsed();
    let mut seconds = [0; 6];
    let mut longest = Duration::ZERO;
    for viewer in leaving {
        let stayed = viewer.await.unwrap() - given;
        longest = longest.max(stayed);
        seconds[usize::try_from(stayed.as_secs()).unwrap()] += 1;
    }
    assert!(longest <= Duration::from_millis(5001), "{longest:?}");
    assert!(all_left >= longest);
    // 40 are expected in each of the five seconds; fewer than 10 are all but impossible.
    assert!(seconds[..5].iter().all(|n| *n >= 10), "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_waits_to_move_gets_its_events_and_pings_as_ever() {
    let mut writer = writer().await;
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    next(&mut viewer).await;
    // So long a time that its random moment is not within the first minute.
    moves.give(Duration::from_secs(60 * 1_000_000_000));
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
        assert_eq!(begun.elapsed(), PING);
    }
    writer.append(&[delta(1)]).unwrap();
    assert!(next(&mut viewer).await.starts_with("id: 2\nevent: delta"));
}

#[tokio::test(start_paused = true)]
async fn a_large_event_is_finished_before_its_viewer_moves() {
    let mut writer = writer().await;
    writer.append(&[delta(40_000), delta(1)]).unwrap();
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    next(&mut viewer).await;
    let mut large = next(&mut viewer).await;
    moves.give(Duration::ZERO);
    while !large.ends_with("\n\n") {
        large.push_str(&next(&mut viewer).await);
    }
    assert!(large.starts_with("id: 2\nevent: delta\n") && large.len() > 40_000);
    is_farewell(&next(&mut viewer).await, 2);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_always_finds_an_event_moves_all_the_same() {
    let mut writer = writer().await;
    writer.append(&[delta(1), delta(1)]).unwrap();
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    next(&mut viewer).await;
    moves.give(Duration::ZERO);
    is_farewell(&next(&mut viewer).await, 1);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_there_is_sent_and_nothing_after_it() {
    let writer = writer().await;
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    next(&mut viewer).await;
    let end = end_of(&writer);
    writer.end(end);
    moves.give(Duration::ZERO);
    assert!(next(&mut viewer).await.starts_with("id: 2\nevent: end"));
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_was_not_looked_at_for_long_leaves_at_once() {
    let writer = writer().await;
    let moves = MoveSignal::default();
    let mut viewer = movable(&writer, &moves);
    moves.give(Duration::from_secs(5));
    tokio::time::advance(Duration::from_secs(6)).await;
    // It has sent nothing yet, and its only event is its last.
    is_farewell(&next(&mut viewer).await, 0);
    body_ends(&mut viewer).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_not_movable_stays() {
    let writer = writer().await;
    let moves = MoveSignal::default();
    let mut viewer = Viewer::new(writer.log().reader(), Seq(1), PING);
    next(&mut viewer).await;
    moves.give(Duration::ZERO);
    moves.all_left().await;
    assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
    assert!(next(&mut viewer).await.starts_with("id: 1\nevent: ping"));
}

#[test]
fn nobody_can_come_once_the_signal_is_given() {
    let moves = MoveSignal::default();
    assert!(moves.listen().is_some());
    moves.give(Duration::ZERO);
    assert!(moves.listen().is_none());
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_signal_that_is_given_while_a_viewer_begins_to_wait_is_not_lost() {
    const ROUNDS: usize = 5_000;
    let signals: Arc<Vec<_>> = Arc::new((0..ROUNDS).map(|_| MoveSignal::default()).collect());
    let [turn, given] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let giver = {
        let (signals, turn, given) = (signals.clone(), turn.clone(), given.clone());
        std::thread::spawn(move || {
            for (round, signal) in signals.iter().enumerate() {
                wait_until(&turn, round + 1);
                signal.give(Duration::ZERO);
                given.store(round + 1, Ordering::Release);
            }
        })
    };
    let woken = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&woken));
    for (round, signal) in signals.iter().enumerate() {
        let mut listener = signal.listen().unwrap();
        turn.store(round + 1, Ordering::Release);
        // The two meet at another point in each round.
        for _ in 0..round % 100 {
            std::hint::spin_loop();
        }
        let before = woken.0.load(Ordering::SeqCst);
        let waits = listener
            .poll_leave_at(&Context::from_waker(&waker))
            .is_pending();
        wait_until(&given, round + 1);
        let wakes = woken.0.load(Ordering::SeqCst) - before;
        assert_eq!(wakes, usize::from(waits), "in round {round}");
    }
    giver.join().unwrap();
}

/// Spins: a sleeping thread would come too late to meet the other.
fn wait_until(counter: &AtomicUsize, value: usize) {
    let mut spins = 0_u32;
    while counter.load(Ordering::Acquire) < value {
        spins += 1;
        // Where there is one core only, the other thread needs it.
        if spins.is_multiple_of(10_000) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[test]
fn a_viewer_whose_task_changes_is_woken_where_it_is_now() {
    let counts = [(); 2].map(|()| Arc::new(Count::default()));
    let moves = MoveSignal::default();
    let mut listener = moves.listen().unwrap();
    for count in [&counts[0], &counts[1], &counts[1]] {
        let waker = Waker::from(Arc::clone(count));
        let cx = Context::from_waker(&waker);
        assert!(listener.poll_leave_at(&cx).is_pending());
    }
    moves.give(Duration::ZERO);
    assert_eq!(counts.map(|count| count.0.load(Ordering::SeqCst)), [0, 1]);
}
