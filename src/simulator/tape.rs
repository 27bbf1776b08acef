//! A tape: an SSE stream under construction, act by act, so that a script reads as the
//! order in which things happen.
//!
//! It frames chunks and counts deltas. Which chunks come, and how it ends, is the script's.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    pace::Beat,
    performance::Act,
    wire::{Chunks, Filter},
};

/// Deltas before a fault in mid-stream.
const SEVERAL: usize = 8;

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Lf,
    CrLf,
    Cr,
    /// `data:{…}`.
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

/// A stream under construction.
#[derive(Debug)]
pub(super) struct Tape {
    pub(super) chunks: Chunks,
    pub(super) style: Style,
    /// Each delta takes a second.
    pub(super) slow: bool,
    /// A comment stands before each frame.
    pub(super) comments: bool,
    /// Each delta carries the figures so far.
    pub(super) running_usage: bool,
    deltas: std::vec::IntoIter<String>,
    given: usize,
    acts: Vec<Act>,
}

impl Tape {
    pub(super) fn new(chunks: Chunks, deltas: Vec<String>) -> Self {
        Self {
            chunks,
            style: Style::Lf,
            slow: false,
            comments: false,
            running_usage: false,
            deltas: deltas.into_iter(),
            given: 0,
            acts: Vec::new(),
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn filter(self, filter: Filter) -> Self {
        self.with(|tape| tape.chunks.filter = filter)
    }

    /// A frame with this data, as it stands.
    pub(super) fn data(mut self, data: &str, beat: Beat) -> Self {
        let bytes = self.style.frame(data);
        if self.comments {
            self.acts.push(Act::Loose(b": keep-alive\n\n".to_vec()));
        }
        self.acts.push(Act::Frame { bytes, beat });
        self
    }

    /// A frame with this chunk.
    pub(super) fn chunk(self, chunk: &Value) -> Self {
        self.data(&chunk.to_string(), Beat::Prompt)
    }

    /// A frame with this chunk, at the beat of a delta and counted as one.
    pub(super) fn counted(self, data: &str) -> Self {
        let beat = match (self.slow, self.given) {
            (true, _) => Beat::Slow,
            (false, 0) => Beat::First,
            (false, _) => Beat::Delta,
        };
        self.with(|tape| tape.given += 1).data(data, beat)
    }

    /// The chunk about the prompt, and the role.
    pub(super) fn opening(self) -> Self {
        let (prompt, role) = (self.chunks.prompt(), self.chunks.role());
        self.chunk(&prompt).chunk(&role)
    }

    /// The next `count` deltas.
    pub(super) fn next(mut self, count: usize) -> Self {
        for _ in 0..count {
            let Some(text) = self.deltas.next() else {
                break;
            };
            let mut chunk = self.chunks.delta(&text);
            if self.running_usage {
                chunk["usage"] = self.chunks.figures(self.given + 1);
            }
            self = self.counted(&chunk.to_string());
        }
        self
    }

    /// Several deltas.
    pub(super) fn several(self) -> Self {
        self.next(SEVERAL)
    }

    /// All deltas that are left.
    pub(super) fn rest(self) -> Self {
        self.next(usize::MAX)
    }

    /// The text of the next delta, which is then not sent as one.
    pub(super) fn take(&mut self) -> String {
        self.deltas.next().unwrap_or_default()
    }

    pub(super) fn finish(self, reason: &str) -> Self {
        let chunk = self.chunks.finish(reason);
        self.chunk(&chunk)
    }

    /// An annotation of the asynchronous filter on the text so far.
    pub(super) fn annotation(self, filter: &str, condemns: bool, reason: Option<&str>) -> Self {
        // Deltas are about five characters; nobody can rely on Azure's own count either.
        let chunk = self
            .chunks
            .annotation(filter, condemns, &json!(reason), self.given * 5);
        self.chunk(&chunk)
    }

    /// The usage chunk, if it was asked for.
    pub(super) fn usage(self) -> Self {
        if !self.chunks.wants_usage() {
            return self;
        }
        let chunk = self.chunks.usage(self.given);
        self.chunk(&chunk)
    }

    pub(super) fn done(self) -> Self {
        self.data("[DONE]", Beat::Prompt)
    }

    /// What follows the text of a reply that ends as it should.
    pub(super) fn close(self, reason: &str) -> Self {
        self.finish(reason).usage().done().act(Act::End)
    }

    pub(super) fn pause(self, seconds: u64) -> Self {
        self.act(Act::Pause(Duration::from_secs(seconds)))
    }

    pub(super) fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// Turns the last frame into a half one, after which comes a FIN.
    pub(super) fn halve(mut self) -> Self {
        if let Some(Act::Frame { bytes, .. }) = self.acts.pop() {
            self.acts.push(Act::Half(bytes));
        }
        self.act(Act::Cut)
    }

    /// Puts all frames so far into one write.
    pub(super) fn burst(mut self) -> Self {
        let frames = self.acts.drain(..).filter_map(|act| match act {
            Act::Frame { bytes, .. } => Some(bytes),
            _ => None,
        });
        let frames = frames.collect();
        self.acts.push(Act::Burst(frames));
        self
    }

    pub(super) fn acts(self) -> Vec<Act> {
        self.acts
    }
}
