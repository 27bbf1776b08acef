//! Wiring: what all workers share, what each has for itself, and how the server ends.
//!
//! Shared are the store and the settings; each worker has its own client to upstream, since awc's is
//! bound to its thread. On shutdown the server drains and answers meanwhile; only then do the workers
//! stop: left to itself actix counts connections and not tasks, and would cut replies that nobody is
//! just then reading.

use std::{any::Any, fmt, io, net::SocketAddr, rc::Rc, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::Extensions,
    middleware::from_fn,
    rt::net::TcpStream,
    web::{Data, ThinData},
};
use actix_web_lab::middleware::CatchPanic;
use futures_util::future::LocalBoxFuture;
use log::{info, warn};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    config::{Config, UpstreamConfig},
    routes::{self, NoIndex, Page, Service},
    shutdown::{self, DrainSignal, Topology},
    simulator::{self, Simulator},
    store::Store,
    upstream::{
        Credential, DeploymentOptions, DeploymentStates, Identity, Tls, Upstream,
        endpoint::{self, EndpointError, EndpointKind},
    },
};

/// How long a client may leave sent data unacknowledged. There is no other write time-out: a viewer
/// that never reads would hold its connection for ever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much the kernel takes for a client beyond what is on its way to it. Left to itself it takes
/// megabytes for one that does not read: memory that nobody sees, until all connections suffer.
const UNSENT: u32 = 64 * 1024;
/// Longer than the idle time-outs of the proxies before us, so that it is they who close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Stops a client that sends its request head a byte at a time.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For each worker. Stops connections from using up the process's file descriptors unnoticed.
const MAX_CONNECTIONS: usize = 20_000;
/// How long connections may then take to close, in whole seconds: viewers read the end, and the idle
/// ones are noticed.
const CLOSE_TIMEOUT_SECONDS: u64 = 3;

/// Why the server did not start. Displayed in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {0} ({1}): set HOST and PORT to a free address, or stop what uses it"
    )]
    Listen(SocketAddr, io::Error),
    /// STATIC_DIR is not the page's folder.
    #[error("{0}: set STATIC_DIR to the folder of the page, or unset it to use the built-in page")]
    Page(#[from] NoIndex),
    /// Redis is configured, but cannot be used.
    #[error(
        "cannot use Redis at {0} ({1}): start it, correct REDIS_URL, or unset it to keep replies in memory"
    )]
    Redis(String, String),
    /// The embedded simulator could not listen.
    #[error(
        "the built-in simulator cannot listen on a loopback port ({0}): allow it, or configure Azure OpenAI"
    )]
    Simulator(io::Error),
    /// The simulator's own address, or TLS.
    #[error("the connection to upstream cannot be prepared ({0}): please report this")]
    Upstream(String),
}

impl From<EndpointError> for StartError {
    fn from(error: EndpointError) -> Self {
        Self::Upstream(error.to_string())
    }
}

