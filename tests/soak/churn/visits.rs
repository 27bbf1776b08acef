//! What the clients of a soak do, one visit after the other: they read, leave, return, stop, repeat
//! themselves, send nonsense, and do not read.
//!
//! A busy machine makes clients late: a reply may be evicted before its reader comes, and Redis may answer too
//! late. Such visits end early, and are counted. Any other answer than the expected one fails the test. How a
//! reply ends is upstream's doing, and not judged here.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

use super::upstream::Switch;
use crate::{
    soak::crowd::knock,
    support::{
        client::{self, Response, proven, soon},
        http,
    },
};

/// How many of the newest replies are looked for at rest.
const REMEMBERED: usize = 100;

/// The kinds of visits, in the order of [`Visitor::visit`].
const KINDS: [&str; 9] = [
    "read to the end",
    "left a response to a POST",
    "left and returned elsewhere",
    "stopped",
    "repeated a POST",
    "refused",
    "read slowly and left",
    "sent half a request",
    "left unread",
];

/// What the clients have done so far.
#[derive(Default)]
pub struct Tally {
    visits: AtomicUsize,
    kinds: [AtomicUsize; KINDS.len()],
    completed: AtomicUsize,
    stopped: AtomicUsize,
    failed: AtomicUsize,
    /// Visits that ended early: 404 for a reply that is gone, 503 while Redis does not answer, or a stream
    /// that was closed before its `end`.
    early: AtomicUsize,
    /// The newest replies, each with a replica that knows it.
    replies: Mutex<VecDeque<(SocketAddr, String)>>,
}

