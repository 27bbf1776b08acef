//! A log that another replica writes: what is not kept here comes in pages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{add, block, bytes};
use crate::{
    event::{Created, ReplyId, Seq},
    store::{
        Unavailable,
        log::{Log, Next, Origin},
        page::{Elsewhere, Page, PageError},
    },
};

pub(super) const BLOCKS: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];
const PAGE: usize = 2;

/// Another replica's log as a shared store holds it.
#[derive(Debug)]
pub(super) struct Shared {
    blocks: Mutex<Vec<Bytes>>,
    ends: bool,
    /// What is answered in place of a page.
    trouble: Mutex<Option<PageError>>,
    asked: AtomicUsize,
    stopped: AtomicUsize,
    turns: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn with(blocks: &[&'static str], ends: bool) -> Arc<Self> {
        Arc::new(Self {
            blocks: Mutex::new(blocks.iter().map(|block| bytes(block)).collect()),
            ends,
            trouble: Mutex::new(None),
            asked: AtomicUsize::new(0),
            stopped: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(1)),
        })
    }

    fn pages(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Elsewhere for Shared {
    fn page(&self, cursor: Seq) -> BoxFuture<'static, Result<Page, PageError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let blocks = self.blocks.lock();
        let from = usize::try_from(cursor.0).unwrap();
        let page: Vec<Bytes> = blocks.iter().skip(from).take(PAGE).cloned().collect();
        let ends = self.ends && from + page.len() == blocks.len();
        let answer = match *self.trouble.lock() {
            Some(trouble) => Err(trouble),
            None if page.is_empty() => Err(PageError::Missing),
            None => Ok(Page::new(cursor, page, ends)),
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

    fn turn(&self) -> BoxFuture<'static, Option<OwnedSemaphorePermit>> {
        let turns = Arc::clone(&self.turns);
        async { turns.acquire_owned().await.ok() }.boxed()
    }
}

/// A log of which only the newest event is known.
fn found(shared: &Arc<Shared>) -> Arc<Log> {
    let (newest, last) = {
        let blocks = shared.blocks.lock();
        (blocks.last().cloned().unwrap(), Seq(blocks.len() as u64))
    };
    Arc::new(Log::elsewhere(
        ReplyId::random(),
        Created::now(),
        Arc::clone(shared) as Arc<dyn Elsewhere>,
        newest,
        last,
        shared.ends,
    ))
}

async fn read_all(log: &Arc<Log>, mut cursor: Seq) -> Vec<Next> {
    let mut reader = log.reader();
    let mut read = Vec::new();
    while let next @ Next::Block { .. } = reader.read_after(cursor).await {
        cursor = cursor.next();
        read.push(next);
    }
    read
}

pub(super) fn whole() -> Vec<Next> {
    let blocks = (1..).zip(BLOCKS);
    blocks
        .map(|(seq, text)| block(seq, text, seq == 7))
        .collect()
}

#[tokio::test]
async fn what_came_before_is_read_in_pages() {
    let shared = Shared::with(&BLOCKS, true);
    let log = found(&shared);
    assert_eq!(log.tail(), (Seq(7), true));
    assert_eq!(read_all(&log, Seq::ZERO).await, whole());
    assert_eq!(shared.pages(), 3, "the last event is here");
    assert_eq!(read_all(&log, Seq(6)).await, whole()[6..]);
    assert_eq!(shared.pages(), 3);
    assert_eq!(read_all(&log, Seq(7)).await, []);
    assert_eq!(read_all(&log, Seq(70)).await, []);
}

#[tokio::test]
async fn from_any_cursor_it_is_the_same_log() {
    for cursor in 0..7 {
        let log = found(&Shared::with(&BLOCKS, true));
        let rest = usize::try_from(cursor).unwrap();
        assert_eq!(read_all(&log, Seq(cursor)).await, whole()[rest..]);
    }
}

#[tokio::test]
async fn a_reader_that_has_caught_up_follows_what_comes() {
    let shared = Shared::with(&BLOCKS[..4], false);
    let log = found(&shared);
    let mut reader = log.reader();
    for seq in 0..4 {
        let next = reader.read_after(Seq(seq)).await;
        assert_eq!(next, whole()[usize::try_from(seq).unwrap()]);
    }
    let mut waiting = Box::pin(reader.read_after(Seq(4)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    add(&log, &["5", "6"], false);
    assert_eq!(waiting.await, block(5, "5", false));
    add(&log, &["7"], true);
    assert_eq!(reader.read_after(Seq(5)).await, block(6, "6", false));
    assert_eq!(reader.read_after(Seq(6)).await, block(7, "7", true));
}

#[tokio::test]
async fn what_is_forgotten_meanwhile_comes_in_pages_too() {
    let shared = Shared::with(&BLOCKS, true);
    let log = Arc::new(Log::new(
        ReplyId::random(),
        Created::now(),
        Origin::Elsewhere(Arc::clone(&shared) as Arc<dyn Elsewhere>),
    ));
    add(&log, &BLOCKS[..5], false);
    let mut reader = log.reader();
    assert_eq!(reader.read_after(Seq::ZERO).await, whole()[0]);
    assert_eq!(shared.pages(), 0);
    log.forget_all_but(2, usize::MAX);
    add(&log, &BLOCKS[5..], true);
    log.forget_all_but(usize::MAX, 2);
    assert_eq!(log.tail(), (Seq(7), true));
    for seq in 1..7 {
        let next = reader.read_after(Seq(seq)).await;
        assert_eq!(next, whole()[usize::try_from(seq).unwrap()]);
    }
    assert_eq!(shared.pages(), 2, "2 to 5 in two pages, 6 and 7 are here");
}

#[tokio::test]
async fn the_newest_event_is_never_forgotten() {
    let log = found(&Shared::with(&BLOCKS, true));
    log.forget_all_but(0, 0);
    assert_eq!(log.tail(), (Seq(7), true));
    assert_eq!(read_all(&log, Seq(6)).await, whole()[6..]);
}

#[tokio::test]
async fn a_snapshot_reads_the_pages_that_it_needs() {
    let delta = "id: 2\nevent: delta\ndata: {\"text\":\"ab\"}\n\n";
    let shared = Shared::with(&["start", delta, delta], false);
    let log = found(&shared);
    let snapshot = log.snapshot().await.unwrap();
    assert_eq!((snapshot.text.as_str(), snapshot.last), ("abab", Seq(3)));
    // The last page may know more than this replica has been told.
    shared.blocks.lock().push(bytes(delta));
    let snapshot = log.snapshot().await.unwrap();
    assert_eq!((snapshot.text.as_str(), snapshot.last), ("ababab", Seq(4)));
    *shared.trouble.lock() = Some(PageError::Unavailable);
    assert_eq!(log.snapshot().await, Err(Unavailable));
    *shared.trouble.lock() = Some(PageError::Missing);
    assert_eq!(log.snapshot().await, Err(Unavailable));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_a_page_waits_until_the_store_answers() {
    let shared = Shared::with(&BLOCKS, true);
    let log = found(&shared);
    *shared.trouble.lock() = Some(PageError::Unavailable);
    let mut reading = Box::pin(read_all(&log, Seq::ZERO));
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, reading.as_mut()).await.is_err());
    *shared.trouble.lock() = None;
    let answered = Instant::now();
    assert_eq!(reading.await, whole());
    assert!(answered.elapsed() <= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_missing_is_waited_for_and_then_given_up() {
    let shared = Shared::with(&BLOCKS, true);
    let log = found(&shared);
    *shared.trouble.lock() = Some(PageError::Missing);
    let mut reading = Box::pin(read_all(&log, Seq::ZERO));
    let almost = Duration::from_secs(14);
    assert!(
        tokio::time::timeout(almost, reading.as_mut())
            .await
            .is_err()
    );
    // A store that does not answer cannot say that the page is lost: the wait begins anew.
    *shared.trouble.lock() = Some(PageError::Unavailable);
    assert!(
        tokio::time::timeout(almost, reading.as_mut())
            .await
            .is_err()
    );
    *shared.trouble.lock() = Some(PageError::Missing);
    let missing = Instant::now();
    assert_eq!(reading.await, []);
    assert!((15..=16).contains(&missing.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_put_back_in_time_is_read() {
    let shared = Shared::with(&BLOCKS, true);
    let log = found(&shared);
    *shared.trouble.lock() = Some(PageError::Missing);
    let mut reading = Box::pin(read_all(&log, Seq(1)));
    let almost = Duration::from_secs(14);
    assert!(
        tokio::time::timeout(almost, reading.as_mut())
            .await
            .is_err()
    );
    *shared.trouble.lock() = None;
    assert_eq!(reading.await, whole()[1..]);
}

#[tokio::test]
async fn a_log_that_vanishes_lets_go_of_who_waits() {
    let log = found(&Shared::with(&BLOCKS[..2], false));
    let mut reader = log.reader();
    let mut waiting = Box::pin(reader.read_after(Seq(2)));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    log.vanish();
    assert_eq!(waiting.await, Next::Nothing);
}

#[tokio::test]
async fn a_stop_goes_to_where_the_generation_is_until_the_end() {
    let shared = Shared::with(&BLOCKS[..2], false);
    let log = found(&shared);
    log.stop().await.unwrap();
    assert_eq!(shared.stopped.load(Ordering::Relaxed), 1);
    add(&log, &["end"], true);
    log.stop().await.unwrap();
    assert_eq!(shared.stopped.load(Ordering::Relaxed), 1);
}
