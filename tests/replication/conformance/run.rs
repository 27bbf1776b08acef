//! Runs one schedule on a store and on the model of it.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use rasta_stream::{
    event::{ReplyEvent, ReplyId, Status},
    store::{
        CreateError, Created, IdempotencyKey, LocalLog, Log, Owner, Request, Snapshot, StopRequest,
        Store, Writer,
    },
};

use super::{
    Held, MAX_REPLIES, RETENTION, Replicas, Tally, due, ensure,
    listener::Wakes,
    model::Model,
    schedule::{At, Operation, Schedule},
    viewer::Viewer,
};

/// Runs one schedule.
pub async fn run(replicas: &Replicas, schedule: &Schedule) -> Held<Tally> {
    let mut run = Run::begin(replicas, schedule).await?;
    for (turn, operation) in schedule.operations.iter().enumerate() {
        run.turn = turn;
        run.perform(operation)
            .await
            .map_err(|failure| format!("operation {turn}: {failure}"))?;
    }
    run.finish().await
}

/// The generation's wait for a stop.
struct StopWait {
    future: Pin<Box<dyn Future<Output = StopRequest>>>,
    wakes: Arc<Wakes>,
}

struct Run<'a> {
    replicas: &'a Replicas,
    turn: usize,
    id: ReplyId,
    request: Request,
    log: Weak<LocalLog>,
    writer: Option<Writer>,
    stop: Option<StopWait>,
    stopped: bool,
    model: Model,
    /// The store has evicted the reply.
    gone: bool,
    key_is_free: bool,
    viewers: Vec<Viewer>,
    tally: Tally,
}

impl<'a> Run<'a> {
    async fn begin(replicas: &'a Replicas, schedule: &Schedule) -> Held<Self> {
        let request = Request {
            key: IdempotencyKey::parse(&ReplyId::random().to_string()).unwrap(),
            fingerprint: [1; 32],
        };
        let home = &replicas.stores[schedule.home % replicas.stores.len()];
        let created = home.create(Owner::Anyone, Some(request.clone()));
        let Ok(Created::New(writer)) = due(replicas, "a new reply", created).await? else {
            return Err("no new reply".to_owned());
        };
        let log = Arc::clone(writer.log());
        let (id, created) = (log.id(), log.created());
        let mut run = Self {
            replicas,
            turn: 0,
            id,
            request,
            log: Arc::downgrade(&log),
            writer: Some(writer),
            stop: Some(StopWait {
                future: Box::pin(async move { log.stop_requested().await }),
                wakes: Arc::default(),
            }),
            stopped: false,
            model: Model::default(),
            gone: false,
            key_is_free: false,
            viewers: (0..schedule.viewers).map(|_| Viewer::default()).collect(),
            tally: Tally {
                schedules: 1,
                ..Tally::default()
            },
        };
        run.model.write(ReplyEvent::Start { reply: id, created });
        ensure!(run.poll_stop().is_pending(), "stopped without a request");
        Ok(run)
    }

    async fn perform(&mut self, operation: &Operation) -> Held {
        let viewers = self.viewers.len();
        match operation {
            Operation::Append(events) => self.append(events),
            Operation::Attach { viewer, at, body } => {
                self.attach(viewer % viewers, *at, *body).await
            }
            Operation::Read {
                viewer,
                events,
                moved,
            } => self.read(viewer % viewers, *events, *moved).await,
            Operation::Leave { viewer } => self.viewers[viewer % viewers].leave(self.replicas),
            Operation::Snapshot => self.snapshot().await,
            Operation::Stop => self.stop().await,
            Operation::PostAgain => self.post_again().await,
            Operation::PostOther => self.post_other().await,
            Operation::End => self.end(),
            Operation::Abandon => self.abandon().await,
            Operation::Expire => self.expire().await,
            Operation::Crowd => self.crowd().await,
        }
    }

