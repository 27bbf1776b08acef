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
    options::Options,
    writer::Writer,
};
use crate::event::ReplyId;

/// The most bytes that the logs of ended replies may hold together. Stops ten thousand replies of
/// the largest size from needing more memory than a machine has.
const MAX_LOG_BYTES: usize = 512 << 20;

/// The longest pause between two sweeps.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Memory {
    options: Options,
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
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            state: Mutex::default(),
            running: watch::Sender::new(0),
        }
    }

    pub(super) fn create(
        this: &Arc<Self>,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let mut state = this.state.lock();
        state.expire(this.options.retention);
        // The lock is held from here to the entries below: two simultaneous POSTs pay once.
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
        let key = request.as_ref().map(|request| request.key.clone());
        let writer = this.open_in(&mut state, id, Origin::Here, key)?;
        if let Some(request) = request {
            state.keys.insert(request.key, (id, request.fingerprint));
        }
        Ok(Created::New(writer))
    }

    /// Opens a log that is to be copied.
    pub(super) fn open(this: &Arc<Self>, id: ReplyId) -> Result<Writer, CreateError> {
        let mut state = this.state.lock();
        state.expire(this.options.retention);
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
        while state.replies.len() >= self.options.max_replies {
            if !state.evict_oldest() {
                return Err(CreateError::Full);
            }
        }
        let writer = Writer::open(Arc::clone(self), id, origin, self.options.pad);
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
        state.expire(self.options.retention);
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
        let mut tick = tokio::time::interval(self.options.retention.min(SWEEP_PERIOD));
        loop {
            tick.tick().await;
            self.state.lock().expire(self.options.retention);
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
mod tests;
