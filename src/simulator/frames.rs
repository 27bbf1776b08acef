//! The frames of an SSE stream: a builder whose calls read in the order in which things happen.
//!
//! It frames events, counts deltas and collects their text. A [`Wire`] makes the events; a script decides
//! which come and how the stream ends.

use std::time::Duration;

use super::{
    failure::Failure,
    pace::FrameKind,
    reply::Finish,
    response::Step,
    wire::{SseEvent, Wire},
};

/// The number of deltas before a fault in the middle of a stream.
const SEVERAL: usize = 8;

/// The SSE syntax of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Lf,
    CrLf,
    Cr,
    /// `data:{…}`, without a space.
    NoSpace,
    /// The JSON on two `data:` lines.
    MultiLine,
}

impl Style {
    /// The bytes of an event.
    pub(super) fn frame(self, event: &SseEvent) -> Vec<u8> {
        let (end, colon) = match self {
            Self::CrLf => ("\r\n", ": "),
            Self::Cr => ("\r", ": "),
            Self::NoSpace => ("\n", ":"),
            Self::Lf | Self::MultiLine => ("\n", ": "),
        };
        let mut frame = String::new();
        if let Some(name) = &event.name {
            frame.extend(["event", colon, name, end]);
        }
        let mut data = event.data.as_str();
        if self == Self::MultiLine
            && let Some(rest) = data.strip_prefix('{')
        {
            frame.extend(["data", colon, "{", end]);
            data = rest;
        }
        frame.extend(["data", colon, data, end, end]);
        frame.into_bytes()
    }
}

/// Builds the steps of a stream.
#[derive(Debug)]
pub(super) struct Frames<W> {
    pub(super) wire: W,
    pub(super) style: Style,
    /// Events lose their names.
    pub(super) nameless: bool,
    /// Each delta takes a second.
    pub(super) slow: bool,
    /// A comment precedes each frame.
    pub(super) comments: bool,
    texts: std::vec::IntoIter<String>,
    /// The text of the deltas so far.
    text: String,
    sent: usize,
    steps: Vec<Step>,
}

impl<W: Wire> Frames<W> {
    pub(super) fn new(wire: W, texts: Vec<String>) -> Self {
        Self {
            wire,
            style: Style::Lf,
            nameless: false,
            slow: false,
            comments: false,
            texts: texts.into_iter(),
            text: String::new(),
            sent: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn frame(mut self, mut event: SseEvent, kind: FrameKind) -> Self {
        if self.nameless {
            event.name = None;
        }
        if self.comments {
            self.steps.push(Step::Body(b": keep-alive\n\n".to_vec()));
        }
        let bytes = self.style.frame(&event);
        self.steps.push(Step::Frame { bytes, kind });
        self
    }

    /// Adds events that are sent at once.
    pub(super) fn events(self, events: impl IntoIterator<Item = SseEvent>) -> Self {
        let immediate = |frames: Self, event| frames.frame(event, FrameKind::Immediate);
        events.into_iter().fold(self, immediate)
    }

    /// Adds the events of one delta, of which the first is paced.
    pub(super) fn paced(mut self, events: impl IntoIterator<Item = SseEvent>) -> Self {
        let kind = match (self.slow, self.sent) {
            (true, _) => FrameKind::SlowDelta,
            (false, 0) => FrameKind::FirstDelta,
            (false, _) => FrameKind::Delta,
        };
        self.sent += 1;
        let mut events = events.into_iter();
        match events.next() {
            Some(first) => self.frame(first, kind).events(events),
            None => self,
        }
    }

    /// Adds a delta of this text.
    pub(super) fn delta(mut self, text: &str) -> Self {
        self.text.push_str(text);
        let events = self.wire.delta(text);
        self.paced(events)
    }

    /// Adds a delta of this text whose JSON string is escaped by hand.
    pub(super) fn escaped_delta(mut self, text: &str, escaped: &str) -> Self {
        self.text.push_str(text);
        let mut events = self.wire.delta("@");
        for event in &mut events {
            event.data = event.data.replacen("\"@\"", &format!("\"{escaped}\""), 1);
        }
        self.paced(events)
    }

    /// Adds what precedes the text.
    pub(super) fn opening(mut self) -> Self {
        let events = self.wire.opening();
        self.events(events)
    }

    /// Adds the next `count` deltas.
    pub(super) fn deltas(mut self, count: usize) -> Self {
        for _ in 0..count {
            let Some(text) = self.texts.next() else {
                break;
            };
            self = self.delta(&text);
        }
        self
    }

    /// Adds several deltas.
    pub(super) fn several_deltas(self) -> Self {
        self.deltas(SEVERAL)
    }

    /// Adds all deltas that remain.
    pub(super) fn remaining_deltas(self) -> Self {
        self.deltas(usize::MAX)
    }

    /// The text of the deltas so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Removes all deltas that remain and returns their text.
    pub(super) fn take_rest(&mut self) -> String {
        std::mem::take(&mut self.texts).collect()
    }

    /// Removes the next delta and returns its text.
    pub(super) fn take_text(&mut self) -> String {
        self.next_text().unwrap_or_default()
    }

    /// Removes the next delta and returns its text; `None` if there is none left.
    pub(super) fn next_text(&mut self) -> Option<String> {
        self.texts.next()
    }

    /// Adds what says that the reply has ended, and why.
    pub(super) fn finish(mut self, finish: Finish) -> Self {
        let events = self.wire.finish(finish, &self.text);
        self.events(events)
    }

    /// Adds what follows the finish, and the end of the body.
    pub(super) fn close(mut self) -> Self {
        let events = self.wire.closing();
        self.events(events).step(Step::End)
    }

    /// Adds a failure.
    pub(super) fn failure(mut self, failure: &Failure) -> Self {
        let events = self.wire.failure(failure);
        self.events(events)
    }

    /// Ends the stream normally.
    pub(super) fn complete(self, finish: Finish) -> Self {
        self.finish(finish).close()
    }

    /// Adds all that remains of a normal stream: the remaining deltas, and its end.
    pub(super) fn remainder(self, finish: Finish) -> Self {
        self.remaining_deltas().complete(finish)
    }

    pub(super) fn pause(self, seconds: u64) -> Self {
        self.step(Step::Pause(Duration::from_secs(seconds)))
    }

    pub(super) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Cuts the connection in the middle of the last frame.
    pub(super) fn cut_last_frame(mut self) -> Self {
        if let Some(Step::Frame { bytes, .. }) = self.steps.pop() {
            self.steps.push(Step::HalfFrame(bytes));
        }
        self.step(Step::Cut)
    }

    /// Removes the blank line after the last frame.
    pub(super) fn without_last_blank_line(mut self) -> Self {
        if let Some(Step::Frame { bytes, .. }) = self.steps.last_mut()
            && bytes.ends_with(b"\n\n")
        {
            bytes.pop();
        }
        self
    }

    /// Joins all frames so far into one write.
    pub(super) fn burst(mut self) -> Self {
        let (frames, others): (Vec<_>, Vec<_>) = self
            .steps
            .drain(..)
            .partition(|step| matches!(step, Step::Frame { .. }));
        let frames = frames.into_iter().filter_map(|step| match step {
            Step::Frame { bytes, .. } => Some(bytes),
            _ => None,
        });
        self.steps.push(Step::Burst(frames.collect()));
        self.steps.extend(others);
        self
    }

    /// The steps, and the wire to go on with.
    pub(super) fn into_parts(self) -> (Vec<Step>, W) {
        (self.steps, self.wire)
    }
}
