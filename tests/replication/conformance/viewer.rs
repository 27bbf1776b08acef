//! One viewer of a schedule: where it is, what it got, and whether that is what it must get.

use std::{sync::Arc, task::Poll};

use rasta_stream::{
    event::{ReplyEvent, Seq},
    store::Log,
};

use super::{
    Held, Replicas, Tally, due, ensure,
    listener::{Heard, Listener},
    model::Model,
    schedule::At,
};

#[derive(Default)]
pub struct Viewer {
    listener: Option<Listener>,
    /// Where it began.
    first: Seq,
    /// Where it is.
    cursor: Seq,
    /// Everything that it got since it began, over all of its connections.
    transcript: Vec<u8>,
}

impl Viewer {
    pub fn is_attached(&self) -> bool {
        self.listener.is_some()
    }

    pub fn attach(&mut self, log: &Log, at: At, body: bool, model: &Model, tally: &mut Tally) {
        let last = model.last().0;
        let begin = match at {
            At::Kept => {
                tally.reconnects += u64::from(self.cursor > self.first);
                None
            }
            At::Start => Some(0),
            At::Behind(events) => Some(last.saturating_sub(events)),
            At::Ahead(events) => {
                tally.ahead += 1;
                Some(last + events)
            }
        };
        if let Some(begin) = begin {
            *self = Self {
                first: Seq(begin),
                cursor: Seq(begin),
                ..Self::default()
            };
        }
        self.listener = Some(Listener::new(log, self.cursor, body));
    }

    pub fn leave(&mut self, replicas: &Replicas) -> Held {
        if let Some(listener) = self.listener.take() {
            let wakes = Arc::clone(&listener.wakes);
            drop(listener);
            // With a shared store, a task may be about to wake it.
            ensure!(
                replicas.shared || Arc::strong_count(&wakes) == 1,
                "it has left, but its waker is still registered"
            );
        }
        Ok(())
    }

    /// What it leaves from now on is another waker.
    pub fn move_task(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.move_task();
        }
    }

    /// Where events are there as soon as they are written, so are the wake-ups.
    pub fn is_woken_rightly(&self, model: &Model) -> Held {
        let Some(listener) = &self.listener else {
            return Ok(());
        };
        let Some(called) = listener.called() else {
            return Ok(());
        };
        ensure!(
            !model.is_there(self.cursor) || called > 0,
            "it is not woken"
        );
        // A body has a clock too.
        ensure!(
            called <= 1 || listener.is_body(),
            "it is woken {called} times"
        );
        Ok(())
    }

    /// Reads the next event if it is written; else sees that the viewer waits. Returns whether
    /// more may be read.
    pub async fn read(
        &mut self,
        model: &Model,
        replicas: &Replicas,
        tally: &mut Tally,
    ) -> Held<bool> {
        let Some(listener) = &mut self.listener else {
            return Ok(false);
        };
        if !model.is_there(self.cursor) {
            if !listener.sleeps() {
                let heard = listener.poll(self.cursor);
                ensure!(
                    heard.is_pending(),
                    "nothing is written, but it got {heard:?}"
                );
            }
            return Ok(false);
        }
        let heard = loop {
            if listener.called().is_some() {
                due(replicas, "a wake-up", listener.woken()).await?;
                tally.wakeups += 1;
            }
            match listener.poll(self.cursor) {
                Poll::Ready(heard) => break heard,
                // In a shared store it may be on its way.
                Poll::Pending => ensure!(
                    replicas.shared,
                    "it waits, but what follows {} is there",
                    self.cursor
                ),
            }
        };
        let Some((event, expected)) = model.after(self.cursor) else {
            ensure!(heard == Heard::Nothing, "after the end it got {heard:?}");
            return Ok(false);
        };
        let Heard::Event(block, said_last) = heard else {
            return Err(format!("it is closed at {}", self.cursor));
        };
        ensure!(block == expected, "it got {block:?} for {expected:?}");
        let is_end = matches!(event, ReplyEvent::End(_));
        ensure!(
            said_last.is_none_or(|last| last == is_end),
            "{block:?} is said to be the last: {said_last:?}"
        );
        self.cursor = self.cursor.next();
        self.transcript.extend_from_slice(&block);
        tally.events += 1;
        Ok(true)
    }

    /// What it got is the log from where it began; all of it, if it is still there.
    pub fn has_what_is_due(&self, model: &Model) -> Held {
        ensure!(
            !self.is_attached() || self.cursor >= model.last(),
            "it is closed at {}",
            self.cursor
        );
        ensure!(
            self.transcript == model.between(self.first, self.cursor),
            "it has another transcript"
        );
        Ok(())
    }
}
