//! Azure OpenAI on a loopback port: the embedded default upstream, the demo, the test double.
//!
//! It speaks Azure's wire over real sockets, replies in rhyming verse about the prompt,
//! and plays by name every fault that Azure has been seen to have. A request goes
//! `http` → `answer` (refusal, `script` or `whole`) → `performance`, which `connection`
//! plays at its `pace` and records in its `journal`.
//!
//! It is a server of its own, without actix: the faults are ones that no HTTP server would
//! write. It knows nothing of the rest of the crate.

mod answer;
mod body;
mod connection;
mod http;
mod journal;
mod limits;
mod pace;
mod peculiar;
mod performance;
mod refusal;
mod scenario;
mod script;
mod tape;
mod verse;
mod whole;
mod wire;

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

pub use journal::{Journal, JournalEvent, Record};
pub use limits::Limits;
pub use pace::{Pace, Steps};
pub use scenario::{Scenario, UnknownScenario};

/// Connections served at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 16_384;

/// How long to wait after a failed accept, which mostly means: no file descriptor is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How a simulator is set up.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// The only key that is accepted; without it any key is, except none.
    pub key: Option<String>,
    /// The deployments that exist; if empty, any name does. Those called `sim-NAME` always
    /// exist if there is a scenario of that name, and play it.
    pub deployments: Vec<String>,
    /// How fast streams are.
    pub pace: Pace,
    /// The scenario that all requests get, whatever their deployment is called.
    pub scenario: Option<Scenario>,
    /// What each deployment admits in a minute; who comes more often gets Azure's 429.
    pub limits: Limits,
    /// Whether the journal keeps records: whole requests, in memory, for tests.
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
    /// The address cannot be listened on; tell the user which it was.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.addr).await?;
        let addr = listener.local_addr()?;
        let journal = Journal::new(options.journal);
        let desk = answer::Desk {
            key: options.key,
            deployments: options.deployments,
            scenario: options.scenario,
            ledger: limits::Ledger::new(options.limits),
            ..answer::Desk::default()
        };
        let accepting = tokio::spawn(accept(
            listener,
            Arc::new(desk),
            options.pace,
            journal.clone(),
        ));
        Ok(Self {
            addr,
            journal,
            accepting,
        })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the endpoint to configure in a client: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        // "Any address" is one to listen on, not one to connect to.
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{addr}")
    }

    /// Returns what happened so far; empty unless [`Options::journal`] is set.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The task owns the listener and all connections, which go with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, desk: Arc<answer::Desk>, pace: Pace, journal: Journal) {
    let mut connections = JoinSet::new();
    let mut accepted: u64 = 0;
    loop {
        tokio::select! {
            incoming = listener.accept(), if connections.len() < MAX_CONNECTIONS => match incoming {
                Ok((stream, _)) => {
                    accepted += 1;
                    let (id, desk) = (accepted, Arc::clone(&desk));
                    let (pace, journal) = (pace.clone(), journal.clone());
                    connections.spawn(async move {
                        connection::serve(stream, id, &desk, pace, &journal).await;
                    });
                }
                Err(error) => {
                    log::warn!("simulator: accept failed: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
