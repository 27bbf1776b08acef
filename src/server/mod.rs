//! Wiring: what all workers share, what each has for itself, and how the server ends.
//!
//! The workers share the store and the settings. Each has its own client to upstream, since awc's is
//! bound to its thread. On shutdown the server first drains, and the workers stop last: actix by
//! itself waits for connections and not for tasks, so it would cut every reply that has no reader at
//! that moment.

mod error;
mod backend;
mod sockets;
mod stream;
mod descriptors;
mod listen;
mod page_url;

use std::{fmt, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    App,
    middleware::from_fn,
    web::{Data, ThinData},
};
use actix_web_lab::middleware::CatchPanic;
use futures_util::future::LocalBoxFuture;
use log::{info, warn};
use tokio::time::timeout;

pub use self::error::StartError;
use self::{backend::Backend, descriptors::Descriptors, page_url::page_url};
use crate::{
    config::Config,
    connection::Certificates,
    guard::{Guard, OpenToAll},
    routes::{self, Bodies, Page, Provider, Service, Snapshots},
    shutdown::{self, DrainSignal, Topology},
    simulator::Simulator,
    store::{self, Store},
    upstream::{DeploymentStates, Identity, Network, Proxies, Upstream},
};

/// How long the workers may take to stop. A worker that is stuck, as in a file of a folder on a server
/// that is away, would keep the program.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that listens.
pub struct Server {
    addr: SocketAddr,
    actix: actix_web::dev::Server,
    metrics: Option<actix_web::dev::Server>,
    service: Data<Service>,
    certificates: Option<Arc<Certificates>>,
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
    /// Binds the address and starts the workers. Once `shutdown` resolves, the server shuts down
    /// gracefully.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(
        config: Config,
        shutdown: impl Future<Output = ()> + 'static,
    ) -> Result<Self, StartError> {
        let guard = Guard::new(config.guard.clone(), config.listen.ip());
        let guard = Arc::new(guard.map_err(|OpenToAll| StartError::OpenToAll(config.listen))?);
        let page = Page::open(config.static_dir.clone())?;
        let Backend {
            provider,
            deployments,
            simulator,
        } = Backend::start(&config.upstream).await?;
        // A simulator in this process has the other ends of the connections to upstream.
        let per_reply = if simulator.is_some() { 2 } else { 1 };
        let descriptors = Descriptors::raise(config.workers, per_reply);
        let mut options = config.store.clone();
        options.max_running = descriptors.replies();
        let max_replies = options.max_replies;
        let service = Data::new(Service {
            store: store(options, config.replication.as_ref()).await?,
            guard,
            bodies: Bodies::default(),
            snapshots: Snapshots::default(),
            limits: config.limits.clone(),
            ping: config.ping_interval,
            provider,
            drain: DrainSignal::default(),
        });
        let network = Network::new(&config.network)
            .map_err(|error| StartError::Upstream(error.to_string()))?;
        // One for all workers, so that they share its tokens.
        let identity = config
            .identity
            .as_ref()
            .map(|identity| Identity::start(identity, &network))
            .transpose()
            .map_err(|error| StartError::Upstream(error.to_string()))?;
        let model = config.model;
        let states = DeploymentStates::new(deployments.len());
        let count = deployments.len();
        let first = deployments.first().map(|first| first.endpoint.origin());

        let (shared, hsts) = (service.clone(), config.hsts);
        let app = move || {
            let upstream =
                Upstream::new(&deployments, &model, &network, &states, identity.as_ref());
            App::new()
                .app_data(shared.clone())
                .app_data(ThinData(Rc::new(upstream)))
                .wrap(routes::cors(shared.guard.origins()))
                .wrap(from_fn(routes::gate))
                .wrap(CatchPanic::default())
                .wrap(from_fn(routes::problems_only))
                // Around everything that answers.
                .wrap(from_fn(routes::tied_to_connection))
                .wrap(routes::default_headers(hsts))
                .wrap(from_fn(routes::openai_errors))
                .wrap(from_fn(routes::identified))
                .configure(|app| routes::configure(app, &page))
        };
        let certificates = config
            .tls
            .map(Certificates::load)
            .transpose()?
            .map(Arc::new);
        let tls = certificates
            .as_ref()
            .map(|certificates| certificates.acceptor());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let refused = |error| StartError::Listen(config.listen, error);
        let listener = listen::bind(config.listen).map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        let server =
            listen::serve(listener, config.workers, descriptors, tls, app).map_err(refused)?;
        let metrics = config
            .metrics
            .map(|addr| {
                metrics_server(addr, &service, descriptors)
                    .map_err(|error| StartError::Listen(addr, error))
            })
            .transpose()?;
        info!(
            url = page_url(scheme, addr).as_str(), upstream = provider.name(), deployments = count,
            first = first.as_deref();
            "listening"
        );
        if let Some(address) = config.metrics {
            info!(address:% = address; "Prometheus may ask for figures");
        }
        descriptors.warn_if_few(max_replies);
        let Proxies { https, http, .. } = &config.network.proxies;
        if https.is_some() || http.is_some() {
            let [https, http] = [https, http].map(|proxy| proxy.as_ref().map(ToString::to_string));
            info!(
                https = https.as_deref(), http = http.as_deref();
                "upstream is reached through proxies"
            );
        }
        if provider == Provider::Simulator {
            warn!("no Azure OpenAI is configured: the built-in simulator answers");
        }
        Ok(Self {
            addr,
            actix: server,
            metrics,
            service,
            certificates,
            patience: config.drain_timeout,
            simulator,
            shutdown: Box::pin(shutdown),
        })
    }

    /// The address that it listens on, with the port that the system chose for port 0.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What reads its files again: access tokens and certificates.
    pub fn reload(&self) -> impl Fn() + Send + Sync + Clone + 'static {
        let (guard, certificates) = (Arc::clone(&self.service.guard), self.certificates.clone());
        move || {
            guard.reload();
            if let Some(certificates) = &certificates {
                certificates.reload();
            }
        }
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
            metrics,
            service,
            certificates,
            patience,
            simulator,
            shutdown,
            ..
        } = self;
        let handle = actix.handle();
        let Service {
            store,
            guard,
            drain,
            ..
        } = &**service;
        let end = async {
            shutdown.await;
            let topology = Topology::of(store);
            // A closure, since actix stops the workers as soon as `stop` is called.
            let stop_workers = async || {
                if timeout(STOP_TIMEOUT, handle.stop(true)).await.is_err() {
                    warn!("a worker is stuck and does not stop: the program ends without it");
                }
            };
            shutdown::run(store, drain, topology, patience, stop_workers).await;
        };
        let metrics = async {
            match metrics {
                Some(server) => server.await,
                None => std::future::pending().await,
            }
        };
        let served = tokio::select! {
            served = actix => served,
            served = metrics => served,
            () = store.sweep() => Ok(()),
            () = guard.watch() => Ok(()),
            () = watched(certificates) => Ok(()),
            () = end => Ok(()),
        };
        drop(simulator);
        info!("stopped");
        served
    }
}

async fn watched(certificates: Option<Arc<Certificates>>) {
    match certificates {
        Some(certificates) => certificates.watch().await,
        None => std::future::pending().await,
    }
}

/// A server for the figures alone.
fn metrics_server(
    addr: SocketAddr,
    service: &Data<Service>,
    descriptors: Descriptors,
) -> io::Result<actix_web::dev::Server> {
    let listener = listen::bind(addr)?;
    let service = service.clone();
    let app = move || {
        App::new()
            .app_data(service.clone())
            .wrap(from_fn(routes::tied_to_connection))
            .wrap(routes::default_headers(None))
            .service(routes::metrics_resource())
    };
    listen::serve(listener, 1, descriptors, None, app)
}

async fn store(
    options: store::Options,
    replication: Option<&store::ReplicationOptions>,
) -> Result<Store, StartError> {
    match replication {
        Some(redis) => Store::connect(options, redis)
            .await
            .map_err(|cause| StartError::Redis(redis.address(), cause)),
        None => Ok(Store::in_memory(options)),
    }
}
