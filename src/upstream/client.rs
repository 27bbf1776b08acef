//! HTTP towards upstream and towards Entra. With `failure` below it, this is what knows awc.
//!
//! awc's traps, each measured, and what is done about them: a default timeout that cuts a slow
//! first token (off; callers bound each phase), a pool that hands one user's response to the next
//! (each connection serves one request), redirects that carry the `api-key` to another host (none is
//! followed), a limit of 100 connections per worker (off; the store bounds the number of replies), and
//! a response head that stays in memory as long as the body (dropped). What it reads wrongly on a
//! connection is put right below it, by [`transport`](super::transport).
//!
//! This module knows nothing of Azure, of credentials or of JSON.

mod failure;

use std::{
    fmt, io,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

use actix_tls::connect::{ConnectError as NoConnection, ConnectInfo, Connection};
// awc exports none of these by a name of its own.
use actix_web::{
    HttpMessage as _,
    dev::{Service, always_ready},
    rt::net::{ActixStream, Ready},
};
pub(super) use awc::http::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use awc::{ClientResponse, Connector, http::Uri};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, TryStreamExt as _, future::LocalBoxFuture};

use self::failure::{body_cause, connection_fault};
use super::{
    cause::Cause,
    fault::Fault,
    transport::{BoxedIo, Network, ResponseStream, Security, Target},
};

/// Longer than all steps of a connection together. Each has a limit of its own, whose fault says more.
const ALL_STEPS_TIMEOUT: Duration = Duration::from_secs(60);

/// An HTTP client, bound to the thread that made it.
#[derive(Clone)]
pub(super) struct Client {
    /// For `http` URLs.
    plain: awc::Client,
    /// For `https` URLs. awc is told `http` as well, or it would do TLS itself.
    tls: awc::Client,
}

impl Client {
    pub(super) fn new(network: &Network) -> Self {
        let client = |security| {
            let connections = Connections {
                network: network.clone(),
                security,
            };
            let connector = Connector::new()
                .connector(connections)
                .limit(0)
                .timeout(ALL_STEPS_TIMEOUT);
            awc::Client::builder()
                .connector(connector)
                .disable_timeout()
                .disable_redirects()
                .finish()
        };
        Self {
            plain: client(Security::Plain),
            tls: client(Security::Tls),
        }
    }

    /// Sends one request on a connection of its own. Resolves with the response's head; the caller
    /// bounds the time.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if the connection fails before the head is complete, whatever the layer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Response, Fault> {
        let mut request = match url.strip_prefix("https:") {
            Some(rest) => self.tls.request(method, format!("http:{rest}")),
            None => self.plain.request(method, url),
        }
        .force_close();
        for header in headers {
            request = request.insert_header(header);
        }
        match request.send_body(body).await {
            Ok(response) => Ok(Response(response)),
            Err(error) => Err(connection_fault(&error)),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Where awc gets its connections.
#[derive(Clone)]
struct Connections {
    network: Network,
    security: Security,
}

impl Service<ConnectInfo<Uri>> for Connections {
    type Response = Connection<Uri, ResponseStream<BoxedIo>>;
    type Error = NoConnection;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    always_ready!();

    fn call(&self, wanted: ConnectInfo<Uri>) -> Self::Future {
        let network = self.network.clone();
        let url = wanted.request().clone();
        let target = Target::new(self.security, wanted.hostname(), url.port_u16());
        async move {
            let connected = network.connect(&target).await;
            let connected =
                connected.map_err(|failure| NoConnection::Io(io::Error::other(failure)));
            Ok(Connection::new(url, connected?))
        }
        .boxed_local()
    }
}

/// awc demands it and reads and writes without asking for readiness.
impl ActixStream for ResponseStream<BoxedIo> {
    fn poll_read_ready(&self, _: &mut task::Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }

    fn poll_write_ready(&self, _: &mut task::Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }
}

/// A response whose head has been read.
pub(super) struct Response(ClientResponse);

impl Response {
    pub(super) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The header's first value, if it is ASCII text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// All headers whose values are ASCII text.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// The whole body, which may have `limit` bytes at most.
    ///
    /// # Errors
    ///
    /// Why it could not be read: it is longer, or the connection failed.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, Cause> {
        let body = self.0.body().limit(limit).await;
        body.map_err(|error| body_cause(&error))
    }

    /// The body as it comes in. Drops the head, whose buffers would live as long as the reply.
    pub(super) fn into_body(mut self) -> Body {
        Body::new(self.0.take_payload().map_err(|error| body_cause(&error)))
    }
}

/// The bytes of a response. An item is one transfer chunk of HTTP, however the socket was read.
pub(super) struct Body(Pin<Box<dyn Stream<Item = Result<Bytes, Cause>>>>);

impl Body {
    pub(super) fn new(bytes: impl Stream<Item = Result<Bytes, Cause>> + 'static) -> Self {
        Self(Box::pin(bytes))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Cause>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
