//! What is hurt: replicas, each behind a door that can be jammed, Redis and upstream behind proxies, and
//! a simulator that gives each stream a frame at every beat.

use std::{net::SocketAddr, time::Duration};

use rasta_stream::simulator::{Journal, JournalEvent, Options, Pace, Scenario, Simulator, Steps};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::ask;
use crate::support::{proxy::Proxy, redis::Redis, replica::Replica};

/// With `start` and `end`, a reply has 20 events.
const DELTAS: &str = "18";
/// The frames of a stream: two before the deltas, three after them.
const FRAMES: u32 = 23;

/// How a cluster is made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub replicas: usize,
    /// Whether replies are in Redis.
    pub shared: bool,
    pub scenario: Option<Scenario>,
    /// How often a stream gets a frame.
    pub beat: Duration,
    pub settings: &'static [(&'static str, &'static str)],
}

impl Plan {
    /// From a stream's first frame to its last.
    pub fn length(&self) -> Duration {
        self.beat * FRAMES
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            replicas: 3,
            shared: true,
            scenario: None,
            beat: Duration::from_millis(10),
            settings: &[],
        }
    }
}

pub struct Cluster {
    pub replicas: Vec<Replica>,
    /// One before each replica.
    pub doors: Vec<Proxy>,
    pub redis: Option<Redis>,
    /// Before Redis.
    pub wire: Option<Proxy>,
    /// Before the simulator.
    pub upstream: Proxy,
    simulator: Simulator,
    /// Says at once and whole what the simulator says piece by piece.
    prompter: Simulator,
    beating: JoinHandle<()>,
}

impl Cluster {
    pub async fn start(plan: Plan) -> Self {
        let steps = Steps::new();
        let simulator = Simulator::start(Options {
            pace: Pace::Stepped(steps.clone()),
            scenario: plan.scenario,
            journal: true,
            ..Options::default()
        });
        let simulator = simulator.await.unwrap();
        let prompter = Simulator::start(Options {
            pace: Pace::Instant,
            ..Options::default()
        });
        let prompter = prompter.await.unwrap();
        let beating = tokio::spawn(beat(plan.beat, steps, simulator.journal().clone()));
        let upstream = Proxy::start(simulator.addr()).await;
        let endpoint = format!("http://{}", upstream.addr());
        let (redis, wire) = if plan.shared {
            let redis = Redis::start().await;
            // As one that has served for a while. In an empty one every claim of a key would wait until all
            // replicas had time to restore theirs, and the fault would strike before the first reply.
            redis.command(&["SET", "rasta:settled", "1"]).await;
            let wire = Proxy::start(redis.addr()).await;
            (Some(redis), Some(wire))
        } else {
            (None, None)
        };
        let redis_url = wire.as_ref().map(|wire| format!("redis://{}", wire.addr()));
        let mut settings = vec![
            ("AZURE_OPENAI_ENDPOINT", endpoint.as_str()),
            ("AZURE_OPENAI_DEPLOYMENT", "any"),
            ("AZURE_OPENAI_API_KEY", "canary-key-5f1c"),
            ("MAX_OUTPUT_TOKENS", DELTAS),
            ("PING_SECONDS", "1"),
            ("WORKERS", "1"),
        ];
        settings.extend(redis_url.as_ref().map(|url| ("REDIS_URL", url.as_str())));
        let log = std::env::var("FAULT_LOG").ok();
        settings.extend(log.as_ref().map(|filter| ("RUST_LOG", filter.as_str())));
        settings.extend(plan.settings);
        let (mut replicas, mut doors) = (Vec::new(), Vec::new());
        for _ in 0..plan.replicas {
            let replica = Replica::start(&settings).await;
            doors.push(Proxy::start(replica.addr()).await);
            replicas.push(replica);
        }
        Self {
            replicas,
            doors,
            redis,
            wire,
            upstream,
            simulator,
            prompter,
            beating,
        }
    }

    /// Where viewers come in.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(Proxy::addr).collect()
    }

    pub fn journal(&self) -> Journal {
        self.simulator.journal().clone()
    }

    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("the plan has no Redis")
    }

    pub fn wire(&self) -> &Proxy {
        self.wire.as_ref().expect("the plan has no Redis")
    }

    /// All that the simulator says to a prompt: the request that a replica made of it is made again, to a
    /// simulator that answers whole.
    pub async fn sent(&self, prompt: &str) -> Option<String> {
        let records = self.journal().records();
        let (path, mut body) = records.iter().find_map(|record| match &record.event {
            JournalEvent::Request {
                path_and_query,
                body,
                ..
            } if asks(body, prompt) => {
                let body: Value = serde_json::from_slice(body).unwrap();
                Some((path_and_query.clone(), body))
            }
            _ => None,
        })?;
        let request = body.as_object_mut().unwrap();
        request.remove("stream_options");
        request.insert("stream".to_owned(), json!(false));
        let headers = [("api-key", "any"), ("Content-Type", "application/json")];
        let (addr, body) = (self.prompter.addr(), body.to_string());
        let (_, answer) = ask(addr, "POST", &path, &headers, &body).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let text = answer["choices"][0]["message"]["content"].as_str();
        Some(text.unwrap_or_else(|| panic!("{answer}")).to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Whether a request to upstream asks this.
pub fn asks(body: &[u8], prompt: &str) -> bool {
    serde_json::from_slice(body).is_ok_and(|body: Value| {
        let messages = body["messages"].as_array();
        messages.is_some_and(|messages| messages.iter().any(|m| m["content"] == prompt))
    })
}

/// Lets each open stream have one frame at a time.
async fn beat(every: Duration, steps: Steps, journal: Journal) {
    let mut beats = tokio::time::interval(every);
    loop {
        beats.tick().await;
        steps.release(journal.open());
    }
}
