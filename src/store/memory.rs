//! Replies in this process's memory: found by id, evicted by age and by count.
//!
//! Bounded three ways: a reply is let go `RETENTION_SECONDS` after its end; at most `MAX_REPLIES`
//! are kept, the oldest ended one going first; and all logs together stay below [`MAX_LOG_BYTES`].
//! What runs is never evicted. A viewer that is reading a reply keeps its log until it is done.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    CreateError, Created, Request,
    idempotency::IdempotencyKey,
    log::{Log, Origin, StopRequest},
    writer::Writer,
};
use crate::{config::StoreConfig, event::ReplyId};

/// The most bytes that the logs of ended replies may hold together. Stops ten thousand replies of
/// the largest size from needing more memory than a machine has.
const MAX_LOG_BYTES: usize = 512 << 20;

/// The longest pause between two sweeps.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Memory {
    config: StoreConfig,
    state: Mutex<State>,
    running: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    replies: HashMap<ReplyId, Kept>,
    keys: HashMap<IdempotencyKey, (ReplyId, [u8; 32])>,
    /// Ended replies, in the order of their ends, which is that of their expiry.
    ended: VecDeque<(Instant, ReplyId)>,
    ended_bytes: usize,
    draining: bool,
    /// Is told of every reply that is let go.
    let_go: Option<mpsc::UnboundedSender<ReplyId>>,
}

#[derive(Debug)]
struct Kept {
    log: Arc<Log>,
    key: Option<IdempotencyKey>,
    /// Of the log, once it has ended.
    bytes: usize,
}

impl Memory {
    pub(super) fn new(config: StoreConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
            running: watch::Sender::new(0),
        }
    }

    pub(super) fn create(
        this: &Arc<Self>,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let mut state = this.state.lock();
        state.expire(this.config.retention);
        // The lock is held from here to the entry below: two simultaneous POSTs pay once.
        if let Some(request) = &request
            && let Some((id, fingerprint)) = state.keys.get(&request.key)
        {
            if *fingerprint != request.fingerprint {
                return Err(CreateError::IdempotencyMismatch);
            }
            if let Some(kept) = state.replies.get(id) {
                return Ok(Created::Existing(Arc::clone(&kept.log)));
            }
        }
        let id = ReplyId::random();
        let key = request.map(|request| {
            let key = request.key.clone();
            state.keys.insert(request.key, (id, request.fingerprint));
            key
        });
        let opened = this.open_in(&mut state, id, Origin::Here, key.clone());
        if let (Err(_), Some(key)) = (&opened, key) {
            state.keys.remove(&key);
        }
        opened.map(Created::New)
    }

    /// Opens a log that is to be copied.
    pub(super) fn open(this: &Arc<Self>, id: ReplyId) -> Result<Writer, CreateError> {
        let mut state = this.state.lock();
        state.expire(this.config.retention);
        this.open_in(&mut state, id, Origin::Copied, None)
    }

    fn open_in(
        self: &Arc<Self>,
        state: &mut State,
        id: ReplyId,
        origin: Origin,
        key: Option<IdempotencyKey>,
    ) -> Result<Writer, CreateError> {
        if state.draining {
            return Err(CreateError::Draining);
        }
        while state.replies.len() >= self.config.max_replies {
            if !state.evict_oldest() {
                return Err(CreateError::Full);
            }
        }
        let writer = Writer::open(Arc::clone(self), id, origin, self.config.pad);
        let log = Arc::clone(writer.log());
        state.replies.insert(id, Kept { log, key, bytes: 0 });
        self.running.send_modify(|running| *running += 1);
        Ok(writer)
    }

    /// From now on, tells of every reply that is let go.
    pub(super) fn tell_of_let_go(&self, sender: mpsc::UnboundedSender<ReplyId>) {
        self.state.lock().let_go = Some(sender);
    }

    /// Every log that is kept.
    pub(super) fn logs(&self) -> Vec<Arc<Log>> {
        let state = self.state.lock();
        state
            .replies
            .values()
            .map(|kept| Arc::clone(&kept.log))
            .collect()
    }

    pub(super) fn find(&self, id: ReplyId) -> Option<Arc<Log>> {
        let mut state = self.state.lock();
        state.expire(self.config.retention);
        state.replies.get(&id).map(|kept| Arc::clone(&kept.log))
    }

    /// Starts the retention of a reply that has its end.
    pub(super) fn ended(&self, id: ReplyId, bytes: usize) {
        let mut state = self.state.lock();
        if let Some(kept) = state.replies.get_mut(&id) {
            kept.bytes = bytes;
            state.ended_bytes += bytes;
            state.ended.push_back((Instant::now(), id));
        }
        while state.ended_bytes > MAX_LOG_BYTES && state.evict_oldest() {}
        drop(state);
        self.running.send_modify(|running| *running -= 1);
    }

    pub(super) fn running(&self) -> usize {
        *self.running.borrow()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    pub(super) fn refuse_new(&self) {
        self.state.lock().draining = true;
    }

    pub(super) async fn idle(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .running
            .subscribe()
            .wait_for(|running| *running == 0)
            .await;
    }

    pub(super) fn stop_running(&self) {
        let logs: Vec<Arc<Log>> = {
            let state = self.state.lock();
            let kept = state.replies.values();
            kept.map(|kept| Arc::clone(&kept.log)).collect()
        };
        // Those that have ended take no notice.
        for log in logs {
            log.request_stop(StopRequest::Shutdown);
        }
    }

    pub(super) async fn sweep(&self) {
        let mut tick = tokio::time::interval(self.config.retention.min(SWEEP_PERIOD));
        loop {
            tick.tick().await;
            self.state.lock().expire(self.config.retention);
        }
    }
}

