//! Pace: when the next frame of a stream may be sent.
//!
//! A connection waits here before each frame. This module knows only the kind of a frame, not its
//! content.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

/// How fast the frames of a stream follow each other.
#[derive(Clone, Debug, Default)]
pub enum Pace {
    /// Like a real model: a short delay, then uneven deltas, bursts and pauses.
    #[default]
    Real,
    /// As fast as the client reads.
    Instant,
    /// One frame for each permit that the test releases.
    Stepped(Steps),
}

/// Permits to send frames, shared by all clones and by all streams of a simulator.
#[derive(Clone, Debug)]
pub struct Steps {
    permits: Arc<Semaphore>,
}

impl Steps {
    /// Makes a set of permits that is empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
        }
    }

    /// Adds `n` permits; the first streams that wait for a frame take them.
    ///
    /// Every SSE frame needs one, `[DONE]` and frames truncated by a scenario included. The response
    /// head, comments and copies of frames that were sent before need none.
    pub fn release(&self, n: usize) {
        // The semaphore panics past its maximum.
        let room = Semaphore::MAX_PERMITS.saturating_sub(self.permits.available_permits());
        self.permits.add_permits(n.min(room));
    }

    async fn take(&self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(permits) = self.permits.acquire_many(n).await {
            permits.forget();
        }
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::new()
    }
}

/// The kind of a frame, which decides how long a real model takes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// Sent at once: it carries no text.
    Immediate,
    /// The first delta.
    FirstDelta,
    /// Any later delta.
    Delta,
    /// A delta of the scenario `slow`.
    SlowDelta,
    /// Sent at once, at any pace: it is a copy of a frame that was paced.
    Copy,
}

/// Applies the pace to one stream.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// Deltas left in the current burst.
    burst: u32,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, burst: 0 }
    }

    /// Waits until `frames` frames may be sent, the first of which is of this kind.
    pub(super) async fn wait(&mut self, kind: FrameKind, frames: usize) {
        match &self.pace {
            Pace::Instant => {}
            _ if kind == FrameKind::Copy => {}
            Pace::Stepped(steps) => steps.take(frames).await,
            Pace::Real => {
                let millis = self.real_delay_ms(kind);
                if millis > 0 {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
            }
        }
    }

    /// Waits for `time` at [`Pace::Real`], and not at all at the other paces.
    pub(super) async fn pause(&self, time: Duration) {
        if matches!(self.pace, Pace::Real) {
            tokio::time::sleep(time).await;
        }
    }

    fn real_delay_ms(&mut self, kind: FrameKind) -> u64 {
        match kind {
            FrameKind::Immediate | FrameKind::Copy => 0,
            FrameKind::FirstDelta => rand::random_range(300..=400),
            FrameKind::SlowDelta => rand::random_range(850..=1150),
            FrameKind::Delta if self.burst > 0 => {
                self.burst -= 1;
                0
            }
            // Azure's content filter releases deltas in batches: a pause, then several at once.
            FrameKind::Delta => match rand::random_range(0..100) {
                0..3 => {
                    self.burst = rand::random_range(3..=8);
                    rand::random_range(120..=320)
                }
                3..8 => {
                    self.burst = rand::random_range(2..=4);
                    rand::random_range(15..=45)
                }
                _ => rand::random_range(15..=45),
            },
        }
    }
}
