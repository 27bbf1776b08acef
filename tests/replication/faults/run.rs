//! One reply under a fault: posted as a careful client would, watched by four viewers, and read once more
//! from its beginning on every replica when it is over.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use rasta_stream::simulator::{Journal, JournalEvent};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::{
    ask,
    cluster::asks,
    fault::Fault,
    viewer::{Habits, Sight, Viewer},
};

/// The viewers of each reply.
pub const VIEWERS: usize = 4;
/// When a reply that has not ended is given up. Ends that come later than the bound are counted in the
/// report; this tells a slow machine from a viewer that would wait forever.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// When a stop is too late, on a slow machine too.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    pub prompt: String,
    pub posted: Option<Instant>,
    pub sights: Vec<Sight>,
    /// From the DELETE to the moment when upstream's connection was closed.
    pub stopped_in: Option<Duration>,
    pub wrongs: Vec<String>,
    /// Answers to the POST that were no reply.
    pub refused: Vec<u16>,
}

/// All that a run must know.
pub struct Run {
    pub fault: Fault,
    pub variant: usize,
    pub number: usize,
    /// How long upstream speaks.
    pub length: Duration,
    pub prompt: String,
    pub doors: Vec<SocketAddr>,
    pub journal: Journal,
}

impl Run {
    pub async fn play(self) -> Outcome {
        let mut outcome = Outcome {
            prompt: self.prompt.clone(),
            posted: None,
            sights: Vec::new(),
            stopped_in: None,
            wrongs: Vec::new(),
            refused: Vec::new(),
        };
        if self.fault == Fault::AroundTheCreate {
            self.expect(
                &format!("/v1/replies/{}", Uuid::new_v4()),
                404,
                "",
                &mut outcome,
            )
            .await;
        }
        let key = Uuid::new_v4().to_string();
        let home = self.fault.home(self.number);
        let Some(path) = self.post(home, &key, &mut outcome).await else {
            outcome
                .wrongs
                .push("the POST was never answered".to_owned());
            return outcome;
        };
        outcome.posted = Some(Instant::now());
        let stopping = self.fault == Fault::StoppedElsewhere;
        let (mut viewers, again) = (self.viewers(&path, VIEWERS, false), async {
            // A second POST with the same key, elsewhere, is the same reply.
            if self.fault == Fault::AroundTheCreate {
                let mut second = Vec::new();
                let path = self.try_post(home + 1, &key, &mut second).await;
                return (path, second);
            }
            (Some(path.clone()), Vec::new())
        });
        let stop = async {
            if stopping {
                self.stop(home + 1, &path).await
            } else {
                Ok(None)
            }
        };
        let watch = async {
            let mut sights = Vec::new();
            while let Some(sight) = viewers.join_next().await {
                sights.push(sight.unwrap());
            }
            sights
        };
        let (sights, (second, refused), stopped) = tokio::join!(watch, again, stop);
        outcome.sights = sights;
        if second.as_ref() != Some(&path) {
            let wrong = format!("a second POST with the same key gave {second:?} and {refused:?}");
            outcome.wrongs.push(wrong);
        }
        match stopped {
            Ok(time) => outcome.stopped_in = time,
            Err(wrong) => outcome.wrongs.push(wrong),
        }
        if outcome.sights.iter().all(|sight| sight.ended.is_some()) {
            self.look_again(&path, &mut outcome).await;
        }
        outcome
    }

    fn viewers(&self, path: &str, count: usize, late: bool) -> JoinSet<Sight> {
        let mut viewers = JoinSet::new();
        for number in 0..count {
            let habits = if late {
                Habits::default()
            } else {
                self.fault.habits(self.variant, number)
            };
            // From another replica in each run.
            let first = number + if late { 0 } else { self.number };
            let viewer = Viewer::new(number, first, &self.doors, path, habits);
            viewers.spawn(async move {
                let mut sight = viewer.follow(PATIENCE).await;
                sight.late = late;
                sight
            });
        }
        viewers
    }

