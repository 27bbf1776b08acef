//! The journal: what happened on each connection, in order, for tests to inspect and wait for.
//!
//! Connections write it, tests read it. It is off by default, because a record holds a complete
//! request; only the count of open connections is always kept. It never leaves memory, and its
//! `Debug` form shows neither keys nor bodies.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::http::Request;

/// The most records kept; beyond it the oldest go. Without a limit, an endless stream would fill the
/// memory of a test.
const RECORD_LIMIT: usize = 10_000;

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The connection's number: 1 for the first one accepted.
    pub connection: u64,
    /// What happened.
    pub event: JournalEvent,
}

/// What can happen on a connection.
///
/// `Request` comes first; exactly one of `Finished`, `ClientGone` and `Cut` comes last. A connection
/// that never delivered a complete request leaves no record.
#[derive(Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// A complete request was read.
    Request {
        /// The method as sent.
        method: String,
        /// The request target as sent.
        path_and_query: String,
        /// Names in lower case, values as sent, in the order of the request.
        headers: Vec<(String, String)>,
        /// The body, with any chunked encoding removed.
        body: Vec<u8>,
    },
    /// A complete SSE frame was handed to the operating system.
    FrameSent {
        /// The frame's index in its stream, from 0; comments do not count.
        index: usize,
    },
    /// The response was sent completely.
    Finished,
    /// The client closed or reset the connection before the response's end.
    ClientGone,
    /// The simulator ended the connection: a scenario's fault, or its own stop.
    Cut,
}

impl fmt::Debug for JournalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                method,
                path_and_query,
                headers,
                body,
            } => f
                .debug_struct("Request")
                .field("method", method)
                .field("path_and_query", path_and_query)
                .field(
                    "headers",
                    &headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                )
                .field("body_bytes", &body.len())
                .finish(),
            Self::FrameSent { index } => f.debug_struct("FrameSent").field("index", index).finish(),
            Self::Finished => f.write_str("Finished"),
            Self::ClientGone => f.write_str("ClientGone"),
            Self::Cut => f.write_str("Cut"),
        }
    }
}

/// A handle, cheap to clone, on what a [`Simulator`](super::Simulator) has seen.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    enabled: bool,
    /// Up to twice the limit, so that old records are removed in batches.
    records: Mutex<Vec<Record>>,
    open: AtomicUsize,
    changes: watch::Sender<u64>,
}

impl Journal {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                enabled,
                records: Mutex::default(),
                open: AtomicUsize::new(0),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// The newest records (at most 10,000), oldest first; none if the journal is off.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        newest(&self.shared.records.lock()).to_vec()
    }

    /// The number of connections whose request was read and that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Waits until `predicate` holds for the records. It is called again after each new record.
    ///
    /// The predicate runs under the journal's lock, so it must not call [`records`](Self::records).
    /// With the journal off, it is called when a connection begins or ends, without records.
    pub async fn wait_for(&self, mut predicate: impl FnMut(&[Record]) -> bool) {
        // Subscribes before the first check, so that no record is missed between check and wait.
        let mut changes = self.shared.changes.subscribe();
        while !predicate(newest(&self.shared.records.lock())) {
            if changes.changed().await.is_err() {
                return; // Unreachable: `self` keeps the sender alive.
            }
        }
    }

    /// Records the request of a connection, and returns the recorder for the rest.
    pub(super) fn begin(&self, connection: u64, request: &Request) -> ConnectionRecorder {
        self.shared.open.fetch_add(1, Ordering::AcqRel);
        let recorder = ConnectionRecorder {
            journal: self.clone(),
            connection,
            ended: false,
        };
        if self.shared.enabled {
            recorder.record(JournalEvent::Request {
                method: request.method.clone(),
                path_and_query: request.target.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
            });
        }
        recorder.announce();
        recorder
    }
}

fn newest(records: &[Record]) -> &[Record] {
    &records[records.len().saturating_sub(RECORD_LIMIT)..]
}

/// Records what happens on one connection. Dropping it records `Cut`, unless it has ended.
#[derive(Debug)]
pub(super) struct ConnectionRecorder {
    journal: Journal,
    connection: u64,
    ended: bool,
}

impl ConnectionRecorder {
    pub(super) fn frame_sent(&self, index: usize) {
        if self.journal.shared.enabled {
            self.record(JournalEvent::FrameSent { index });
            self.announce();
        }
    }

    pub(super) fn end(mut self, event: JournalEvent) {
        self.close(event);
    }

    fn close(&mut self, event: JournalEvent) {
        self.ended = true;
        // Before the record, so that a test that the record wakes finds the count correct.
        self.journal.shared.open.fetch_sub(1, Ordering::AcqRel);
        self.record(event);
        self.announce();
    }

    fn record(&self, event: JournalEvent) {
        if !self.journal.shared.enabled {
            return;
        }
        let mut records = self.journal.shared.records.lock();
        if records.len() == 2 * RECORD_LIMIT {
            records.drain(..RECORD_LIMIT);
        }
        records.push(Record {
            connection: self.connection,
            event,
        });
    }

    fn announce(&self) {
        self.journal
            .shared
            .changes
            .send_modify(|version| *version = version.wrapping_add(1));
    }
}

impl Drop for ConnectionRecorder {
    fn drop(&mut self) {
        if !self.ended {
            self.close(JournalEvent::Cut);
        }
    }
}
