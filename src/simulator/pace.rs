//! Pace: when the next frame of a stream may go out.
//!
//! Asked by a connection before each frame. It knows nothing of what the frame says,
//! only which beat of the reply it is.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

/// How fast a stream's frames follow each other.
#[derive(Clone, Debug, Default)]
pub enum Pace {
    /// Like a real model: a moment of thought, then uneven deltas, bursts and pauses.
    #[default]
    Real,
    /// As fast as the client reads.
    Instant,
    /// One frame for each permit that the test releases.
    Stepped(Steps),
}

/// Permits for frames; the clones share them, and so do all streams of one simulator.
#[derive(Clone, Debug)]
pub struct Steps {
    permits: Arc<Semaphore>,
}

impl Steps {
    /// Makes a gate that lets nothing through yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
        }
    }

    /// Lets `n` more frames through, whichever streams ask for them first.
    ///
    /// A frame is each `data:` block, `[DONE]` included, whole or cut by a scenario. The
    /// response head and comments need no permit.
    pub fn release(&self, n: usize) {
        // Past its maximum the semaphore panics; "as many as there are" is what is meant.
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

/// What part of a reply a frame is, which decides how long a real model takes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Comes with the response head, or right after the frame before it.
    Prompt,
    /// The first delta.
    First,
    /// Any later delta.
    Delta,
    /// A delta of a reply that is to be watched.
    Slow,
}

/// One stream's own sense of time.
#[derive(Debug)]
pub(super) struct Metronome {
    pace: Pace,
    /// Deltas left of a burst.
    burst: u32,
}

impl Metronome {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, burst: 0 }
    }

    /// Waits until `frames` frames may go out, of which the first has this beat.
    pub(super) async fn wait(&mut self, beat: Beat, frames: usize) {
        match &self.pace {
            Pace::Instant => {}
            Pace::Stepped(steps) => steps.take(frames).await,
            Pace::Real => {
                let millis = self.real(beat);
                if millis > 0 {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
            }
        }
    }

    /// Waits for `time` at a real model's pace, and not at all at the others.
    pub(super) async fn pause(&self, time: Duration) {
        if matches!(self.pace, Pace::Real) {
            tokio::time::sleep(time).await;
        }
    }

    fn real(&mut self, beat: Beat) -> u64 {
        match beat {
            Beat::Prompt => 0,
            Beat::First => rand::random_range(300..=400),
            Beat::Slow => rand::random_range(850..=1150),
            Beat::Delta if self.burst > 0 => {
                self.burst -= 1;
                0
            }
            // Azure's content filter releases vetted blocks: a pause, then several at once.
            Beat::Delta => match rand::random_range(0..100) {
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
