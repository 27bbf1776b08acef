//! What the lock of a log guards: blocks, what of them may be read, and who waits for what.
//!
//! Nothing here waits or wakes: whoever holds the lock takes the wakers out, and wakes them once it
//! is free.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use bytes::Bytes;
use slab::Slab;
use tokio::time::Instant;

use super::{Batch, Next, StopRequest};
use crate::event::Seq;

#[derive(Debug)]
pub(super) struct State {
    /// How many events came before the first of `blocks`; 0 unless the log is written elsewhere.
    pub(super) base: u64,
    /// The blocks of the events `base + 1`, `base + 2` …, encoded.
    pub(super) blocks: VecDeque<Bytes>,
    /// The newest event that readers may see.
    pub(super) visible: Seq,
    /// The last block is an `end`; nothing is added any more.
    pub(super) ended: bool,
    /// The log is no longer there to be read, and never got an `end` that can be.
    pub(super) gone: bool,
    /// The readers that are open, each with its waker while it waits.
    pub(super) readers: Slab<Option<Waker>>,
    /// When the last reader left, or when the reply was created.
    pub(super) unread_since: Instant,
    pub(super) stop: Option<StopRequest>,
    /// The generation, while it waits for a stop.
    pub(super) producer: Option<Waker>,
    /// Whoever copies the log, while it waits for events.
    pub(super) copier: Option<Waker>,
}

/// Where the event behind a cursor is.
pub(super) enum Look {
    Found(Next),
    /// Not yet written.
    Wait,
    /// No longer kept here.
    Fetch,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            base: 0,
            blocks: VecDeque::new(),
            visible: Seq::ZERO,
            ended: false,
            gone: false,
            readers: Slab::new(),
            unread_since: Instant::now(),
            stop: None,
            producer: None,
            copier: None,
        }
    }

    pub(super) fn last(&self) -> Seq {
        Seq(self.base + self.blocks.len() as u64)
    }

    pub(super) fn shows_end(&self) -> bool {
        self.ended && self.visible == self.last()
    }

    pub(super) fn show_to(&mut self, last: Seq, wakers: &mut Vec<Waker>) {
        let last = last.min(self.last());
        if last > self.visible {
            self.visible = last;
            self.take_readers(wakers);
        }
    }

    pub(super) fn take_readers(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(
            self.readers
                .iter_mut()
                .filter_map(|(_, waker)| waker.take()),
        );
    }

    pub(super) fn batch(&self, after: Seq, limit: usize) -> Batch {
        let skip = usize::try_from(after.0.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let blocks = self.blocks.iter().skip(skip).take(limit);
        let blocks: Vec<Bytes> = blocks.cloned().collect();
        Batch {
            ends: self.ended && skip.saturating_add(blocks.len()) >= self.blocks.len(),
            blocks,
        }
    }

    pub(super) fn look(&self, cursor: Seq) -> Look {
        if self.gone {
            Look::Found(Next::Nothing)
        } else if cursor >= self.visible {
            if self.shows_end() {
                Look::Found(Next::Nothing)
            } else {
                Look::Wait
            }
        } else {
            let index = cursor.0.checked_sub(self.base);
            let index = index.and_then(|index| usize::try_from(index).ok());
            match index.and_then(|index| self.blocks.get(index)) {
                Some(block) => {
                    let seq = cursor.next();
                    Look::Found(Next::Block {
                        seq,
                        block: block.clone(),
                        last: seq == self.visible && self.shows_end(),
                    })
                }
                None => Look::Fetch,
            }
        }
    }
}

/// Leaves the waker of a task where nobody else leaves one.
pub(super) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
