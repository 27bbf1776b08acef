//! Replies in memory: found, kept, evicted.

use super::*;
use crate::{
    event::{End, Padding, Seq, Status, Timing, Transcript},
    store::{Store, batch::Position},
};

fn store(max_replies: usize) -> Store {
    let retention = Duration::from_secs(600);
    Store::in_memory(Options {
        max_replies,
        max_running: usize::MAX,
        retention,
        padding: Padding::Off,
    })
}

fn end() -> End {
    End {
        status: Status::Completed,
        finish_reason: None,
        reason: None,
        model: None,
        usage: None,
        bytes: 0,
        sha256: Transcript::default().sha256(),
        ms: Timing::default(),
        error: None,
    }
}

fn keyed(key: &str, fingerprint: u8) -> Option<Request> {
    let key = IdempotencyKey::parse(key).unwrap();
    Some(Request {
        key,
        fingerprint: [fingerprint; 32],
    })
}

#[tokio::test]
async fn a_reply_can_be_found_as_soon_as_it_is_created() {
    let store = store(10);
    let writer = store.writer().await;
    let log = store.find(writer.log().id()).await.unwrap().unwrap();
    let seq = Seq(1);
    assert_eq!(log.position(), Position { seq, ended: false });
    assert_eq!(store.running(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_kept_for_its_retention_after_its_end() {
    let store = store(10);
    let writer = store.writer().await;
    let id = writer.log().id();
    tokio::time::advance(Duration::from_secs(10_000)).await;
    assert!(
        store.find(id).await.unwrap().is_some(),
        "it is still running"
    );
    writer.end(end());
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(store.find(id).await.unwrap().is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(store.find(id).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_sweep_frees_memory_without_a_request() {
    let store = store(10);
    let writer = store.writer().await;
    let log = Arc::downgrade(writer.log());
    writer.end(end());
    let swept = tokio::time::timeout(Duration::from_secs(602), store.sweep()).await;
    assert!(swept.is_err(), "it sweeps forever");
    assert!(log.upgrade().is_none());
}

#[tokio::test]
async fn the_oldest_ended_reply_makes_room_and_a_running_one_never_does() {
    let store = store(2);
    let (first, second) = (store.writer().await, store.writer().await);
    assert_eq!(
        store.create(Owner::Anyone, None).await.unwrap_err(),
        CreateError::Full
    );
    let (first_id, second_id) = (first.log().id(), second.log().id());
    second.end(end());
    first.end(end());
    let _third = store.writer().await;
    assert!(store.find(second_id).await.unwrap().is_none());
    assert!(store.find(first_id).await.unwrap().is_some());
}

#[tokio::test]
async fn the_oldest_ended_replies_make_room_for_bytes_and_their_eviction_is_told() {
    let memory = Memory::new(Options {
        max_replies: 10,
        max_running: usize::MAX,
        retention: Duration::from_secs(600),
        padding: Padding::Off,
    });
    let (on_evict, mut evicted) = mpsc::unbounded_channel();
    memory.on_evict(on_evict);
    let ids = [(); 3].map(|()| ReplyId::random());
    for (id, bytes) in ids.into_iter().zip([1, MAX_LOG_BYTES, 1]) {
        let _writer = memory.open(id, Owner::Anyone).unwrap();
        memory.shared.ended(id, bytes);
    }
    assert_eq!(evicted.try_recv(), Ok(ids[0]));
    assert_eq!(evicted.try_recv(), Ok(ids[1]));
    assert!(evicted.try_recv().is_err());
    let kept = ids.map(|id| memory.find(id).is_some());
    assert_eq!(kept, [false, false, true]);
}

#[tokio::test]
async fn running_logs_count_and_once_they_take_all_memory_no_reply_starts() {
    let store = store(10);
    let Memory { shared, .. } = &store.memory;
    let ended = store.writer().await;
    let id = ended.log().id();
    ended.end(end());
    assert_eq!(shared.running_bytes.load(Ordering::Relaxed), 0);
    let running = store.writer().await;
    assert!(shared.running_bytes.load(Ordering::Relaxed) > 0);
    shared
        .running_bytes
        .fetch_add(MAX_LOG_BYTES, Ordering::Relaxed);
    let refused = store.create(Owner::Anyone, None).await;
    assert!(matches!(refused, Err(CreateError::Full)));
    running.end(end());
    assert!(store.find(id).await.unwrap().is_none(), "it made room");
    shared
        .running_bytes
        .fetch_sub(MAX_LOG_BYTES, Ordering::Relaxed);
    assert_eq!(shared.running_bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_as_long_as_its_reply() {
    let store = store(10);
    let Ok(Created::New(writer)) = store
        .create(Owner::Anyone, keyed("0123456789abcdef", 1))
        .await
    else {
        panic!("new")
    };
    writer.end(end());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(matches!(
        store
            .create(Owner::Anyone, keyed("0123456789abcdef", 2))
            .await,
        Ok(Created::New(_))
    ));
}

#[tokio::test]
async fn a_dropped_writer_leaves_an_end_behind() {
    let store = store(10);
    let writer = store.writer().await;
    let log = Arc::clone(writer.log());
    drop(writer);
    let end = log.end().unwrap();
    assert_eq!(end.status, Status::Failed);
    assert_eq!(end.error.unwrap().code, crate::event::ErrorCode::Internal);
    assert_eq!(store.running(), 0);
}

#[tokio::test]
async fn a_store_that_drains_refuses_new_replies_and_lets_the_others_run() {
    let store = store(10);
    let Ok(Created::New(writer)) = store
        .create(Owner::Anyone, keyed("0123456789abcdef", 1))
        .await
    else {
        panic!("new")
    };
    assert!(!store.is_draining());
    store.refuse_new();
    assert!(store.is_draining());
    assert_eq!(
        store.create(Owner::Anyone, None).await.unwrap_err(),
        CreateError::Draining
    );
    let again = store
        .create(Owner::Anyone, keyed("0123456789abcdef", 1))
        .await;
    assert!(matches!(again, Ok(Created::Existing(_))), "it is here");
    let mut stopped = Box::pin(writer.log().stop_requested());
    assert!(futures_util::poll!(stopped.as_mut()).is_pending());
}

#[tokio::test]
async fn a_store_is_idle_when_the_last_reply_has_ended() {
    let store = store(10);
    store.idle().await;
    let (first, second) = (store.writer().await, store.writer().await);
    let mut idle = Box::pin(store.idle());
    assert!(futures_util::poll!(idle.as_mut()).is_pending());
    first.end(end());
    assert!(futures_util::poll!(idle.as_mut()).is_pending());
    second.end(end());
    idle.await;
}

#[tokio::test]
async fn all_that_run_can_be_asked_to_stop() {
    let store = store(10);
    let writers = [store.writer().await, store.writer().await];
    store.stop_running();
    for writer in &writers {
        assert_eq!(writer.log().stop_requested().await, StopRequest::Shutdown);
    }
}
