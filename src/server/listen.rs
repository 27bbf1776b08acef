//! The listening socket, and what actix does with each connection on it.
//!
//! [`actix_web::HttpServer`] takes only plain connections of its own. This is the same in a form that
//! puts a [`Connection`] with deadlines between the socket and HTTP.

use std::{io, net::SocketAddr, time::Duration};

use actix_http::{HttpService, Request, Response, error::DispatchError};
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::AppConfig,
    rt::net::TcpStream,
};
use socket2::{Domain, Protocol as Transport, Socket, Type};
use tokio_rustls::TlsAcceptor;

use super::{descriptors::Descriptors, sockets, stream::Stream};
use crate::{
    connection::{Connection, KEEP_ALIVE_TIMEOUT, Pool, Protocol, REQUEST_HEAD_TIMEOUT},
    routes::LocalAddress,
};

/// Connections that the kernel accepts before this process does.
const BACKLOG: i32 = 1024;
/// How long connections may take to close when the workers stop. Viewers read the `end`, and idle
/// connections are noticed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may take to close once actix has decided to close it.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Binds the address. As most servers, it takes an address over whose last connections are still
/// closing.
pub(super) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(addr),
        Type::STREAM,
        Some(Transport::TCP),
    )?;
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Starts the workers.
pub(super) fn serve<F, I, S, B>(
    listener: std::net::TcpListener,
    workers: usize,
    descriptors: Descriptors,
    tls: Option<TlsAcceptor>,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error>,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    let builder: ServerBuilder = Server::build()
        .workers(workers)
        .max_concurrent_connections(descriptors.accepted_per_worker())
        .shutdown_timeout(CLOSE_TIMEOUT.as_secs())
        // The program handles signals. Actix's own handling would stop its whole system.
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let builder = builder.listen("http", listener, move || {
        let pool = Pool::new(descriptors.connections_per_worker());
        let stopping = stopping.clone();
        let app = app()
            .into_factory()
            .map_err(|error| -> Response<BoxBody> { error.into().into() });
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE_TIMEOUT)
            .client_request_timeout(REQUEST_HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // Otherwise the server notices that a viewer has left only when it sends something.
            .h1_allow_half_closed(false)
            .on_connect_ext(|stream: &Stream, data| {
                let connection = stream.connection();
                data.insert(connection.activity().clone());
                if let Ok(address) = connection.get_ref().local_addr() {
                    data.insert(LocalAddress(address.ip()));
                }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let tls = tls.clone();
        fn_service(move |socket: TcpStream| {
            sockets::configure(&socket);
            let peer = socket.peer_addr().ok();
            let opening = Stream::open(Connection::new(socket, &pool), tls.clone());
            async move {
                let stream = opening.await.map_err(DispatchError::Io)?;
                let protocol = match stream.connection().activity().protocol() {
                    Protocol::Http1 => actix_http::Protocol::Http1,
                    Protocol::Http2 => actix_http::Protocol::Http2,
                };
                Ok((stream, protocol, peer))
            }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}