impl Tally {
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }

    /// The newest replies that were started.
    pub fn newest(&self) -> Vec<(SocketAddr, String)> {
        self.replies.lock().iter().cloned().collect()
    }

    fn remember(&self, door: SocketAddr, path: &str) {
        let mut replies = self.replies.lock();
        replies.push_back((door, path.to_owned()));
        if replies.len() > REMEMBERED {
            replies.pop_front();
        }
    }

    /// How many replies were read to their ends.
    pub fn read(&self) -> usize {
        let counts = [&self.completed, &self.stopped, &self.failed];
        counts
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    fn ended(&self, events: &[client::Event]) {
        let count = match events.last() {
            Some(last) if last.name == "end" => match proven(events)["status"].as_str() {
                Some("completed") => &self.completed,
                Some("stopped") => &self.stopped,
                _ => &self.failed,
            },
            _ => &self.early,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        write!(f, "{} visits:", self.visits())?;
        for (name, kind) in KINDS.iter().zip(&self.kinds) {
            write!(f, " {} {name},", count(kind))?;
        }
        write!(
            f,
            " and of the replies read to their ends {} completed, {} stopped, {} failed; \
             {} visits ended early",
            count(&self.completed),
            count(&self.stopped),
            count(&self.failed),
            count(&self.early),
        )
    }
}

/// One client.
pub struct Visitor {
    doors: Vec<SocketAddr>,
    switch: Switch,
    tally: Arc<Tally>,
}

impl Visitor {
    pub fn new(doors: Vec<SocketAddr>, switch: Switch, tally: Arc<Tally>) -> Self {
        Self {
            doors,
            switch,
            tally,
        }
    }

    /// Does the next thing.
    pub async fn visit(&self) {
        let number = self.tally.visits.fetch_add(1, Ordering::Relaxed);
        self.switch.turn(number);
        let here = self.doors[number % self.doors.len()];
        let there = self.doors[(number + 1) % self.doors.len()];
        let kind = number % KINDS.len();
        let visited = match kind {
            0 => self.read_to_the_end(here, there).await,
            1 => self.leave_a_post(here).await,
            2 => self.leave_and_return(here, there).await,
            3 => self.stop(here, there).await,
            4 => self.repeat(here, there, number).await,
            5 => refused(here).await,
            6 => self.read_slowly(here).await,
            7 => send_half(here).await,
            _ => self.start(here, &[]).await.map(drop),
        };
        if visited.is_none() {
            self.tally.early.fetch_add(1, Ordering::Relaxed);
        }
        self.tally.kinds[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// Starts a reply; gives its path.
    async fn start(&self, door: SocketAddr, more: &[(&str, &str)]) -> Option<String> {
        let response = post(door, more).await;
        let response = unless_early(response, &[200, 201])?;
        let path = response.header("location").unwrap().to_owned();
        self.tally.remember(door, &path);
        Some(path)
    }

    async fn read_to_the_end(&self, here: SocketAddr, there: SocketAddr) -> Option<()> {
        let path = self.start(here, &[]).await?;
        let events = follow(there, &path, 0).await?.rest().await;
        self.tally.ended(&events);
        let snapshot = client::send(there, "GET", &path, &[], None).await;
        // It is kept for a moment only.
        assert!(matches!(snapshot.status, 200 | 404 | 503));
        Some(())
    }

    async fn leave_a_post(&self, here: SocketAddr) -> Option<()> {
        let response = post(here, &[("Accept", "text/event-stream")]).await;
        let start = unless_early(response, &[200])?.next_stored().await?;
        let id = start.data["reply"].as_str().unwrap();
        self.tally.remember(here, &format!("/v1/replies/{id}"));
        Some(())
    }

    async fn leave_and_return(&self, here: SocketAddr, there: SocketAddr) -> Option<()> {
        let path = self.start(here, &[]).await?;
        let mut events: Vec<client::Event> = Vec::new();
        for door in [here, there, here] {
            let mut viewer = follow(door, &path, events.len() as u64).await?;
            events.push(viewer.next_stored().await?);
            if events.last()?.name == "end" {
                self.tally.ended(&events);
                return Some(());
            }
        }
        let mut viewer = follow(there, &path, events.len() as u64).await?;
        events.extend(viewer.rest().await);
        self.tally.ended(&events);
        Some(())
    }

    async fn stop(&self, here: SocketAddr, there: SocketAddr) -> Option<()> {
        let path = self.start(here, &[]).await?;
        let mut viewer = follow(here, &path, 0).await?;
        let stopped = client::send(there, "DELETE", &path, &[], None).await;
        unless_early(stopped, &[202])?;
        self.tally.ended(&viewer.rest().await);
        Some(())
    }

    async fn repeat(&self, here: SocketAddr, there: SocketAddr, number: usize) -> Option<()> {
        let key = format!("soak-of-some-minutes-{number}");
        let key = [("Idempotency-Key", key.as_str())];
        self.start(here, &key).await?;
        self.start(there, &key).await.map(drop)
    }

    async fn read_slowly(&self, here: SocketAddr) -> Option<()> {
        let path = self.start(here, &[]).await?;
        let mut stream = knock(here, &path, 0).await.unwrap();
        for _ in 0..256 {
            let mut byte = [0];
            let read = soon("a byte", stream.read(&mut byte)).await.unwrap();
            if read == 0 {
                break;
            }
        }
        Some(())
    }
}

async fn post(door: SocketAddr, more: &[(&str, &str)]) -> Response {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(more);
    let body = json!({ "prompt": "Tell me about the river" }).to_string();
    client::send(door, "POST", "/v1/replies", &headers, Some(&body)).await
}

/// Opens the events of a reply after a cursor.
async fn follow(door: SocketAddr, path: &str, cursor: u64) -> Option<Response> {
    let cursor = cursor.to_string();
    let headers = [("Last-Event-ID", cursor.as_str())];
    let path = format!("{path}/events");
    let response = client::send(door, "GET", &path, &headers, None).await;
    unless_early(response, &[200])
}

/// The response, unless the reply is gone or Redis does not answer.
fn unless_early(response: Response, expected: &[u16]) -> Option<Response> {
    if expected.contains(&response.status) {
        return Some(response);
    }
    assert!(matches!(response.status, 404 | 503), "{}", response.status);
    None
}

/// Sends what is not accepted, in all ways.
async fn refused(door: SocketAddr) -> Option<()> {
    let json = ("Content-Type", "application/json");
    let large = "x".repeat(300 << 10);
    let unknown = "/v1/replies/00000000-0000-4000-8000-000000000000";
    let events = format!("{unknown}/events");
    for (status, method, path, headers, body) in [
        (400, "POST", "/v1/replies", vec![json], Some("{")),
        (
            400,
            "POST",
            "/v1/replies",
            vec![json, ("Idempotency-Key", "k")],
            Some("{}"),
        ),
        (
            403,
            "POST",
            "/v1/replies",
            vec![json, ("Origin", "https://evil.example")],
            Some("{}"),
        ),
        (404, "GET", unknown, vec![], None),
        (404, "DELETE", unknown, vec![], None),
        (400, "GET", &events, vec![("Last-Event-ID", "x")], None),
        (405, "PUT", "/v1/replies", vec![], None),
        (413, "POST", "/v1/replies", vec![json], Some(large.as_str())),
        (
            415,
            "POST",
            "/v1/replies",
            vec![("Content-Type", "text/plain")],
            Some("x"),
        ),
    ] {
        let response = client::send(door, method, path, &headers, body).await;
        let known = [status, 503].contains(&response.status);
        assert!(known, "{method} {path} {headers:?}: {}", response.status);
    }
    Some(())
}

/// Sends half a head on one connection and half a body on another, and leaves both.
async fn send_half(door: SocketAddr) -> Option<()> {
    let headers = [("Content-Type", "application/json")];
    let whole = http::request(
        "POST",
        "/v1/replies",
        "localhost",
        &headers,
        Some("{\"prompt\": \"x\"}"),
    );
    for part in [30, whole.len() - 5] {
        let mut stream = TcpSocket::new_v4().unwrap().connect(door).await.unwrap();
        stream.write_all(&whole[..part]).await.unwrap();
    }
    Some(())
}
