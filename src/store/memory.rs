//! The replies that this process writes, in its memory: found by id, evicted by age and by count.
//!
//! There are three limits: a reply is evicted `RETENTION_SECONDS` after its end; at most
//! `MAX_REPLIES` are kept, and the one that ended first is evicted to make room; and the logs that
//! are kept share [`MAX_LOG_BYTES`] with those that run. A running reply is never evicted. A viewer that is reading
//! a reply keeps its log until it is done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, interval},
};

use super::{
    error::CreateError,
    idempotency::{IdempotencyKey, Request},
    local_log::{Commit, LocalLog, StopRequest},
    options::Options,
    owner::Owner,
    writer::{Created, OnEnd, RunningBytes, Writer},
};
use crate::event::ReplyId;

/// The most memory that all logs may take together, in bytes. Ended ones make room, and once the
/// running ones alone take it, no reply starts. Stops ten thousand
/// replies of the largest size from needing more than a machine has. [`Writer`] counts what the
/// allocator takes, about 80 bytes an event beside the event itself; a test compares the count with
/// the growth of a process that writes 100,000 small events.
const MAX_LOG_BYTES: usize = 512 << 20;

/// The longest pause between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The replies of this process. A handle that is cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    options: Options,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The number of running replies.
    running: watch::Sender<usize>,
    running_bytes: RunningBytes,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<ReplyId, Reply>,
    ended: HashMap<ReplyId, EndedReply>,
    /// Ended replies in the order of their ends, which is also that of their expiry.
    order: VecDeque<(Instant, ReplyId)>,
    ended_bytes: usize,
    keys: HashMap<OwnersKey, (ReplyId, [u8; 32])>,
    draining: bool,
    /// Receives the id of every evicted reply.
    on_evict: Option<mpsc::UnboundedSender<ReplyId>>,
}

/// A key leads to a reply only for the caller that has sent it.
type OwnersKey = (Owner, IdempotencyKey);

#[derive(Debug)]
struct Reply {
    log: Arc<LocalLog>,
    key: Option<OwnersKey>,
}