/// A server that listens.
pub struct Server {
    addr: SocketAddr,
    actix: actix_web::dev::Server,
    service: Data<Service>,
    patience: Duration,
    simulator: Option<Simulator>,
    shutdown: LocalBoxFuture<'static, ()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the address and starts the workers. The server ends in good order once `shutdown`
    /// resolves.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(
        config: Config,
        shutdown: impl Future<Output = ()> + 'static,
    ) -> Result<Self, StartError> {
        let page = Page::open(config.static_dir.clone())?;
        let (deployments, simulator, name) = upstream(&config).await?;
        let store = match &config.replication {
            Some(redis) => Store::connect(config.store.clone(), redis)
                .await
                .map_err(|cause| StartError::Redis(redis.address(), cause))?,
            None => Store::in_memory(config.store.clone()),
        };
        let service = Data::new(Service {
            store,
            limits: config.limits.clone(),
            ping: config.ping_interval,
            provider: name,
            drain: DrainSignal::default(),
        });
        let tls = Tls::new().map_err(|error| StartError::Upstream(error.to_string()))?;
        // One for all workers, so that they share its token.
        let identity = config
            .identity
            .as_ref()
            .map(|identity| Identity::start(identity, &tls))
            .transpose()
            .map_err(|error| StartError::Upstream(error.to_string()))?;
        let model = config.model;
        let target = deployments.first().map(|first| first.endpoint.url.origin());
        let states = DeploymentStates::new(deployments.len());
        let count = deployments.len();

        let shared = service.clone();
        let server = HttpServer::new(move || {
            let upstream = Upstream::new(&deployments, &model, &tls, &states, identity.as_ref());
            App::new()
                .app_data(shared.clone())
                .app_data(ThinData(Rc::new(upstream)))
                .wrap(CatchPanic::default())
                .wrap(from_fn(routes::problems_only))
                .wrap(routes::default_headers())
                .configure(|app| routes::configure(app, &page))
        })
        .workers(config.workers)
        .on_connect(limit_unacknowledged)
        .max_connections(MAX_CONNECTIONS)
        .tcp_nodelay(true)
        // Otherwise a viewer that closes its connection is noticed only when something is sent.
        .h1_allow_half_closed(false)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(CLOSE_TIMEOUT_SECONDS)
        // Signals are the program's; and actix's own handling of them would stop its whole system.
        .disable_signals()
        .bind(config.listen)
        .map_err(|error| StartError::Listen(config.listen, error))?;
        let addr = server.addrs().first().copied().unwrap_or(config.listen);
        info!(
            url = page_url(addr).as_str(), upstream = name, deployments = count,
            first = target.map(|origin| origin.ascii_serialization()).as_deref();
            "listening"
        );
        if name == "simulator" {
            warn!("no Azure OpenAI is configured: the built-in simulator answers");
        }
        Ok(Self {
            addr,
            actix: server.run(),
            service,
            patience: config.drain_timeout,
            simulator,
            shutdown: Box::pin(shutdown),
        })
    }

    /// Where it listens; tells the port that the system chose.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What its workers share.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Serves until the shutdown is over.
    ///
    /// # Errors
    ///
    /// If the workers could not be stopped.
    pub async fn run(self) -> io::Result<()> {
        let Self {
            actix,
            service,
            patience,
            simulator,
            shutdown,
            ..
        } = self;
        let handle = actix.handle();
        let Service { store, drain, .. } = &**service;
        let end = async {
            shutdown.await;
            let topology = Topology::of(store);
            // A closure, since actix stops the workers as soon as `stop` is called.
            let stop_workers = async || handle.stop(true).await;
            shutdown::run(store, drain, topology, patience, stop_workers).await;
            // The server itself then resolves.
            std::future::pending::<()>().await;
        };
        let served = tokio::select! {
            served = actix => served,
            () = store.sweep() => Ok(()),
            () = end => Ok(()),
        };
        drop(simulator);
        info!("stopped");
        served
    }
}

/// Who answers: what is configured, or a simulator that is started for it.
async fn upstream(
    config: &Config,
) -> Result<(Vec<DeploymentOptions>, Option<Simulator>, &'static str), StartError> {
    match &config.upstream {
        UpstreamConfig::Deployments(deployments) => {
            let azure = deployments
                .iter()
                .any(|d| d.endpoint.kind == EndpointKind::Azure);
            let name = if azure { "azure" } else { "compatible" };
            Ok((deployments.clone(), None, name))
        }
        UpstreamConfig::Simulator => {
            // A key of its own: nobody else on this machine gets answers from it.
            let key = Uuid::new_v4().to_string();
            let options = simulator::Options {
                key: Some(key.clone()),
                ..simulator::Options::default()
            };
            let simulator = Simulator::start(options)
                .await
                .map_err(StartError::Simulator)?;
            let endpoint = endpoint::resolve(&simulator.url(), Some("simulator"), None)?;
            let deployment = DeploymentOptions {
                endpoint,
                credential: Credential::Key(SecretString::from(key)),
            };
            Ok((vec![deployment], Some(simulator), "simulator"))
        }
    }
}

fn limit_unacknowledged(io: &dyn Any, _: &mut Extensions) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = io.downcast_ref::<TcpStream>() {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            warn!(error:% = error; "a connection has no write time-out");
        }
        if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT) {
            warn!(error:% = error; "a connection has no bound on what is not sent");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (io, TCP_USER_TIMEOUT, UNSENT);
}

fn page_url(addr: SocketAddr) -> String {
    let host = match addr.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{host}:{}/", addr.port())
}
