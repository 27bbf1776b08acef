//! A log that another replica writes: events before its tail come in pages.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::*;
use crate::store::{
    error::Unavailable,
    page::{PageError, Source},
    remote_log::{Gap, RemoteLog},
};

pub(super) const EVENTS: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];
const PAGE: usize = 2;

/// A log as the replicated store holds it.
#[derive(Debug)]
pub(super) struct Stored {
    events: Mutex<Vec<Bytes>>,
    ended: bool,
    /// What is answered in place of a page.
    trouble: Mutex<Option<PageError>>,
    asked: AtomicUsize,
    stopped: AtomicUsize,
    permits: Arc<Semaphore>,
}

impl Stored {
    pub(super) fn new(events: &[&'static str], ended: bool) -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::new(events.iter().map(|event| bytes(event)).collect()),
            ended,
            trouble: Mutex::new(None),
            asked: AtomicUsize::new(0),
            stopped: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(1)),
        })
    }

    fn pages(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The log of which only this much is known.
    pub(super) fn log(self: &Arc<Self>, newest: Batch) -> Arc<RemoteLog> {
        let source = Arc::clone(self) as Arc<dyn Source>;
        Arc::new(RemoteLog::new(
            ReplyId::random(),
            Created::now(),
            Owner::Anyone,
            source,
            newest,
        ))
    }

    /// The log of which only the newest event is known.
    fn found(self: &Arc<Self>) -> Arc<RemoteLog> {
        let events = self.events.lock().clone();
        self.log(Batch {
            after: Seq(events.len() as u64 - 1),
            events: events.last().cloned().into_iter().collect(),
            ended: self.ended,
        })
    }
}

impl Source for Stored {
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Batch, PageError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let events = self.events.lock();
        let from = usize::try_from(cursor.0).unwrap();
        let page: Vec<Bytes> = events.iter().skip(from).take(PAGE).cloned().collect();
        let answer = match *self.trouble.lock() {
            Some(trouble) => Err(trouble),
            None if page.is_empty() => Err(PageError::Missing),
            None => Ok(Batch {
                after: cursor,
                ended: self.ended && from + page.len() == events.len(),
                events: page,
            }),
        };
        async move {
            // A network never answers at once.
            tokio::task::yield_now().await;
            answer
        }
        .boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Unavailable>> {
        self.stopped.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(())).boxed()
    }

    fn snapshot_permit(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> {
        let permits = Arc::clone(&self.permits);
        async { permits.acquire_owned().await.ok() }.boxed()
    }
}

fn reader(log: &Arc<RemoteLog>) -> Reader {
    Log::from(Arc::clone(log)).reader()
}

async fn read_all(log: &Arc<RemoteLog>, mut cursor: Seq) -> Vec<Next> {
    let mut reader = reader(log);
    let mut read = Vec::new();
    while let next @ Next::Event { .. } = reader.read_after(cursor).await {
        cursor = cursor.next();
        read.push(next);
    }
    read
}

pub(super) fn whole() -> Vec<Next> {
    let events = (1..).zip(EVENTS);
    events
        .map(|(seq, text)| event(seq, text, seq == 7))
        .collect()
}

/// The event after `cursor` in [`whole`].
fn nth(cursor: u64) -> Next {
    whole().swap_remove(usize::try_from(cursor).unwrap())
}

#[tokio::test]
async fn what_came_before_is_read_in_pages() {
    let stored = Stored::new(&EVENTS, true);
    let log = stored.found();
    assert_eq!(log.position(), ended_at(7));
    assert_eq!(read_all(&log, Seq::ZERO).await, whole());
    assert_eq!(stored.pages(), 3, "the last event is here");
    assert_eq!(read_all(&log, Seq(6)).await, whole()[6..]);
    assert_eq!(stored.pages(), 3);
    assert_eq!(read_all(&log, Seq(7)).await, []);
    assert_eq!(read_all(&log, Seq(70)).await, []);
}

