//! The one writer of a reply: numbers events, encodes them, and appends them to the log.
//!
//! The events of one [`Writer::append`] are one batch: they share an allocation, a lock and a
//! wake-up. A writer never waits: replication reads from the log, which is bounded, and the log is
//! its queue. A writer that is dropped before its `end` appends one itself, so every reply has one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use super::{
    error::AppendError,
    local_log::{Commit, LocalLog},
    log::Log,
    owner::Owner,
};
use crate::event::{
    self, End, ErrorCode, Padding, ReplyError, ReplyEvent, ReplyId, Seq, Status, Timing, Transcript,
};

/// The outcome of creating a reply.
#[derive(Debug)]
pub enum Created {
    /// A new reply; its `start` is appended.
    New(Writer),
    /// The reply that the same idempotency key already started.
    Existing(Log),
}

/// A callback for the `end` of a reply, with the memory that its log takes.
pub(super) struct OnEnd(pub(super) Box<dyn FnOnce(usize) + Send>);

/// The memory that the logs of all running replies take together, in bytes.
pub(super) type RunningBytes = Arc<AtomicUsize>;

impl fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEnd")
    }
}

/// The right to append to one log.
#[derive(Debug)]
pub struct Writer {
    log: Arc<LocalLog>,
    /// `None` once the `end` is appended.
    on_end: Option<OnEnd>,
    padding: Padding,
    last: Seq,
    /// The memory that the log takes.
    log_bytes: usize,
    running_bytes: RunningBytes,
    transcript: Transcript,
    /// Scratch space: the batch that is being encoded, and where each of its events ends.
    encoded: Vec<u8>,
    ends: Vec<usize>,
}

impl Writer {
    /// Opens a log and appends its `start`.
    pub(super) fn open(
        id: ReplyId,
        owner: Owner,
        commit: Commit,
        padding: Padding,
        running_bytes: RunningBytes,
        on_end: OnEnd,
    ) -> Self {
        let created = event::Created::now();
        let mut writer = Self {
            log: Arc::new(LocalLog::new(id, created, owner, commit)),
            on_end: Some(on_end),
            padding,
            last: Seq::ZERO,
            log_bytes: 0,
            running_bytes,
            transcript: Transcript::default(),
            encoded: Vec::new(),
            ends: Vec::new(),
        };
        // Appending to an empty log cannot fail.
        let _ = writer.append(&[ReplyEvent::Start { reply: id, created }]);
        writer
    }

    /// The log to which this writer appends.
    #[must_use]
    pub const fn log(&self) -> &Arc<LocalLog> {
        &self.log
    }

    /// The text of the events that are appended.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Appends a batch of events, none of them an `end`, in order and without a gap.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: no event of the batch was appended. From now on at most an `end` can be.
    pub fn append(&mut self, events: &[ReplyEvent]) -> Result<(), AppendError> {
        debug_assert!(
            !events
                .iter()
                .any(|event| matches!(event, ReplyEvent::End(_)))
        );
        let batch = self.encode(events);
        let mut from = 0;
        let encoded = self
            .ends
            .iter()
            .map(|to| batch.slice(std::mem::replace(&mut from, *to)..*to));
        self.log.append(encoded)?;
        self.last = Seq(self.last.0 + events.len() as u64);
        let bytes = footprint(batch.len(), events.len());
        self.log_bytes += bytes;
        self.running_bytes.fetch_add(bytes, Ordering::Relaxed);
        for event in events {
            match event {
                ReplyEvent::Delta { text } => self.transcript.append(text),
                ReplyEvent::Replace { text, .. } => self.transcript.replace(text),
                ReplyEvent::Start { .. }
                | ReplyEvent::Reasoning { .. }
                | ReplyEvent::Notice(_)
                | ReplyEvent::End(_) => {}
            }
        }
        Ok(())
    }

    /// Appends the one `end`.
    pub fn end(mut self, end: End) {
        self.close(end);
    }

    fn close(&mut self, end: End) {
        let Some(OnEnd(on_end)) = self.on_end.take() else {
            return;
        };
        let end = self.encode(&[ReplyEvent::End(end)]);
        // The `end` is counted with those that have ended.
        self.running_bytes
            .fetch_sub(self.log_bytes, Ordering::Relaxed);
        self.log_bytes += footprint(end.len(), 1);
        // An error means that the log already has the `end` of another replica.
        let _ = self.log.append_end(end);
        on_end(self.log_bytes);
    }

    /// Encodes events to follow the last one appended, and fills `ends`.
    fn encode(&mut self, events: &[ReplyEvent]) -> Bytes {
        self.encoded.clear();
        self.ends.clear();
        let mut seq = self.last;
        for event in events {
            seq = seq.next();
            event.encode(seq, self.padding, &mut self.encoded);
            self.ends.push(self.encoded.len());
        }
        // Exactly as long as its content: the log keeps it.
        Bytes::copy_from_slice(&self.encoded)
    }
}

/// The memory that a batch takes in a log: its bytes and their shared header, each in an allocation
/// of its own, and an entry in the log for each event.
const fn footprint(encoded: usize, events: usize) -> usize {
    /// The header that all `Bytes` of one allocation share: address, capacity, reference count.
    const HEADER_BYTES: usize = 3 * size_of::<usize>();
    allocated(encoded) + allocated(HEADER_BYTES) + events * size_of::<Bytes>()
}

/// What the allocator takes for `bytes`: a word more, in units of two words, and four at least.
/// That is glibc's rule; others are as generous or more so.
const fn allocated(bytes: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    let whole = (bytes + WORD).next_multiple_of(2 * WORD);
    if whole < 4 * WORD { 4 * WORD } else { whole }
}

/// A writer that is dropped without [`Writer::end`] is a bug: the task of its generation was dropped,
/// or its thread has died.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.on_end.is_none() {
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

#[cfg(test)]
mod tests;
