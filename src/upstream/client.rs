//! HTTP towards upstream and towards Entra: the one file that knows awc.
//!
//! awc's traps, each measured, and what is done about them: a default timeout that cuts a slow
//! first token (off; callers bound each phase), a pool that hands one user's response to the next
//! after an unsolicited 1xx (each connection serves one request), redirects that carry the `api-key`
//! to another host (none is followed), a limit of 100 connections per worker (off; the store bounds
//! the number of replies), and a response head that stays in memory as long as the body (dropped).
//!
//! This module knows nothing of Azure, of credentials or of JSON.

use std::{fmt, pin::Pin, sync::Arc, task, time::Duration};

// awc exports neither of these by a name of its own.
use actix_web::{HttpMessage as _, error::ParseError};
pub(super) use awc::http::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use awc::{
    ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};

use super::{diagnosis::Diagnosis, fault::Fault};
use crate::event::ErrorCode;

/// Bounds the TCP connection, and again its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// TLS settings for connections to upstream. Workers share them, and with them the session cache.
#[derive(Clone, Debug)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl Tls {
    /// Trusts Mozilla's root certificates and offers HTTP/1.1 only: each reply has a socket of its
    /// own, so that closing it stops that reply and no other.
    ///
    /// # Errors
    ///
    /// If the cryptography provider supports none of the protocol versions; ring does.
    pub fn new() -> Result<Self, rustls::Error> {
        let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// An HTTP client, bound to the thread that made it.
#[derive(Clone)]
pub(super) struct Client(awc::Client);

impl Client {
    pub(super) fn new(tls: &Tls) -> Self {
        let connector = Connector::new()
            .limit(0)
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT)
            .rustls_0_23(Arc::clone(&tls.0));
        Self(
            awc::Client::builder()
                .connector(connector)
                .disable_timeout()
                .disable_redirects()
                .finish(),
        )
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
        let mut request = self.0.request(method, url).force_close();
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
    /// What went wrong, if it is longer or the connection fails.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, String> {
        let body = self.0.body().limit(limit).await;
        body.map_err(|error| error.to_string())
    }

    /// The body as it comes. Drops the head, whose buffers would live as long as the reply.
    pub(super) fn into_body(mut self) -> Body {
        Body::new(self.0.take_payload().map_err(|error| error.to_string()))
    }
}

/// The bytes of a response. An item is one transfer chunk of HTTP, however the bytes were read.
pub(super) struct Body(Pin<Box<dyn Stream<Item = Result<Bytes, String>>>>);

impl Body {
    pub(super) fn new(bytes: impl Stream<Item = Result<Bytes, String>> + 'static) -> Self {
        Self(Box::pin(bytes))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, String>;

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

fn connection_fault(error: &SendRequestError) -> Fault {
    let code = match error {
        // The connection ended before the head did.
        SendRequestError::Response(ParseError::Incomplete | ParseError::Io(_)) => {
            ErrorCode::UpstreamUnavailable
        }
        SendRequestError::Response(_) => ErrorCode::UpstreamProtocol,
        SendRequestError::Url(_)
        | SendRequestError::Http(_)
        | SendRequestError::TunnelNotSupported => ErrorCode::Internal,
        // Name resolution, connection, TLS, sending.
        _ => ErrorCode::UpstreamUnavailable,
    };
    let cause = match error {
        // Its own text leaves the reason out.
        SendRequestError::Connect(ConnectError::Resolver(reason)) => {
            format!("name resolution: {reason}")
        }
        other => other.to_string(),
    };
    Fault {
        diagnosis: connection_diagnosis(error),
        ..Fault::new(code, cause)
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some()
}

fn connection_diagnosis(error: &SendRequestError) -> Diagnosis {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => {
            Diagnosis::NameResolution
        }
        SendRequestError::Connect(ConnectError::Io(error)) if is_tls(error) => Diagnosis::Tls,
        SendRequestError::Connect(_) => Diagnosis::Connection,
        _ => Diagnosis::Other,
    }
}
