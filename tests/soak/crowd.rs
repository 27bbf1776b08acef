//! Replies to be read by a crowd, and a viewer that is cheap enough to be one of ten thousand.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use rasta_stream::simulator::{Options, Pace, Scenario, Simulator, Steps};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{Duration, MissedTickBehavior, interval},
};

use crate::support::{
    client::{self, soon},
    http::{self, Decoder},
    redis::Redis,
    replica::Replica,
};

/// What replicas share, and an upstream that sends each reply a delta at each beat.
pub struct Stage {
    pub redis: Redis,
    pub steps: Steps,
    simulator: Simulator,
}

impl Stage {
    pub async fn set(scenario: Option<Scenario>) -> Self {
        let steps = Steps::new();
        let options = Options {
            pace: Pace::Stepped(steps.clone()),
            scenario,
            ..Options::default()
        };
        Self {
            redis: Redis::start().await,
            steps,
            simulator: Simulator::start(options).await.unwrap(),
        }
    }

    pub async fn replica(&self, shared: bool) -> Replica {
        replica(&self.simulator.url(), shared.then_some(&self.redis)).await
    }

    /// Sends `frames` frames at each beat, to whichever replies wait, until it is aborted.
    pub fn beat(&self, every: Duration, frames: usize) -> JoinHandle<()> {
        let steps = self.steps.clone();
        tokio::spawn(async move {
            let mut beat = interval(every);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                steps.release(frames);
            }
        })
    }
}

pub async fn replica(endpoint: &str, redis: Option<&Redis>) -> Replica {
    let mut settings = vec![
        ("AZURE_OPENAI_ENDPOINT", endpoint),
        ("AZURE_OPENAI_DEPLOYMENT", "any"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("WORKERS", "2"),
        ("MAX_REPLY_BYTES", "100000000"),
        // Viewers here are counted by their bytes; a ping among them would only be in the way.
        ("PING_SECONDS", "600"),
        ("STALL_SECONDS", "600"),
        ("IDLE_READER_SECONDS", "600"),
    ];
    let url = redis.map(Redis::url);
    settings.extend(url.as_ref().map(|url| ("REDIS_URL", url.as_str())));
    Replica::start(&settings).await
}

/// Starts a reply; gives its path.
pub async fn start(addr: SocketAddr, prompt: &str) -> String {
    let body = json!({ "prompt": prompt }).to_string();
    let headers = [("Content-Type", "application/json")];
    let response = client::send(addr, "POST", "/v1/replies", &headers, Some(&body)).await;
    assert_eq!(response.status, 201);
    response.header("location").unwrap().to_owned()
}

/// The number of the newest event of a reply.
pub async fn newest(addr: SocketAddr, path: &str) -> u64 {
    let response = client::send(addr, "GET", path, &[], None).await;
    assert_eq!(response.status, 200);
    response.json().await["last_event_id"].as_u64().unwrap()
}

/// Stops a reply and waits for its end.
pub async fn stop(addr: SocketAddr, path: &str) {
    let response = client::send(addr, "DELETE", path, &[], None).await;
    assert!(
        matches!(response.status, 200 | 202 | 204),
        "{}",
        response.status
    );
}

/// Opens the events of a reply after a cursor.
pub async fn follow(addr: SocketAddr, path: &str, cursor: u64) -> client::Response {
    let cursor = cursor.to_string();
    let path = format!("{path}/events");
    let headers = [("Last-Event-ID", cursor.as_str())];
    let response = client::send(addr, "GET", &path, &headers, None).await;
    assert_eq!(response.status, 200);
    response
}

/// Follows a reply to its end; gives its events and the longest wait for one.
pub async fn watch_to_the_end(addr: SocketAddr, path: String) -> (Vec<client::Event>, Duration) {
    let mut response = follow(addr, &path, 0).await;
    let (mut events, mut gap, mut last) = (Vec::new(), Duration::ZERO, Instant::now());
    while let Some(event) = response.next_stored().await {
        gap = gap.max(last.elapsed());
        last = Instant::now();
        events.push(event);
    }
    (events, gap)
}

/// Sends the request for a reply's events, and reads nothing.
pub async fn knock(addr: SocketAddr, path: &str, cursor: u64) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let cursor = cursor.to_string();
    let headers = [("Last-Event-ID", cursor.as_str())];
    let request = http::request(
        "GET",
        &format!("{path}/events"),
        "localhost",
        &headers,
        None,
    );
    stream.write_all(&request).await?;
    Ok(stream)
}

/// What every viewer of one reply must get.
#[derive(Clone)]
pub struct Script {
    pub path: String,
    whole: Arc<Vec<u8>>,
    /// Where each event ends, the first at index 1.
    ends: Arc<Vec<usize>>,
    pub ended: bool,
}

impl Script {
    /// Reads the first `count` events of a running reply, or all of one that has ended.
    pub async fn read(addr: SocketAddr, path: &str, count: Option<u64>) -> Self {
        let mut response = follow(addr, path, 0).await;
        let (mut whole, mut ends) = (Vec::new(), vec![0]);
        while count.is_none_or(|count| (ends.len() as u64) <= count) {
            let Some(event) = response.next_stored().await else {
                break;
            };
            assert_eq!(event.id, ends.len() as u64);
            whole.extend_from_slice(event.block.as_bytes());
            ends.push(whole.len());
        }
        Self {
            path: path.to_owned(),
            whole: Arc::new(whole),
            ends: Arc::new(ends),
            ended: count.is_none(),
        }
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.ends.len() as u64 - 1
    }

    /// How many bytes all events have together.
    pub fn length(&self) -> u64 {
        self.whole.len() as u64
    }

    fn after(&self, cursor: u64) -> &[u8] {
        &self.whole[self.ends[usize::try_from(cursor).unwrap()]..]
    }

    /// Reads the answer to [`knock`] and compares it, byte for byte, with what follows the cursor:
    /// to its end, or as far as the script of a reply that still runs goes.
    pub async fn check(&self, stream: &mut TcpStream, cursor: u64) {
        let expected = self.after(cursor);
        let (mut response, mut piece) = (Decoder::new("GET"), vec![0; 16 << 10]);
        loop {
            let read = soon("more of a storm's answer", stream.read(&mut piece)).await;
            let read = read.unwrap();
            let received = response.body.len();
            assert!(read > 0, "cut after {received} bytes of {}", self.path);
            response.push(&piece[..read]).unwrap();
            assert!(matches!(response.status(), None | Some(200)));
            let stored = stored(&response.body);
            if response.is_complete() {
                assert!(
                    self.ended && stored == expected,
                    "other events, {}",
                    self.path
                );
                return;
            }
            if !self.ended && stored.len() >= expected.len() {
                assert!(stored.starts_with(expected), "other events, {}", self.path);
                return;
            }
        }
    }
}

/// A body without what is not stored: the `retry` of its first event, and that if it is a ping.
fn stored(body: &[u8]) -> &[u8] {
    let line = |bytes: &[u8]| {
        bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|end| end + 1)
    };
    let Some(retry) = line(body) else {
        return &[];
    };
    assert!(body.starts_with(b"retry: "));
    let rest = &body[retry..];
    let Some(id) = line(rest) else {
        return &[];
    };
    if !rest[id..].starts_with(b"event: ping\n") {
        return rest;
    }
    let end = rest.windows(2).position(|two| two == b"\n\n");
    end.map_or(&[], |end| &rest[end + 2..])
}
