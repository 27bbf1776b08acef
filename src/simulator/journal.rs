//! The journal: what happened on each connection, in order, for tests to look at and wait for.
//!
//! It is written by the connections and read by tests. Off by default, because a record
//! holds whole requests; only the count of open connections is always kept. It never
//! leaves memory, and its `Debug` form shows neither keys nor bodies.

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

/// Records beyond this number push out the oldest ones: an endless stream would
/// otherwise fill the memory of a test that forgot about it.
const MAX_RECORDS: usize = 10_000;

/// One thing that happened on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The connection's number, counted from 1 in the order of accepting.
    pub connection: u64,
    /// What happened there.
    pub event: JournalEvent,
}

/// What can happen on a connection.
///
/// A `Request` comes first, and exactly one of `Finished`, `ClientGone` and `Cut` last.
/// A connection that never delivered a whole request leaves no record.
#[derive(Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// A whole request was read.
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
    /// An SSE frame was handed to the operating system whole.
    FrameSent {
        /// The frame's place in its stream, counted from 0; comments are not counted.
        index: usize,
    },
    /// The response was sent to its proper end.
    Finished,
    /// The client closed or reset the connection before the response's end.
    ClientGone,
    /// The simulator ended the connection itself: a scenario's fault, or its own stop.
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

/// A cheap, clonable handle on what a [`Simulator`](super::Simulator) has seen.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    enabled: bool,
    /// Up to twice as many as are shown, so that the old ones go in one sweep.
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

    /// Returns the newest 10,000 records, oldest first; none if the journal is off.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        newest(&self.shared.records.lock()).to_vec()
    }

    /// Returns how many connections have had their request read and have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Waits until `predicate` holds for the records, and is asked after each new one.
    ///
    /// The predicate runs under the journal's lock, so it must not call the journal.
    /// With the journal off it is asked again only when a connection begins or ends, with no records.
    pub async fn wait_for(&self, mut predicate: impl FnMut(&[Record]) -> bool) {
        // Subscribed before the first look, so no record can slip between look and wait.
        let mut changes = self.shared.changes.subscribe();
        while !predicate(newest(&self.shared.records.lock())) {
            if changes.changed().await.is_err() {
                return; // Unreachable: `self` holds the sender.
            }
        }
    }

    /// Opens a connection's account with the request it delivered.
    pub(super) fn visit(&self, connection: u64, request: &Request) -> Visit {
        self.shared.open.fetch_add(1, Ordering::AcqRel);
        let visit = Visit {
            journal: self.clone(),
            connection,
            ended: false,
        };
        if self.shared.enabled {
            visit.record(JournalEvent::Request {
                method: request.method.clone(),
                path_and_query: request.target.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
            });
        }
        visit.announce();
        visit
    }
}

fn newest(records: &[Record]) -> &[Record] {
    &records[records.len().saturating_sub(MAX_RECORDS)..]
}

/// One connection's account: closes itself with `Cut` if nothing else was said.
#[derive(Debug)]
pub(super) struct Visit {
    journal: Journal,
    connection: u64,
    ended: bool,
}

impl Visit {
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
        // Before the record: whoever was woken by it must find the count right.
        self.journal.shared.open.fetch_sub(1, Ordering::AcqRel);
        self.record(event);
        self.announce();
    }

    fn record(&self, event: JournalEvent) {
        if !self.journal.shared.enabled {
            return;
        }
        let mut records = self.journal.shared.records.lock();
        if records.len() == 2 * MAX_RECORDS {
            records.drain(..MAX_RECORDS);
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

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.ended {
            self.close(JournalEvent::Cut);
        }
    }
}
