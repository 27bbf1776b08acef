//! Azure OpenAI on a loopback port: the default upstream, the demo, and the test double.
//!
//! It speaks Azure's wire format over real sockets, replies in rhyming verse about the prompt, and
//! plays every known fault of Azure by name. A request passes through `http` and `gateway`, which
//! plans a response with `refusal`, `script` or `non_streaming`. `connection` then executes the plan
//! at its `pace` and records it in the `journal`.
//!
//! It is a server of its own, without actix: no HTTP server would send these faults. It knows nothing
//! of the rest of the crate.

mod scenario;
mod http;
mod limits;
mod parameters;
mod refusal;
mod fields;
mod refused;
mod route;
mod pace;
mod response;
mod verse;
mod reply;
mod failure;
mod wire;
mod frames;
mod stamp;
mod script;
mod non_streaming;
mod chat;
mod responses;
mod gateway;
mod journal;
mod connection;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use gateway::Gateway;
use limits::RateLimiter;

pub use journal::{Journal, JournalEvent, Record};
pub use limits::Limits;
pub use pace::{Pace, Steps};
pub use scenario::{Group, Scenario, UnknownScenario};

/// The most connections served at a time; more wait in the listener's queue.
const CONNECTION_LIMIT: usize = 16_384;

/// The pause after a failed accept, which usually means that no file descriptor is free.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The settings of a simulator.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free port.
    pub addr: SocketAddr,
    /// The only accepted key. Without it, every request needs a key, and any key is accepted.
    pub key: Option<String>,
    /// The deployments that exist; if empty, every name exists. A deployment called `sim-NAME` exists
    /// if there is a scenario of that name, and plays it.
    pub deployments: Vec<String>,
    /// The pace of streams.
    pub pace: Pace,
    /// The scenario of all requests, whatever their deployment is called.
    pub scenario: Option<Scenario>,
    /// What each deployment accepts in a minute; requests beyond it get Azure's 429.
    pub limits: Limits,
    /// Whether the journal keeps records: complete requests, in memory, for tests.
    pub journal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            key: None,
            deployments: Vec::new(),
            pace: Pace::Real,
            scenario: None,
            limits: Limits::default(),
            journal: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("addr", &self.addr)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("deployments", &self.deployments)
            .field("pace", &self.pace)
            .field("scenario", &self.scenario)
            .field("limits", &self.limits)
            .field("journal", &self.journal)
            .finish()
    }
}

/// A running simulator. Dropping it stops it and cuts every connection.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    journal: Journal,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Starts a simulator on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// The address cannot be bound. The error does not name it; the caller should.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.addr).await?;
        let addr = listener.local_addr()?;
        let journal = Journal::new(options.journal);
        let gateway = Gateway {
            key: options.key,
            deployments: options.deployments,
            scenario: options.scenario,
            limiter: RateLimiter::new(options.limits),
            pace: options.pace,
            ..Gateway::default()
        };
        let accepting = tokio::spawn(accept(listener, Arc::new(gateway), journal.clone()));
        Ok(Self {
            addr,
            journal,
            accepting,
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint to configure in a client: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        // The unspecified address is one to listen on, not one to connect to.
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{addr}")
    }

    /// What has happened so far; empty unless [`Options::journal`] is set.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The task owns the listener and all connections, which are dropped with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, gateway: Arc<Gateway>, journal: Journal) {
    let mut connections = JoinSet::new();
    let mut accepted: u64 = 0;
    loop {
        tokio::select! {
            incoming = listener.accept(), if connections.len() < CONNECTION_LIMIT => match incoming {
                Ok((stream, _)) => {
                    accepted += 1;
                    let (id, gateway) = (accepted, Arc::clone(&gateway));
                    let journal = journal.clone();
                    connections.spawn(async move {
                        connection::serve(stream, id, &gateway, &journal).await;
                    });
                }
                Err(error) => {
                    log::warn!("simulator: accept failed: {error}");
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
