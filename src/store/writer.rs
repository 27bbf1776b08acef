//! The one writer of a reply: numbers events, encodes them, and adds them to the log in batches.
//!
//! All events of one upstream read are one batch: one allocation, one lock, one wake-up. A writer
//! never waits: what other replicas are to have is copied from the log by a task of its own, and
//! the log, which is bounded, is the queue. A writer that is dropped before its `end` writes one
//! itself, so that no reply can be left without.

use std::{sync::Arc, task::Waker};

use bytes::Bytes;

use super::{
    log::{Log, Origin},
    memory::Memory,
};
use crate::event::{
    Created, End, ErrorCode, Pad, ReplyError, ReplyEvent, ReplyId, Seq, Status, Timing, Transcript,
};

/// The most events of one reply. Stops an upstream that sends a byte a chunk from turning the
/// bound on the text into a hundred times as much log.
pub(super) const MAX_EVENTS: u64 = 1 << 18;

/// The log takes no more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// As many events are in it as a reply may have.
    #[error("the reply has {MAX_EVENTS} events")]
    Full,
    /// It has its `end`.
    #[error("the reply has ended")]
    Ended,
}

/// The right to add to one log.
#[derive(Debug)]
pub struct Writer {
    log: Arc<Log>,
    store: Arc<Memory>,
    pad: bool,
    last: Seq,
    ended: bool,
    bytes: usize,
    transcript: Transcript,
    encoded: Vec<u8>,
    ends: Vec<usize>,
    wakers: Vec<Waker>,
}

impl Writer {
    /// Opens a log and writes its `start`.
    pub(super) fn open(store: Arc<Memory>, id: ReplyId, origin: Origin, pad: bool) -> Self {
        let created = Created::now();
        let mut writer = Self {
            log: Arc::new(Log::new(id, created, origin)),
            store,
            pad,
            last: Seq::ZERO,
            ended: false,
            bytes: 0,
            transcript: Transcript::default(),
            encoded: Vec::new(),
            ends: Vec::new(),
            wakers: Vec::new(),
        };
        writer.add(&[ReplyEvent::Start { reply: id, created }], false);
        writer
    }

    /// The log that is written.
    #[must_use]
    pub const fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The text that is in the log.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Adds a batch of events, none of them an `end`, in order and without a gap.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing of the batch was added then, and nothing but an `end` will be.
    pub fn append(&mut self, events: &[ReplyEvent]) -> Result<(), AppendError> {
        debug_assert!(
            !events
                .iter()
                .any(|event| matches!(event, ReplyEvent::End(_)))
        );
        // One number stays free for the end.
        if self.last.0 + events.len() as u64 >= MAX_EVENTS {
            return Err(AppendError::Full);
        }
        if self.add(events, false) {
            Ok(())
        } else {
            Err(AppendError::Ended)
        }
    }

    /// Adds the one `end`.
    pub fn end(mut self, end: End) {
        self.close(end);
    }

    fn close(&mut self, end: End) {
        self.ended = true;
        self.add(&[ReplyEvent::End(end)], true);
        self.store.ended(self.log.id(), self.bytes);
    }

    fn add(&mut self, events: &[ReplyEvent], ends: bool) -> bool {
        self.encoded.clear();
        self.ends.clear();
        let mut seq = self.last;
        for event in events {
            seq = seq.next();
            let pad = (self.pad && matches!(event, ReplyEvent::Delta { .. })).then(Pad::random);
            event.encode(seq, pad.as_ref(), &mut self.encoded);
            self.ends.push(self.encoded.len());
        }
        // Exactly as long as its content: the log keeps it.
        let batch = Bytes::copy_from_slice(&self.encoded);
        let mut from = 0;
        let blocks = self
            .ends
            .iter()
            .map(|to| batch.slice(std::mem::replace(&mut from, *to)..*to));
        let added = self.log.add(blocks, ends, &mut self.wakers);
        if added {
            self.last = seq;
            self.bytes += batch.len() + events.len() * size_of::<Bytes>();
            for event in events {
                match event {
                    ReplyEvent::Delta { text } => self.transcript.append(text),
                    ReplyEvent::Replace { text, .. } => self.transcript.replace(text),
                    ReplyEvent::Start { .. } | ReplyEvent::Notice(_) | ReplyEvent::End(_) => {}
                }
            }
        }
        added
    }
}

/// A generation that ends in any other way than by [`Writer::end`] (its task was dropped, its
/// thread has died) has met a fault of ours.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.close(End {
            status: Status::Failed,
            finish_reason: None,
            reason: None,
            model: None,
            usage: None,
            bytes: self.transcript.bytes(),
            sha256: self.transcript.sha256(),
            ms: Timing {
                first: None,
                total: self.log.created().elapsed_ms(),
            },
            error: Some(ReplyError::new(ErrorCode::Internal)),
        });
    }
}
