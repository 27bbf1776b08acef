//! What one reply's log must hold: its events, and their very bytes.

use bytes::Bytes;

use rasta_stream::event::{
    Content, End, Padding, ReplyEvent, Seq, Status, StopReason, Timing, Transcript,
};

#[derive(Default)]
pub struct Model {
    pub events: Vec<ReplyEvent>,
    pub blocks: Vec<Bytes>,
}

impl Model {
    pub fn write(&mut self, event: ReplyEvent) {
        let mut block = Vec::new();
        event.encode(self.last().next(), Padding::Off, &mut block);
        self.blocks.push(block.into());
        self.events.push(event);
    }

    pub fn last(&self) -> Seq {
        Seq(self.blocks.len() as u64)
    }

    pub fn ended(&self) -> bool {
        matches!(self.events.last(), Some(ReplyEvent::End(_)))
    }

    /// Whether there is something after a cursor: an event, or the fact that nothing more will come.
    pub fn is_there(&self, cursor: Seq) -> bool {
        self.ended() || cursor < self.last()
    }

    /// The event behind a cursor, and its bytes.
    pub fn after(&self, cursor: Seq) -> Option<(&ReplyEvent, &Bytes)> {
        let index = usize::try_from(cursor.0).unwrap();
        Some((self.events.get(index)?, self.blocks.get(index)?))
    }

    /// The bytes between two cursors.
    pub fn between(&self, from: Seq, to: Seq) -> Vec<u8> {
        let [from, to] = [from, to].map(|at| {
            let at = usize::try_from(at.0).unwrap();
            at.min(self.blocks.len())
        });
        self.blocks[from..to].concat()
    }

    /// The text after so many events.
    pub fn text(&self, last: Seq) -> String {
        self.content(last).text
    }

    /// What so many events say.
    pub fn content(&self, last: Seq) -> Content {
        let mut content = Content::default();
        for event in &self.events[..usize::try_from(last.0).unwrap()] {
            match event {
                ReplyEvent::Delta { text } => content.text.push_str(text),
                ReplyEvent::Reasoning { text } => content.reasoning.push_str(text),
                ReplyEvent::Replace { text, .. } => {
                    content.text.clone_from(text);
                    content.reasoning.clear();
                }
                ReplyEvent::End(end) => content.end = Some(end.clone()),
                ReplyEvent::Start { .. } | ReplyEvent::Notice(_) => {}
            }
        }
        content
    }

    /// The `end` that a generation would write now.
    pub fn next_end(&self, stopped: bool) -> End {
        let mut transcript = Transcript::default();
        transcript.append(&self.text(self.last()));
        End {
            status: if stopped {
                Status::Stopped
            } else {
                Status::Completed
            },
            finish_reason: None,
            reason: stopped.then_some(StopReason::Viewer),
            model: None,
            usage: None,
            bytes: transcript.bytes(),
            sha256: transcript.sha256(),
            ms: Timing::default(),
            error: None,
        }
    }
}
