//! A viewer that gives up nothing: follows a reply as an `EventSource` does, over any break, on any of
//! several replicas, and writes down all that it is sent.
//!
//! It judges nothing but the protocol between connections; the events are judged by the history.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::history::Seen;
use crate::support::http::{self, Decoder, Malformed};

/// The longest that a viewer waits before it reconnects, whatever `retry:` says: a test has no time.
const MAX_RETRY: Duration = Duration::from_millis(200);

/// What is peculiar about a viewer.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Moves to the next replica after so many events, chosen anew each time.
    pub hops: Option<(u64, u64)>,
    /// Resets its connection in the middle of an event, after about so many events.
    pub resets: Option<(u64, u64)>,
    /// Reconnects on a new connection after such a silence; the old one stays open, unread.
    pub leaves_after: Option<Duration>,
    /// Reads so many bytes a second.
    pub rate: Option<usize>,
}

/// All that one viewer has seen.
#[derive(Debug, Default)]
pub struct Sight {
    pub viewer: usize,
    pub seen: Vec<Seen>,
    pub connections: usize,
    /// What the protocol forbids, in words, and how often it happened.
    pub wrongs: BTreeMap<String, usize>,
    /// Answers that were neither events nor "no more", by their status.
    pub refused: Vec<u16>,
    /// When the `end` came.
    pub ended: Option<Instant>,
    /// Whether it came only after the end.
    pub late: bool,
    /// Whether a last connection got a 204, after which it must not reconnect.
    pub dismissed: bool,
}

impl Sight {
    pub fn complain(&mut self, wrong: String) {
        *self.wrongs.entry(wrong).or_default() += 1;
    }
}

/// How a connection went.
enum Parted {
    /// By the other side or by itself: reconnect.
    Again,
    /// The reply has ended, as a 204 says.
    Dismissed,
}

pub struct Viewer {
    number: usize,
    replicas: Vec<SocketAddr>,
    path: String,
    habits: Habits,
    at: usize,
    last: Option<u64>,
    retry: Duration,
    sight: Sight,
    /// Connections that were left open and unread.
    left: Vec<TcpStream>,
}

impl Viewer {
    /// One that begins at the replica `first`, and at each break moves to the next.
    pub fn new(
        number: usize,
        first: usize,
        replicas: &[SocketAddr],
        path: &str,
        habits: Habits,
    ) -> Self {
        Self {
            number,
            at: first,
            replicas: replicas.to_vec(),
            path: path.to_owned(),
            habits,
            last: None,
            retry: MAX_RETRY,
            sight: Sight {
                viewer: number,
                ..Sight::default()
            },
            left: Vec::new(),
        }
    }

    /// Follows the reply to its end, for no longer than `patience`.
    pub async fn follow(mut self, patience: Duration) -> Sight {
        let until = tokio::time::Instant::now() + patience;
        while self.sight.ended.is_none() && !self.sight.dismissed {
            let Ok(parted) = tokio::time::timeout_at(until, self.connection()).await else {
                break;
            };
            if matches!(parted, Ok(Parted::Dismissed)) {
                self.sight.dismissed = true;
            } else if self.sight.ended.is_none() {
                self.at += 1;
                if tokio::time::timeout_at(until, sleep(self.retry))
                    .await
                    .is_err()
                {
                    break;
                }
            }
        }
        self.sight
    }

    fn draw(range: Option<(u64, u64)>) -> u64 {
        range.map_or(u64::MAX, |(least, most)| {
            rand::rng().random_range(least..=most)
        })
    }

    /// One connection, from its first byte to its last.
    async fn connection(&mut self) -> std::io::Result<Parted> {
        let addr = self.replicas[self.at % self.replicas.len()];
        let mut stream = TcpStream::connect(addr).await?;
        self.sight.connections += 1;
        let cursor = self.last.map(|id| id.to_string());
        let headers = cursor.as_ref().map(|id| ("Last-Event-ID", id.as_str()));
        let path = format!("{}/events", self.path);
        let request = http::request("GET", &path, "localhost", headers.as_slice(), None);
        stream.write_all(&request).await?;
        let (hop, reset) = (Self::draw(self.habits.hops), Self::draw(self.habits.resets));
        let mut response = Decoder::new("GET");
        let mut events = 0;
        loop {
            while let Some(block) = response.next_block() {
                if !self.take(&block) {
                    continue;
                }
                events += 1;
                if self.sight.ended.is_some() || events >= hop {
                    return Ok(Parted::Again);
                }
            }
            let nothing = response.body.is_empty() && response.undecoded().is_empty();
            let inside_event = response.head().is_some() && !nothing;
            if events >= reset && inside_event {
                // With no time to linger, the close is an RST.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                return Ok(Parted::Again);
            }
            match response.status() {
                Some(204) => return Ok(Parted::Dismissed),
                Some(200) | None => {}
                Some(status) => {
                    self.sight.refused.push(status);
                    if status == 404 {
                        self.sight
                            .complain(format!("404 after event {:?}", self.last));
                    }
                    return Ok(Parted::Again);
                }
            }
            if response.is_complete() {
                if !response.body.is_empty() {
                    let wrong = "a body ended cleanly inside an event";
                    self.sight.complain(wrong.to_owned());
                }
                return Ok(Parted::Again);
            }
            let most = self
                .habits
                .rate
                .map_or(16 * 1024, |rate| (rate / 20).max(1));
            let mut piece = vec![0; if reset < u64::MAX { 7 } else { most }];
            let silence = self
                .habits
                .leaves_after
                .unwrap_or(Duration::from_secs(3600));
            let Ok(read) = timeout(silence, stream.read(&mut piece)).await else {
                self.left.push(stream);
                return Ok(Parted::Again);
            };
            let read = read?;
            if read == 0 {
                return Ok(Parted::Again);
            }
            if let Err(Malformed(what)) = response.push(&piece[..read]) {
                self.sight.complain(what);
                return Ok(Parted::Again);
            }
            if let Some(rate) = self.habits.rate {
                let share = f64::from(u32::try_from(read).unwrap_or(u32::MAX));
                let rate = f64::from(u32::try_from(rate).unwrap_or(u32::MAX));
                sleep(Duration::from_secs_f64(share / rate)).await;
            }
        }
    }

    /// Takes an event; whether it is one that counts, which a ping does not.
    fn take(&mut self, block: &str) -> bool {
        let (retry, stored) = match block.strip_prefix("retry: ") {
            Some(rest) => {
                let (number, stored) = rest.split_once('\n').unwrap_or((rest, ""));
                (number.parse().ok(), stored)
            }
            None => (None, block),
        };
        if let Some(retry) = retry {
            self.retry = Duration::from_millis(retry).min(MAX_RETRY);
        }
        let mut lines = stored.lines();
        let id = lines
            .next()
            .and_then(|line| line.strip_prefix("id: ")?.parse().ok());
        let name = lines.next().and_then(|line| line.strip_prefix("event: "));
        let (Some(id), Some(name)) = (id, name) else {
            self.sight.complain(format!("no event: {block:?}"));
            return false;
        };
        if name == "ping" {
            if id != self.last.unwrap_or(0) {
                let wrong = format!("a ping moves the cursor from {:?} to {id}", self.last);
                self.sight.complain(wrong);
            }
            return false;
        }
        let at = Instant::now();
        self.last = Some(id);
        if name == "end" {
            self.sight.ended = Some(at);
        }
        self.sight.seen.push(Seen {
            viewer: self.number,
            connection: self.sight.connections,
            id,
            name: name.to_owned(),
            block: stored.to_owned(),
            at,
        });
        true
    }
}