    /// Where the present operation goes.
    fn store(&self) -> &'a Store {
        &self.replicas.stores[self.turn % self.replicas.stores.len()]
    }

    /// Finds the reply, if it is still to be found.
    async fn find(&self) -> Held<Option<Log>> {
        let found = due(self.replicas, "the log", self.store().find(self.id)).await?;
        let found = found.map_err(|failure| failure.to_string())?;
        ensure!(found.is_none() == self.gone, "found: {}", found.is_some());
        Ok(found)
    }

    fn append(&mut self, events: &[ReplyEvent]) -> Held {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let appended = writer.append(events);
        ensure!(appended.is_ok(), "{appended:?}");
        events
            .iter()
            .for_each(|event| self.model.write(event.clone()));
        self.all_are_woken()
    }

    fn end(&mut self) -> Held {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let end = self.model.next_end(self.stopped);
        let said = writer.transcript();
        ensure!(
            (said.bytes(), said.sha256()) == (end.bytes, end.sha256.clone()),
            "the writer's text is another"
        );
        writer.end(end.clone());
        self.model.write(ReplyEvent::End(end));
        self.all_are_woken()
    }

    async fn abandon(&mut self) -> Held {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let log = Log::from(Arc::clone(writer.log()));
        drop(writer);
        // Only the log knows how long it took.
        let mut reader = log.reader();
        let ended = reader.read_after(self.model.last());
        due(self.replicas, "the end", ended).await?;
        let Some(end) = log.end() else {
            return Err("what follows is no end".to_owned());
        };
        let expected = self.model.next_end(false);
        ensure!(
            end.status == Status::Failed && end.sha256 == expected.sha256,
            "{end:?}"
        );
        self.model.write(ReplyEvent::End(end));
        self.all_are_woken()
    }

    fn all_are_woken(&self) -> Held {
        if self.replicas.shared {
            return Ok(());
        }
        for (number, viewer) in self.viewers.iter().enumerate() {
            viewer
                .is_woken_rightly(&self.model)
                .map_err(|failure| format!("viewer {number}: {failure}"))?;
        }
        Ok(())
    }

    async fn attach(&mut self, viewer: usize, at: At, body: bool) -> Held {
        self.viewers[viewer].leave(self.replicas)?;
        if let Some(log) = self.find().await? {
            self.viewers[viewer].attach(&log, at, body, &self.model, &mut self.tally);
        }
        Ok(())
    }

    async fn read(&mut self, number: usize, events: usize, moved: bool) -> Held {
        let viewer = &mut self.viewers[number];
        if moved {
            viewer.move_task();
        }
        for _ in 0..events {
            let more = viewer
                .read(&self.model, self.replicas, &mut self.tally)
                .await;
            if !more.map_err(|failure| format!("viewer {number}: {failure}"))? {
                break;
            }
        }
        Ok(())
    }

    async fn snapshot(&self) -> Held {
        let Some(log) = self.find().await? else {
            return Ok(());
        };
        let snapshot = due(self.replicas, "a snapshot", log.snapshot()).await?;
        let snapshot = snapshot.map_err(|failure| failure.to_string())?;
        let (shown, last) = (snapshot.last, self.model.last());
        ensure!(
            shown == last || self.replicas.shared && shown < last,
            "a snapshot of {shown} events where there are {last}"
        );
        let expected = Snapshot {
            content: self.model.content(shown),
            last: shown,
        };
        ensure!(snapshot == expected, "{snapshot:?} is not {expected:?}");
        Ok(())
    }

    async fn stop(&mut self) -> Held {
        let Some(log) = self.find().await? else {
            return Ok(());
        };
        let asked = due(self.replicas, "a stop", log.stop()).await?;
        ensure!(asked.is_ok(), "{asked:?}");
        if self.model.ended() || self.stopped {
            return Ok(());
        }
        if let Some(wait) = &self.stop {
            due(self.replicas, "the stop's wake-up", wait.wakes.after(0)).await?;
        }
        let stop = self.poll_stop();
        ensure!(stop == Poll::Ready(StopRequest::Viewer), "{stop:?}");
        self.stop = None;
        self.stopped = true;
        self.tally.stops += 1;
        Ok(())
    }

    fn poll_stop(&mut self) -> Poll<StopRequest> {
        let Some(wait) = &mut self.stop else {
            return Poll::Pending;
        };
        let waker = Waker::from(Arc::clone(&wait.wakes));
        wait.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    async fn post_again(&mut self) -> Held {
        if self.key_is_free {
            return Ok(());
        }
        let again = self
            .store()
            .create(Owner::Anyone, Some(self.request.clone()));
        match due(self.replicas, "the same POST", again).await? {
            Ok(Created::Existing(log)) => {
                ensure!(
                    log.id() == self.id && !self.gone,
                    "{:?} was found",
                    log.id()
                );
            }
            Ok(Created::New(_)) => {
                ensure!(self.gone, "the same POST was paid twice");
                self.key_is_free = true;
            }
            Err(failure) => return Err(failure.to_string()),
        }
        Ok(())
    }

    async fn post_other(&self) -> Held {
        if self.gone {
            return Ok(());
        }
        let other = Request {
            fingerprint: [2; 32],
            ..self.request.clone()
        };
        let created = self.store().create(Owner::Anyone, Some(other));
        let created = due(self.replicas, "another POST", created).await?;
        ensure!(
            matches!(created, Err(CreateError::IdempotencyMismatch)),
            "{created:?}"
        );
        Ok(())
    }

    /// Only on paused time.
    async fn expire(&mut self) -> Held {
        if !self.replicas.shared {
            tokio::time::advance(RETENTION).await;
            self.evicted();
        }
        self.find().await.map(drop)
    }

    /// Only where the room is known.
    async fn crowd(&mut self) -> Held {
        if !self.replicas.shared {
            for _ in 0..MAX_REPLIES {
                let created = due(
                    self.replicas,
                    "room",
                    self.store().create(Owner::Anyone, None),
                )
                .await?;
                ensure!(matches!(created, Ok(Created::New(_))), "{created:?}");
            }
            self.evicted();
        }
        self.find().await.map(drop)
    }

    fn evicted(&mut self) {
        if self.model.ended() && !self.gone {
            self.gone = true;
            self.tally.evicted += 1;
        }
    }

    /// Ends the reply, and lets every viewer read the rest of it, also those that have left; where
    /// the store is shared, and a new one on each replica.
    async fn finish(mut self) -> Held<Tally> {
        self.end()?;
        if self.replicas.shared {
            let replicas = self.replicas.stores.len();
            self.viewers
                .extend((0..replicas).map(|_| Viewer::default()));
        }
        for viewer in 0..self.viewers.len() {
            self.turn += 1;
            if !self.viewers[viewer].is_attached() {
                self.attach(viewer, At::Kept, viewer % 2 == 0).await?;
            }
            self.read(viewer, usize::MAX, false).await?;
            self.viewers[viewer]
                .has_what_is_due(&self.model)
                .and_then(|()| self.viewers[viewer].leave(self.replicas))
                .map_err(|failure| format!("viewer {viewer}: {failure}"))?;
        }
        self.snapshot().await?;
        self.stop = None;
        ensure!(
            !self.gone || self.log.strong_count() == 0,
            "an evicted reply is still in memory"
        );
        Ok(self.tally)
    }
}
