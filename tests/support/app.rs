//! Starts everything on free ports: a server, and a simulator that it asks.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rasta_stream::{
    config::{Config, UpstreamConfig},
    guard::{Clock, Guard},
    server::Server,
    shutdown::DrainSignal,
    simulator::{JournalEvent, Options, Pace, Record, Simulator, Steps},
    store::{Log, Store},
    upstream::{DeploymentOptions, endpoint},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    client::{self, Response, soon},
    limits,
};

/// A server under test. Dropping it stops it.
pub struct TestApp {
    pub addr: SocketAddr,
    pub store: Store,
    pub drain: DrainSignal,
    pub guard: Arc<Guard>,
    pub simulator: Simulator,
    pub steps: Steps,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

/// How a [`TestApp`] differs from the plain one: instant, one worker, the default settings.
pub struct Setup<'a> {
    pub pace: Option<Pace>,
    /// `sim-NAME` plays a scenario.
    pub deployment: &'a str,
    pub endpoint: Option<String>,
    /// Further deployments, by their names.
    pub more: &'a [&'a str],
    pub flags: &'a [&'a str],
    /// By which sessions end and limits are renewed.
    pub clock: Clock,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            pace: Some(Pace::Instant),
            deployment: "any",
            endpoint: None,
            more: &[],
            flags: &[],
            clock: Clock::default(),
        }
    }
}

pub async fn spawn_app() -> TestApp {
    spawn_app_with(Setup::default()).await
}

/// Every upstream frame waits for `app.steps.release`.
pub async fn spawn_stepped(flags: &[&str]) -> TestApp {
    spawn_app_with(Setup {
        pace: None,
        flags,
        ..Setup::default()
    })
    .await
}

/// Upstream plays a scenario.
pub async fn spawn_scenario(name: &str, flags: &[&str]) -> TestApp {
    let deployment = &format!("sim-{name}");
    spawn_app_with(Setup {
        deployment,
        flags,
        ..Setup::default()
    })
    .await
}

