//! What a connection is busy with, and until when it may go on with that.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::time::Instant;

/// From the end of a response to the next request. Longer than the idle timeouts of usual proxies,
/// so that the proxy is the one to close an idle connection. If the server did, a request could
/// already be on its way.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// From the first byte of a request's head to its last one. Stops a client that sends its heads a
/// byte at a time.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a piece of a response may wait for a client with several responses on its connection.
/// TCP's own timeout counts what the connection takes, and such a client may take everything but
/// this response.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How many responses a connection has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One.
    Http1,
    /// Any number. Bytes between requests are none of a request's head.
    Http2,
}

/// What a connection is busy with. Shared by the connection and the responses on it.
#[derive(Clone, Debug)]
pub struct Activity(Rc<State>);

#[derive(Debug)]
struct State {
    protocol: Cell<Protocol>,
    /// One per request whose response is not over: since when a piece of it waits to be taken.
    requests: RefCell<Slab<Option<Instant>>>,
    /// The end of the last response, at first the connection's beginning.
    idle_since: Cell<Instant>,
    /// The first byte since then.
    head_since: Cell<Option<Instant>>,
    /// The first head has a deadline of actix, which can answer.
    is_first: Cell<bool>,
    /// Bytes that are no head are expected first.
    is_rest_due: Cell<bool>,
    has_room: bool,
    is_closing: Cell<bool>,
    /// The task of the connection.
    waker: RefCell<Option<Waker>>,
}

impl Activity {
    /// Of a connection that begins now. It has no room if there are as many others as there may be.
    pub(super) fn new(has_room: bool) -> Self {
        Self(Rc::new(State {
            protocol: Cell::new(Protocol::Http1),
            requests: RefCell::default(),
            idle_since: Cell::new(Instant::now()),
            head_since: Cell::default(),
            is_first: Cell::new(true),
            is_rest_due: Cell::default(),
            has_room,
            is_closing: Cell::default(),
            waker: RefCell::default(),
        }))
    }

    /// A handshake has chosen another protocol than HTTP/1.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.0.protocol.set(protocol);
    }

    /// How many responses it has at a time.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.0.protocol.get()
    }

    /// False if there are as many connections as there may be: its requests should be refused.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.has_room
    }

    /// How many requests on it have a response that is not over.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.0.requests.borrow().len()
    }

    /// A request begins, and lasts until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> RequestGuard {
        self.0.head_since.set(None);
        self.0.is_first.set(false);
        RequestGuard {
            key: self.0.requests.borrow_mut().insert(None),
            activity: self.clone(),
        }
    }

    /// Since when it has been idle; `None` while it is busy.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.requests() == 0).then(|| self.0.idle_since.get())
    }

    /// Bytes have arrived.
    pub(super) fn received(&self) {
        if self.requests() == 0 && self.0.head_since.get().is_none() {
            self.0.head_since.set(Some(Instant::now()));
        }
    }

    /// After its responses, the rest of a body may still come. It has the time of a head.
    pub fn expect_rest(&self) {
        self.0.is_rest_due.set(true);
    }

    /// Closes it once it is idle.
    pub(super) fn close(&self) {
        self.0.is_closing.set(true);
        self.wake();
    }

    /// When to look again whether it has to be closed, which it has if that time is over. `None` if
    /// only the end of a response can change that; then `waker` is woken.
    pub(super) fn deadline(&self, waker: &Waker) -> Option<Instant> {
        let state = &self.0;
        state.waker.replace(Some(waker.clone()));
        let is_busy = self.requests() > 0;
        if state.is_closing.get() && !is_busy {
            return Some(Instant::now());
        }
        let idle = state.idle_since.get() + KEEP_ALIVE_TIMEOUT;
        match state.protocol.get() {
            Protocol::Http1 if is_busy => None,
            Protocol::Http1 => {
                let head = state.head_since.get().filter(|_| !state.is_first.get());
                Some(head.map_or(idle, |since| since + REQUEST_HEAD_TIMEOUT))
            }
            Protocol::Http2 if is_busy => {
                let requests = state.requests.borrow();
                let waiting = requests.iter().filter_map(|(_, since)| *since).min();
                Some(waiting.unwrap_or_else(Instant::now) + UNREAD_TIMEOUT)
            }
            Protocol::Http2 => Some(idle),
        }
    }

    fn wake(&self) {
        let waker = self.0.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A request whose response is not over.
#[derive(Debug)]
pub struct RequestGuard {
    key: usize,
    activity: Activity,
}

impl RequestGuard {
    /// A piece of the response waits to be taken.
    pub fn piece_waits(&self) {
        self.set(Some(Instant::now()));
    }

    /// All pieces so far were taken.
    pub fn pieces_taken(&self) {
        self.set(None);
    }

    fn set(&self, waits_since: Option<Instant>) {
        if self.activity.0.protocol.get() == Protocol::Http1 {
            return;
        }
        if let Some(slot) = self.activity.0.requests.borrow_mut().get_mut(self.key) {
            *slot = waits_since;
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let state = &self.activity.0;
        state.requests.borrow_mut().try_remove(self.key);
        if self.activity.requests() == 0 {
            let now = Instant::now();
            state.idle_since.set(now);
            state
                .head_since
                .set(state.is_rest_due.take().then_some(now));
            self.activity.wake();
        }
    }
}