#[derive(Debug)]
struct EndedReply {
    reply: Reply,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            shared: Arc::new(Shared {
                state: Mutex::default(),
                running: watch::Sender::new(0),
                running_bytes: RunningBytes::default(),
            }),
        }
    }

    /// Creates a reply whose events are committed on append, or finds the one that the owner's
    /// `request` started before.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; nothing was created.
    pub(super) fn create(
        &self,
        owner: Owner,
        request: Option<Request>,
    ) -> Result<Created, CreateError> {
        let mut state = self.shared.state.lock();
        state.expire(self.options.retention);
        let request = request.map(|request| ((owner, request.key), request.fingerprint));
        // The lock is held until the new key is stored, so two simultaneous POSTs start one reply.
        if let Some((key, fingerprint)) = &request
            && let Some((id, known)) = state.keys.get(key)
        {
            if known != fingerprint {
                return Err(CreateError::IdempotencyMismatch);
            }
            if let Some(log) = state.find(*id) {
                return Ok(Created::Existing(log.into()));
            }
        }
        let id = ReplyId::random();
        let key = request.as_ref().map(|(key, _)| key.clone());
        let writer = self.open_in(&mut state, id, owner, Commit::OnAppend, key)?;
        if let Some((key, fingerprint)) = request {
            state.keys.insert(key, (id, fingerprint));
        }
        Ok(Created::New(writer))
    }

    /// The reply that the owner's `request` started before.
    pub(super) fn existing(&self, owner: Owner, request: &Request) -> Option<Arc<LocalLog>> {
        let mut state = self.shared.state.lock();
        state.expire(self.options.retention);
        let (id, known) = state.keys.get(&(owner, request.key.clone()))?;
        state.find(*id).filter(|_| *known == request.fingerprint)
    }

    /// Creates a reply whose events are committed by a leader.
    ///
    /// # Errors
    ///
    /// [`CreateError::Full`] or [`CreateError::Draining`]; nothing was created.
    pub(super) fn open(&self, id: ReplyId, owner: Owner) -> Result<Writer, CreateError> {
        let mut state = self.shared.state.lock();
        state.expire(self.options.retention);
        self.open_in(&mut state, id, owner, Commit::OnAcknowledgement, None)
    }

    fn open_in(
        &self,
        state: &mut State,
        id: ReplyId,
        owner: Owner,
        commit: Commit,
        key: Option<OwnersKey>,
    ) -> Result<Writer, CreateError> {
        if state.draining {
            return Err(CreateError::Draining);
        }
        let running_bytes = &self.shared.running_bytes;
        let running = running_bytes.load(Ordering::Relaxed);
        if state.running.len() >= self.options.max_running || running >= MAX_LOG_BYTES {
            return Err(CreateError::Full);
        }
        state.make_room_for(running);
        while state.running.len() + state.ended.len() >= self.options.max_replies {
            state.evict_oldest().ok_or(CreateError::Full)?;
        }
        let shared = Arc::clone(&self.shared);
        let on_end = OnEnd(Box::new(move |bytes| shared.ended(id, bytes)));
        let writer = Writer::open(
            id,
            owner,
            commit,
            self.options.padding,
            Arc::clone(running_bytes),
            on_end,
        );
        let log = Arc::clone(writer.log());
        state.running.insert(id, Reply { log, key });
        self.shared.running.send_replace(state.running.len());
        Ok(writer)
    }

    /// Sends the id of every reply that is evicted from now on.
    pub(super) fn on_evict(&self, sender: mpsc::UnboundedSender<ReplyId>) {
        self.shared.state.lock().on_evict = Some(sender);
    }

    /// The log of a reply; `None` if it is unknown or expired.
    pub(super) fn find(&self, id: ReplyId) -> Option<Arc<LocalLog>> {
        let mut state = self.shared.state.lock();
        state.expire(self.options.retention);
        state.find(id)
    }

    /// The logs of all replies that run.
    pub(super) fn running_logs(&self) -> Vec<Arc<LocalLog>> {
        let state = self.shared.state.lock();
        let running = state.running.values();
        running.map(|reply| Arc::clone(&reply.log)).collect()
    }

    /// The logs of all replies that have ended and are still kept.
    pub(super) fn ended_logs(&self) -> Vec<Arc<LocalLog>> {
        let state = self.shared.state.lock();
        let ended = state.ended.values();
        ended.map(|ended| Arc::clone(&ended.reply.log)).collect()
    }

    pub(super) fn running(&self) -> usize {
        *self.shared.running.borrow()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shared.state.lock().draining
    }

    /// Refuses new replies from now on.
    pub(super) fn refuse_new(&self) {
        self.shared.state.lock().draining = true;
    }

    /// Resolves when no reply runs.
    pub(super) async fn idle(&self) {
        let mut running = self.shared.running.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    /// Asks every running reply to stop, because the server is about to exit.
    pub(super) fn stop_running(&self) {
        for log in self.running_logs() {
            log.request_stop(StopRequest::Shutdown);
        }
    }

    /// Evicts expired replies for as long as it is polled.
    pub(super) async fn sweep(&self) {
        let mut tick = interval(self.options.retention.min(SWEEP_INTERVAL));
        loop {
            tick.tick().await;
            let mut state = self.shared.state.lock();
            state.expire(self.options.retention);
            state.make_room_for(self.shared.running_bytes.load(Ordering::Relaxed));
        }
    }
}

impl Shared {
    /// Starts the retention of a reply that has its `end`.
    fn ended(&self, id: ReplyId, bytes: usize) {
        let mut state = self.state.lock();
        if let Some(reply) = state.running.remove(&id) {
            state.ended.insert(id, EndedReply { reply, bytes });
            state.ended_bytes += bytes;
            state.order.push_back((Instant::now(), id));
        }
        state.make_room_for(self.running_bytes.load(Ordering::Relaxed));
        self.running.send_replace(state.running.len());
    }
}

impl State {
    fn find(&self, id: ReplyId) -> Option<Arc<LocalLog>> {
        let ended = || self.ended.get(&id).map(|ended| &ended.reply);
        let reply = self.running.get(&id).or_else(ended)?;
        Some(Arc::clone(&reply.log))
    }

    fn expire(&mut self, retention: Duration) {
        while self
            .order
            .front()
            .is_some_and(|(ended, _)| ended.elapsed() >= retention)
        {
            self.evict_oldest();
        }
    }

    /// Evicts ended replies until all logs together have their memory, of which the running ones take
    /// `running` bytes.
    fn make_room_for(&mut self, running: usize) {
        while self.ended_bytes + running > MAX_LOG_BYTES && self.evict_oldest().is_some() {}
    }

    /// Evicts the reply that ended first; `None` if none has ended.
    fn evict_oldest(&mut self) -> Option<ReplyId> {
        let (_, id) = self.order.pop_front()?;
        if let Some(EndedReply { reply, bytes }) = self.ended.remove(&id) {
            self.ended_bytes -= bytes;
            if let Some(key) = reply.key {
                self.keys.remove(&key);
            }
            if let Some(on_evict) = &self.on_evict {
                // An error means that the server stops.
                let _ = on_evict.send(id);
            }
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests;
