//! The frames of an SSE stream: a builder whose calls read in the order in which things happen.
//!
//! It frames chunks and counts deltas. [`script`](super::script) decides which chunks come and how
//! the stream ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    chunks::{Chunks, Filter},
    pace::FrameKind,
    response::Step,
};

/// The number of deltas before a fault in the middle of a stream.
const SEVERAL: usize = 8;
/// Characters of a typical delta. Azure documents no exact rule for its offsets.
const CHARACTERS_PER_DELTA: usize = 5;

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
    fn frame(self, data: &str) -> Vec<u8> {
        match self {
            Self::Lf => format!("data: {data}\n\n"),
            Self::CrLf => format!("data: {data}\r\n\r\n"),
            Self::Cr => format!("data: {data}\r\r"),
            Self::NoSpace => format!("data:{data}\n\n"),
            Self::MultiLine => match data.strip_prefix('{') {
                Some(rest) => format!("data: {{\ndata: {rest}\n\n"),
                None => format!("data: {data}\n\n"),
            },
        }
        .into_bytes()
    }
}

/// Builds the steps of a stream.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) chunks: Chunks,
    pub(super) style: Style,
    /// Each delta takes a second.
    pub(super) slow: bool,
    /// A comment precedes each frame.
    pub(super) comments: bool,
    /// Each delta carries the usage so far.
    pub(super) running_usage: bool,
    texts: std::vec::IntoIter<String>,
    sent: usize,
    steps: Vec<Step>,
}

impl Frames {
    pub(super) fn new(chunks: Chunks, texts: Vec<String>) -> Self {
        Self {
            chunks,
            style: Style::Lf,
            slow: false,
            comments: false,
            running_usage: false,
            texts: texts.into_iter(),
            sent: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn filter(self, filter: Filter) -> Self {
        self.with(|frames| frames.chunks.filter = filter)
    }

    /// Adds a frame with this data, unchanged.
    pub(super) fn data(mut self, data: &str, kind: FrameKind) -> Self {
        let bytes = self.style.frame(data);
        if self.comments {
            self.steps.push(Step::Body(b": keep-alive\n\n".to_vec()));
        }
        self.steps.push(Step::Frame { bytes, kind });
        self
    }

    /// Adds a frame with this chunk, sent at once.
    pub(super) fn chunk(self, chunk: &Value) -> Self {
        self.data(&chunk.to_string(), FrameKind::Immediate)
    }

    /// Adds a frame with this data, paced and counted as a delta.
    pub(super) fn delta(self, data: &str) -> Self {
        let kind = match (self.slow, self.sent) {
            (true, _) => FrameKind::SlowDelta,
            (false, 0) => FrameKind::FirstDelta,
            (false, _) => FrameKind::Delta,
        };
        self.with(|frames| frames.sent += 1).data(data, kind)
    }

    /// Adds what precedes the text: the chunk about the prompt, and the role.
    pub(super) fn preamble(self) -> Self {
        let (prompt, role) = (self.chunks.prompt(), self.chunks.role());
        self.chunk(&prompt).chunk(&role)
    }

    /// Adds the next `count` deltas.
    pub(super) fn deltas(mut self, count: usize) -> Self {
        for _ in 0..count {
            let Some(text) = self.texts.next() else {
                break;
            };
            let mut chunk = self.chunks.text(&text);
            if self.running_usage {
                chunk["usage"] = self.chunks.usage_object(self.sent + 1);
            }
            self = self.delta(&chunk.to_string());
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

    /// Removes the next delta and returns its text.
    pub(super) fn take_text(&mut self) -> String {
        self.texts.next().unwrap_or_default()
    }

    /// Adds the chunk with the finish reason.
    pub(super) fn finish(self, reason: &str) -> Self {
        let chunk = self.chunks.finish(reason);
        self.chunk(&chunk)
    }

    /// Adds an annotation of the asynchronous filter about the text so far.
    pub(super) fn annotation(self, filter: &str, filtered: bool, reason: Option<&str>) -> Self {
        let end = self.sent * CHARACTERS_PER_DELTA;
        let chunk = self
            .chunks
            .annotation(filter, filtered, &json!(reason), end);
        self.chunk(&chunk)
    }

    /// Adds the usage chunk, if the request asked for it.
    pub(super) fn usage(self) -> Self {
        if !self.chunks.includes_usage() {
            return self;
        }
        let chunk = self.chunks.usage(self.sent);
        self.chunk(&chunk)
    }

    pub(super) fn done(self) -> Self {
        self.data("[DONE]", FrameKind::Immediate)
    }

    /// Ends the stream normally: finish reason, usage, `[DONE]`, and the end of the body.
    pub(super) fn complete(self, reason: &str) -> Self {
        self.finish(reason).usage().done().step(Step::End)
    }

    /// Adds all that remains of a normal stream: the remaining deltas, and its end.
    pub(super) fn remainder(self, reason: &str) -> Self {
        self.remaining_deltas().complete(reason)
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

    /// Joins all frames so far into one write.
    pub(super) fn burst(mut self) -> Self {
        let frames = self.steps.drain(..).filter_map(|step| match step {
            Step::Frame { bytes, .. } => Some(bytes),
            _ => None,
        });
        let frames = frames.collect();
        self.steps.push(Step::Burst(frames));
        self
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}