pub async fn spawn_app_with(setup: Setup<'_>) -> TestApp {
    let steps = Steps::new();
    let pace = setup.pace.unwrap_or_else(|| Pace::Stepped(steps.clone()));
    let options = Options {
        pace,
        journal: true,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let endpoint = setup.endpoint.unwrap_or_else(|| simulator.url());
    let mut flags = vec![
        "--port=0",
        "--workers=1",
        "--azure-openai-api-key=k",
        "--azure-openai-endpoint",
        &endpoint,
        "--azure-openai-deployment",
        setup.deployment,
    ];
    let unlimited = limits::UNLIMITED.map(|(name, number)| limits::flag(name, number));
    flags.extend(unlimited.iter().map(String::as_str));
    flags.extend(setup.flags);
    let mut config = Config::from_flags(flags).unwrap();
    config.guard.clock = setup.clock;
    if let UpstreamConfig::Deployments(deployments) = &mut config.upstream {
        for name in setup.more {
            let endpoint = endpoint::resolve(&endpoint, Some(name), None).unwrap();
            deployments.push(DeploymentOptions {
                endpoint,
                credential: deployments[0].credential.clone(),
                api: deployments[0].api,
            });
        }
    }
    let (shutdown, asked) = oneshot::channel::<()>();
    let server = Server::start(config, async {
        // An error is a dropped sender: the test is over.
        let _ = asked.await;
    })
    .await
    .unwrap();
    let addr = server.addr();
    let service = server.service();
    let (store, drain) = (service.store.clone(), service.drain.clone());
    let guard = Arc::clone(&service.guard);
    let server = actix_web::rt::spawn(server.run());
    TestApp {
        addr,
        store,
        drain,
        guard,
        simulator,
        steps,
        shutdown: Some(shutdown),
        server,
    }
}

impl TestApp {
    pub async fn get(&self, path: &str) -> Response {
        client::send(self.addr, "GET", path, &[], None).await
    }

    pub async fn delete(&self, path: &str) -> Response {
        client::send(self.addr, "DELETE", path, &[], None).await
    }

    pub async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> Response {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        client::send(
            self.addr,
            "POST",
            "/v1/replies",
            &all,
            Some(&body.to_string()),
        )
        .await
    }

    /// Starts a reply; gives its path.
    pub async fn start(&self, prompt: &str) -> String {
        let response = self.post(&json!({"prompt": prompt}), &[]).await;
        assert_eq!(response.status, 201);
        response.header("location").unwrap().to_owned()
    }

    /// Starts a reply whose events come in the answer.
    pub async fn stream(&self, prompt: &str) -> Response {
        let body = json!({"prompt": prompt});
        let response = self.post(&body, &[("Accept", "text/event-stream")]).await;
        assert_eq!(response.status, 200);
        response
    }

    /// The events of a reply after a cursor.
    pub async fn events(&self, path: &str, after: u64) -> Response {
        let cursor = after.to_string();
        let headers = [("Last-Event-ID", cursor.as_str())];
        let path = format!("{path}/events");
        let response = client::send(self.addr, "GET", &path, &headers, None).await;
        assert_eq!(response.status, 200);
        response
    }

    pub async fn snapshot(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status, 200);
        response.json().await
    }

    /// Waits until no reply runs: a viewer may read an `end` a moment before the store has counted it.
    pub async fn all_ended(&self) {
        let ended = async {
            while self.store.running() > 0 {
                tokio::task::yield_now().await;
            }
        };
        soon("all replies to end", ended).await;
    }

    /// The log of a reply, by its path.
    pub async fn log(&self, path: &str) -> Log {
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        self.store.find(id).await.unwrap().unwrap()
    }

    /// The method, path and headers of the first request that reached upstream.
    pub fn first_request(&self) -> (String, String, Vec<(String, String)>) {
        match self.simulator.journal().records().remove(0).event {
            JournalEvent::Request {
                method,
                path_and_query,
                headers,
                ..
            } => (method, path_and_query, headers),
            other => panic!("a request comes first, and not {other:?}"),
        }
    }

    /// Waits until upstream has seen what is asked for.
    pub async fn upstream_saw(&self, what: &str, seen: impl FnMut(&[Record]) -> bool) {
        soon(what, self.simulator.journal().wait_for(seen)).await;
    }

    /// Waits until upstream's only client has gone away.
    pub async fn upstream_was_left(&self) {
        self.upstream_saw("the connection to upstream to close", |records| {
            records
                .iter()
                .any(|record| matches!(record.event, JournalEvent::ClientGone))
        })
        .await;
    }

    /// Waits until a request has reached upstream.
    pub async fn upstream_was_asked(&self) {
        self.upstream_saw("a request to upstream", |records| {
            !requests(records).is_empty()
        })
        .await;
    }

    /// Stops the server and waits for it.
    pub async fn shut_down(mut self) {
        self.begin_shutdown();
        self.stopped().await;
    }

    pub fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub async fn stopped(self) {
        soon("the server to stop", self.server)
            .await
            .unwrap()
            .unwrap();
    }
}

/// The bodies of the requests that reached upstream.
pub fn requests(records: &[Record]) -> Vec<Value> {
    records
        .iter()
        .filter_map(|record| match &record.event {
            JournalEvent::Request { body, .. } => Some(serde_json::from_slice(body).unwrap()),
            _ => None,
        })
        .collect()
}

/// An upstream that answers every request with the same bytes and then closes the connection.
/// Gives its address and a count of the connections.
pub async fn spawn_canned(answer: Vec<u8>) -> (SocketAddr, &'static AtomicUsize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let count: &'static AtomicUsize = Box::leak(Box::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                read_request(&mut stream).await;
                // The client may have left.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (addr, count)
}

/// Reads a request to the end of its body.
pub async fn read_request(stream: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncReadExt as _;
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                return;
            }
        }
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// A whole answer under 200 that is delimited by chunks.
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for part in body.chunks(4096) {
        answer.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        answer.extend_from_slice(part);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}