#[tokio::test]
async fn from_any_cursor_it_is_the_same_log() {
    for cursor in 0..7 {
        let log = Stored::new(&EVENTS, true).found();
        let rest = usize::try_from(cursor).unwrap();
        assert_eq!(read_all(&log, Seq(cursor)).await, whole()[rest..]);
    }
}

#[tokio::test]
async fn a_reader_that_has_caught_up_follows_what_comes() {
    let stored = Stored::new(&EVENTS[..4], false);
    let log = stored.found();
    let mut reader = reader(&log);
    for seq in 0..4 {
        assert_eq!(reader.read_after(Seq(seq)).await, nth(seq));
    }
    let mut waiting = Box::pin(reader.read_after(Seq(4)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.append(&batch(4, &["5", "6"], false)).unwrap();
    assert_eq!(waiting.await, event(5, "5", false));
    log.append(&batch(6, &["7"], true)).unwrap();
    assert_eq!(reader.read_after(Seq(5)).await, event(6, "6", false));
    assert_eq!(reader.read_after(Seq(6)).await, event(7, "7", true));
}

#[tokio::test]
async fn what_was_trimmed_meanwhile_comes_in_pages_too() {
    let stored = Stored::new(&EVENTS, true);
    let log = stored.log(batch(0, &EVENTS[..5], false));
    let mut reader = reader(&log);
    assert_eq!(reader.read_after(Seq::ZERO).await, whole()[0]);
    assert_eq!(stored.pages(), 0);
    log.trim_front(2, usize::MAX);
    log.append(&batch(5, &EVENTS[5..], true)).unwrap();
    log.trim_front(usize::MAX, 2);
    assert_eq!(log.position(), ended_at(7));
    for seq in 1..7 {
        assert_eq!(reader.read_after(Seq(seq)).await, nth(seq));
    }
    assert_eq!(stored.pages(), 2, "2 to 5 in two pages, 6 and 7 are here");
}

#[tokio::test]
async fn the_newest_event_is_never_trimmed() {
    let log = Stored::new(&EVENTS, true).found();
    log.trim_front(0, 0);
    assert_eq!(log.position(), ended_at(7));
    assert_eq!(read_all(&log, Seq(6)).await, whole()[6..]);
}

#[tokio::test]
async fn a_snapshot_reads_the_pages_that_it_needs() {
    let delta = "id: 2\nevent: delta\ndata: {\"text\":\"ab\"}\n\n";
    let stored = Stored::new(&["start", delta, delta], false);
    let log = stored.found();
    let snapshot = log.snapshot().await.unwrap();
    assert_eq!(
        (snapshot.content.text.as_str(), snapshot.last),
        ("abab", Seq(3))
    );
    // The last page may know more than this replica has been told.
    stored.events.lock().push(bytes(delta));
    let snapshot = log.snapshot().await.unwrap();
    assert_eq!(
        (snapshot.content.text.as_str(), snapshot.last),
        ("ababab", Seq(4))
    );
    *stored.trouble.lock() = Some(PageError::Unavailable);
    assert_eq!(log.snapshot().await, Err(Unavailable));
    *stored.trouble.lock() = Some(PageError::Missing);
    assert_eq!(log.snapshot().await, Err(Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_a_page_until_the_source_answers() {
    let stored = Stored::new(&EVENTS, true);
    let log = stored.found();
    *stored.trouble.lock() = Some(PageError::Unavailable);
    let mut reading = Box::pin(read_all(&log, Seq::ZERO));
    let hour = Duration::from_secs(3600);
    assert!(timeout(hour, reading.as_mut()).await.is_err());
    *stored.trouble.lock() = None;
    let answered = Instant::now();
    assert_eq!(reading.await, whole());
    assert!(answered.elapsed() <= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_missing_page_is_waited_for_and_then_given_up() {
    let stored = Stored::new(&EVENTS, true);
    let log = stored.found();
    *stored.trouble.lock() = Some(PageError::Missing);
    let mut reading = Box::pin(read_all(&log, Seq::ZERO));
    let almost = Duration::from_secs(14);
    assert!(timeout(almost, reading.as_mut()).await.is_err());
    // A store that does not answer cannot say that the page is lost: the wait begins anew.
    *stored.trouble.lock() = Some(PageError::Unavailable);
    assert!(timeout(almost, reading.as_mut()).await.is_err());
    *stored.trouble.lock() = Some(PageError::Missing);
    let missing = Instant::now();
    assert_eq!(reading.await, []);
    assert!((15..=16).contains(&missing.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_put_back_in_time_is_read() {
    let stored = Stored::new(&EVENTS, true);
    let log = stored.found();
    *stored.trouble.lock() = Some(PageError::Missing);
    let mut reading = Box::pin(read_all(&log, Seq(1)));
    let almost = Duration::from_secs(14);
    assert!(timeout(almost, reading.as_mut()).await.is_err());
    *stored.trouble.lock() = None;
    assert_eq!(reading.await, whole()[1..]);
}

#[tokio::test]
async fn an_invalid_log_closes_its_readers() {
    let log = Stored::new(&EVENTS[..2], false).found();
    let mut reader = reader(&log);
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.invalidate();
    assert_eq!(waiting.await, Next::Closed);
}

#[tokio::test]
async fn a_stop_goes_to_the_generation_until_the_end() {
    let stored = Stored::new(&EVENTS[..2], false);
    let log = stored.found();
    log.stop().await.unwrap();
    assert_eq!(stored.stopped.load(Ordering::Relaxed), 1);
    log.append(&batch(2, &["end"], true)).unwrap();
    log.stop().await.unwrap();
    assert_eq!(stored.stopped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_batch_that_overlaps_is_appended_once() {
    let log = Stored::new(&EVENTS, true).log(batch(0, &EVENTS[..3], false));
    log.append(&batch(1, &EVENTS[1..5], false)).unwrap();
    log.append(&batch(0, &EVENTS[..2], false)).unwrap();
    assert_eq!(log.position(), running_at(5));
    log.append(&batch(5, &EVENTS[5..], true)).unwrap();
    assert_eq!(
        log.append(&batch(7, &["8"], false)),
        Ok(()),
        "after the end"
    );
    assert_eq!(log.position(), ended_at(7));
}

#[test]
fn a_batch_that_would_leave_a_gap_is_refused() {
    let log = Stored::new(&EVENTS, true).log(batch(0, &EVENTS[..3], false));
    assert_eq!(log.append(&batch(4, &EVENTS[4..], true)), Err(Gap));
    assert_eq!(log.position(), running_at(3));
}

#[test]
fn an_end_where_other_events_are_closes_the_readers() {
    for end in [3, 4, 5] {
        let log = Stored::new(&EVENTS, true).log(batch(0, &EVENTS[..5], false));
        let mut reader = reader(&log);
        assert_eq!(reader.read_after(Seq(5)).now_or_never(), None);
        log.append(&batch(end - 1, &["end"], true)).unwrap();
        assert!(log.is_invalid(), "an end at {end}");
        assert_eq!(reader.read_after(Seq(5)).now_or_never(), Some(Next::Closed));
        assert!(!log.position().ended);
    }
}

#[tokio::test]
async fn the_tail_is_bounded_by_number_and_by_size() {
    let stored = Stored::new(&[], false);
    let (many, long) = (vec!["x"; 200], &*"x".repeat(20 << 10).leak());
    let log = stored.log(batch(0, &["x"], false));
    log.append(&batch(1, &many, false)).unwrap();
    let kept = |log: &Arc<RemoteLog>, cursor| reader(log).read_after(Seq(cursor)).now_or_never();
    assert_eq!(kept(&log, 201 - 128), Some(event(74, "x", false)));
    assert_eq!(kept(&log, 201 - 129), None, "it is fetched");
    log.append(&batch(201, &[long; 4], false)).unwrap();
    assert_eq!(kept(&log, 202), Some(event(203, long, false)));
    assert_eq!(kept(&log, 201), None, "it is fetched");
}
