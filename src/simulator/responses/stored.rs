//! A stored response: its frames, and how many of them have been sent.
//!
//! The frames are known when the response begins. The task that takes its steps advances the count: the
//! connection that asked for the response, or a background task. Viewers follow the count.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    events::Events,
    object::{ResponseObject, Status},
};
use crate::simulator::{frames::Style, pace::FrameKind, response::Step, script::Steps};

/// The most bytes of frames kept of a response. An ordinary verse has 40 KiB; a longer response is not
/// stored.
const FRAMES_BYTES: usize = 1024 * 1024;

/// One response.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) background: bool,
    pub(super) streamed: bool,
    /// Whether its stream can no longer be followed.
    pub(super) too_old: bool,
    /// The events of a response that has just begun.
    begun: Events,
    state: Mutex<State>,
    /// How many frames have been sent.
    sent: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    frames: Vec<Vec<u8>>,
    /// The response after its last frame.
    ended: ResponseObject,
}

impl State {
    /// Whether the response has ended once so many frames have been sent. A scenario may leave it without an
    /// end.
    fn is_over(&self, sent: usize) -> bool {
        let running = matches!(self.ended.status, Status::Queued | Status::InProgress);
        sent >= self.frames.len() && !running
    }
}

impl Stored {
    /// A response of which no frame has been sent; `None` if it is too long to be stored.
    pub(super) fn new(
        begun: Events,
        streamed: bool,
        too_old: bool,
        steps: &[Step],
        ended: ResponseObject,
    ) -> Option<Arc<Self>> {
        let mut frames = Vec::new();
        for step in steps {
            match step {
                Step::Frame { bytes, .. } => frames.push(bytes.clone()),
                Step::Burst(burst) => frames.extend(burst.iter().cloned()),
                _ => {}
            }
        }
        let bytes: usize = frames.iter().map(Vec::len).sum();
        (bytes <= FRAMES_BYTES).then(|| {
            Arc::new(Self {
                id: begun.response.id.clone(),
                background: begun.response.background,
                streamed,
                too_old,
                begun,
                state: Mutex::new(State { frames, ended }),
                sent: watch::Sender::new(0),
            })
        })
    }

    /// The response so far.
    pub(super) fn now(&self) -> ResponseObject {
        let state = self.state.lock();
        let sent = *self.sent.borrow();
        if state.is_over(sent) {
            return state.ended.clone();
        }
        let mut response = self.begun.response.clone();
        response.status = match self.begun.is_queued(sent) {
            true => Status::Queued,
            false => Status::InProgress,
        };
        response
    }

    /// Says that all frames have been sent.
    pub(super) fn finish(&self) {
        let state = self.state.lock();
        self.sent.send_replace(state.frames.len());
    }

    /// The same steps. As they are taken, the response goes on; if they are dropped before the last frame,
    /// it is cancelled.
    pub(super) fn sending(self: &Arc<Self>, steps: Steps) -> Steps {
        Box::new(Sending {
            response: Arc::clone(self),
            steps,
            taken: 0,
        })
    }

    /// The frames from this one on, each as soon as it has been sent.
    pub(super) fn replay(self: &Arc<Self>, next: usize) -> Steps {
        Box::new(Replay {
            response: Arc::clone(self),
            next,
            ended: false,
        })
    }

    fn advance(&self, frames: usize) {
        // Under the lock, so that nothing is sent after the cancellation.
        let state = self.state.lock();
        self.sent.send_modify(|sent| {
            *sent = sent.saturating_add(frames).min(state.frames.len());
        });
    }

    /// Ends a response that has not ended.
    pub(super) fn cancel(&self) {
        let mut state = self.state.lock();
        let sent = *self.sent.borrow();
        if state.is_over(sent) {
            return;
        }
        let (event, response) = self.begun.clone().cancelled(sent);
        state.frames.truncate(sent);
        state.frames.push(Style::Lf.frame(&event));
        state.ended = response;
        self.sent.send_replace(state.frames.len());
    }
}

/// The steps of a response that goes on as they are taken.
struct Sending {
    response: Arc<Stored>,
    steps: Steps,
    /// Frames taken, and not yet known to be sent.
    taken: usize,
}

impl Iterator for Sending {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        // A caller that asks for the next step has executed the last one.
        self.response.advance(std::mem::take(&mut self.taken));
        let step = self.steps.next()?;
        self.taken = match &step {
            Step::Frame { .. } => 1,
            Step::Burst(frames) => frames.len(),
            _ => 0,
        };
        Some(step)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.response.cancel();
    }
}

/// The frames of a response, each as soon as it has been sent.
struct Replay {
    response: Arc<Stored>,
    next: usize,
    ended: bool,
}

impl Iterator for Replay {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.ended {
            return None;
        }
        let state = self.response.state.lock();
        let sent = *self.response.sent.borrow();
        if self.next < sent {
            let bytes = state.frames.get(self.next)?.clone();
            self.next += 1;
            let kind = FrameKind::Copy;
            return Some(Step::Frame { bytes, kind });
        }
        if state.is_over(sent) {
            self.ended = true;
            return Some(Step::End);
        }
        Some(Step::Await(self.response.sent.subscribe(), self.next))
    }
}