impl State {
    fn expire(&mut self, retention: Duration) {
        while self
            .ended
            .front()
            .is_some_and(|(ended, _)| ended.elapsed() >= retention)
        {
            self.evict_oldest();
        }
    }

    /// Lets go of the reply that ended first; false if none has ended.
    fn evict_oldest(&mut self) -> bool {
        let Some((_, id)) = self.ended.pop_front() else {
            return false;
        };
        if let Some(kept) = self.replies.remove(&id) {
            self.ended_bytes -= kept.bytes;
            if let Some(key) = kept.key {
                self.keys.remove(&key);
            }
            if let Some(let_go) = &self.let_go {
                // Nobody listens any more when the server stops.
                let _ = let_go.send(id);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{End, Seq, Status, Timing, Transcript},
        store::Store,
    };

    fn store(max_replies: usize) -> Store {
        let retention = Duration::from_secs(600);
        Store::in_memory(StoreConfig {
            max_replies,
            retention,
            pad: false,
        })
    }

    async fn started(store: &Store) -> Writer {
        match store.create(None).await.unwrap() {
            Created::New(writer) => writer,
            Created::Existing(_) => panic!("no key was given"),
        }
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
        let writer = started(&store).await;
        let log = store.find(writer.log().id()).await.unwrap().unwrap();
        assert_eq!(log.tail(), (Seq(1), false));
        assert_eq!(store.running(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_is_kept_for_its_retention_after_its_end() {
        let store = store(10);
        let writer = started(&store).await;
        let id = writer.log().id();
        tokio::time::advance(Duration::from_secs(10_000)).await;
        assert!(store.find(id).await.unwrap().is_some(), "it still runs");
        writer.end(end());
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(store.find(id).await.unwrap().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.find(id).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweep_frees_memory_without_anybody_asking() {
        let store = store(10);
        let writer = started(&store).await;
        let log = Arc::downgrade(writer.log());
        writer.end(end());
        let swept = tokio::time::timeout(Duration::from_secs(602), store.sweep()).await;
        assert!(swept.is_err(), "it sweeps for ever");
        assert!(log.upgrade().is_none());
    }

    #[tokio::test]
    async fn the_oldest_ended_reply_makes_room_and_a_running_one_never_does() {
        let store = store(2);
        let (first, second) = (started(&store).await, started(&store).await);
        assert_eq!(store.create(None).await.unwrap_err(), CreateError::Full);
        let (first_id, second_id) = (first.log().id(), second.log().id());
        second.end(end());
        first.end(end());
        let _third = started(&store).await;
        assert!(store.find(second_id).await.unwrap().is_none());
        assert!(store.find(first_id).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_key_leads_to_the_reply_that_it_started() {
        let store = store(10);
        let Ok(Created::New(writer)) = store.create(keyed("0123456789abcdef", 1)).await else {
            panic!("new")
        };
        match store.create(keyed("0123456789abcdef", 1)).await {
            Ok(Created::Existing(log)) => assert_eq!(log.id(), writer.log().id()),
            other => panic!("{other:?}"),
        }
        let other_body = store.create(keyed("0123456789abcdef", 2)).await;
        assert_eq!(other_body.unwrap_err(), CreateError::IdempotencyMismatch);
        assert!(matches!(
            store.create(keyed("another-key-16ch", 1)).await,
            Ok(Created::New(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_lives_as_long_as_its_reply() {
        let store = store(10);
        let Ok(Created::New(writer)) = store.create(keyed("0123456789abcdef", 1)).await else {
            panic!("new")
        };
        writer.end(end());
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(matches!(
            store.create(keyed("0123456789abcdef", 2)).await,
            Ok(Created::New(_))
        ));
    }

    #[tokio::test]
    async fn a_dropped_writer_leaves_an_end_behind() {
        let store = store(10);
        let writer = started(&store).await;
        let log = Arc::clone(writer.log());
        drop(writer);
        let end = log.snapshot().await.unwrap().end.unwrap();
        assert_eq!(end.status, Status::Failed);
        assert_eq!(end.error.unwrap().code, crate::event::ErrorCode::Internal);
        assert_eq!(store.running(), 0);
    }

    #[tokio::test]
    async fn a_store_that_drains_refuses_new_replies_and_lets_the_others_run() {
        let store = store(10);
        let Ok(Created::New(writer)) = store.create(keyed("0123456789abcdef", 1)).await else {
            panic!("new")
        };
        assert!(!store.is_draining());
        store.refuse_new();
        assert!(store.is_draining());
        assert_eq!(store.create(None).await.unwrap_err(), CreateError::Draining);
        let again = store.create(keyed("0123456789abcdef", 1)).await;
        assert!(matches!(again, Ok(Created::Existing(_))), "it is here");
        let mut stopped = Box::pin(writer.log().stop_requested());
        assert!(futures_util::poll!(stopped.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn a_store_is_idle_when_the_last_reply_has_ended() {
        let store = store(10);
        store.idle().await;
        let (first, second) = (started(&store).await, started(&store).await);
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
        let writers = [started(&store).await, started(&store).await];
        store.stop_running();
        for writer in &writers {
            assert_eq!(writer.log().stop_requested().await, StopRequest::Shutdown);
        }
    }
}