    /// Reads the whole reply again on every replica; then, where that is the fault, until it is gone.
    async fn look_again(&self, path: &str, outcome: &mut Outcome) {
        let mut viewers = self.viewers(path, self.doors.len(), true);
        while let Some(sight) = viewers.join_next().await {
            outcome.sights.push(sight.unwrap());
        }
        if self.fault != Fault::AroundTheCreate {
            return;
        }
        let last = outcome.sights[0].seen.last().map_or(0, |seen| seen.id);
        self.expect(&format!("{path}/events"), 204, &last.to_string(), outcome)
            .await;
        self.expect(&format!("{path}/events"), 404, &last.to_string(), outcome)
            .await;
        self.expect(path, 404, "", outcome).await;
    }

    /// Waits until every replica answers with this status: at once, or after it is evicted.
    async fn expect(&self, path: &str, status: u16, cursor: &str, outcome: &mut Outcome) {
        for (number, door) in self.doors.iter().enumerate() {
            let since = Instant::now();
            let headers = [("Last-Event-ID", cursor)];
            let mut answer = None;
            while answer != Some(status) && since.elapsed() < PATIENCE {
                if answer.is_some() {
                    sleep(Duration::from_millis(100)).await;
                }
                let answered = ask(*door, "GET", path, &headers, "").await;
                answer = answered.map_or(Some(0), |(head, _)| Some(head.status));
                if status == 204 {
                    break;
                }
            }
            if answer != Some(status) {
                let wrong = format!("replica {number}: {answer:?} and not {status} for a GET");
                outcome.wrongs.push(wrong);
            }
        }
    }

    /// Posts until a replica takes it, as a client with an idempotency key may.
    async fn post(&self, home: usize, key: &str, outcome: &mut Outcome) -> Option<String> {
        let since = Instant::now();
        let mut at = home;
        while since.elapsed() < PATIENCE {
            if let Some(path) = self.try_post(at, key, &mut outcome.refused).await {
                return Some(path);
            }
            at += 1;
            sleep(Duration::from_millis(100)).await;
        }
        None
    }

    async fn try_post(&self, at: usize, key: &str, refused: &mut Vec<u16>) -> Option<String> {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        let body = json!({"prompt": self.prompt}).to_string();
        let door = self.doors[at % self.doors.len()];
        let answer = ask(door, "POST", "/v1/replies", &headers, &body).await;
        let (head, _) = answer.ok()?;
        if [200, 201].contains(&head.status) {
            return head.header("location").map(str::to_owned);
        }
        refused.push(head.status);
        None
    }

    /// Sends a DELETE, and again while the replica cannot reach Redis, as a client may. Gives the
    /// answer's status and when the DELETE was sent.
    async fn delete(&self, at: usize, path: &str) -> (u16, Instant) {
        let door = self.doors[at % self.doors.len()];
        let begun = Instant::now();
        loop {
            let since = Instant::now();
            let answer = ask(door, "DELETE", path, &[], "").await;
            let status = answer.map_or(0, |(head, _)| head.status);
            if status != 503 || begun.elapsed() > PATIENCE {
                return (status, since);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the reply at some event of its; gives the time to upstream's end, if it was not there before.
    async fn stop(&self, at: usize, path: &str) -> Result<Option<Duration>, String> {
        let length = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        let early = rand::rng().random_range(0..length);
        sleep(Duration::from_millis(early)).await;
        let gone = async {
            let mut ending = None;
            let seen = self.journal.wait_for(|records| {
                let asked = records.iter().find(|record| match &record.event {
                    JournalEvent::Request { body, .. } => asks(body, &self.prompt),
                    _ => false,
                });
                ending = asked.and_then(|asked| {
                    let its = records.iter().filter(|r| r.connection == asked.connection);
                    its.map(|record| &record.event)
                        .find(|event| {
                            matches!(event, JournalEvent::ClientGone | JournalEvent::Finished)
                        })
                        .cloned()
                });
                ending.is_some()
            });
            let in_time = tokio::time::timeout(PATIENCE, seen).await.is_ok();
            (in_time, ending, Instant::now())
        };
        let ((status, since), (in_time, ending, gone)) = tokio::join!(self.delete(at, path), gone);
        let time = gone.saturating_duration_since(since);
        if status != 202 {
            return Err(format!("the DELETE was answered with {status}"));
        }
        if !in_time {
            return Err("upstream's connection was never closed after a DELETE".to_owned());
        }
        let stopped = ending == Some(JournalEvent::ClientGone);
        if stopped && time > STOP_PATIENCE {
            return Err(format!("a DELETE took {time:?} to reach upstream"));
        }
        Ok(stopped.then_some(time))
    }
}
