//! HTTP towards upstream and towards Entra: the one file that knows awc.
//!
//! awc's traps, each measured, and what is done about them: a default timeout that cuts a slow
//! first token (off; callers bound each phase), a pool that hands one user's response to the next
//! after an unsolicited 1xx (each connection serves one request), redirects that carry the `api-key`
//! to another host (none is followed), a limit of 100 connections per worker (off; the store bounds
//! the number of replies), and a response head that stays in memory as long as the body (dropped).
//!
//! This module knows nothing of Azure, of credentials or of JSON.

use std::{fmt, io, pin::Pin, sync::Arc, task, time::Duration};

// awc exports neither of these by a name of its own.
use actix_web::{HttpMessage as _, error::ParseError};
pub(super) use awc::http::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use awc::{
    ClientResponse, Connector,
    error::{ConnectError, PayloadError, SendRequestError},
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};

use super::{cause::Cause, diagnosis::Diagnosis, fault::Fault};
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
    let (cause, diagnosis) = match error {
        SendRequestError::Connect(error) => connect_cause(error),
        SendRequestError::Send(error) => (io_cause(SEND, error), Diagnosis::Other),
        SendRequestError::Response(error) => (head_cause(error), Diagnosis::Other),
        SendRequestError::Timeout => (reason(SEND, "timed out"), Diagnosis::Other),
        SendRequestError::Url(_) => (reason(SEND, "the URL is invalid"), Diagnosis::Other),
        SendRequestError::Http(_) => (reason(SEND, "a header is invalid"), Diagnosis::Other),
        _ => (reason(SEND, "failed"), Diagnosis::Other),
    };
    Fault {
        diagnosis,
        ..Fault::new(code, cause)
    }
}

const RESOLVE: &str = "name resolution";
const CONNECT: &str = "connect";
const TLS: &str = "TLS";
const SEND: &str = "send request";
const HEAD: &str = "read response head";
const BODY: &str = "read response body";

const fn reason(stage: &'static str, reason: &'static str) -> Cause {
    Cause::Connection { stage, reason }
}

fn connect_cause(error: &ConnectError) -> (Cause, Diagnosis) {
    match error {
        ConnectError::Resolver(error) => (
            reason(RESOLVE, resolver_reason(&error.to_string())),
            Diagnosis::NameResolution,
        ),
        ConnectError::NoRecords => (
            reason(RESOLVE, "the name has no address"),
            Diagnosis::NameResolution,
        ),
        ConnectError::Io(error) => match tls_reason(error) {
            Some(why) => (reason(TLS, why), Diagnosis::Tls),
            None => (Cause::io(CONNECT, error), Diagnosis::Connection),
        },
        ConnectError::Timeout => (
            reason(CONNECT, "no connection within 5 s"),
            Diagnosis::Connection,
        ),
        ConnectError::Disconnected => (reason(CONNECT, "disconnected"), Diagnosis::Connection),
        _ => (reason(CONNECT, "failed"), Diagnosis::Connection),
    }
}

fn io_cause(stage: &'static str, error: &io::Error) -> Cause {
    tls_reason(error).map_or_else(|| Cause::io(stage, error), |why| reason(TLS, why))
}

fn head_cause(error: &ParseError) -> Cause {
    match error {
        ParseError::Incomplete => reason(HEAD, "the connection was closed"),
        ParseError::Io(error) => io_cause(HEAD, error),
        ParseError::TooLarge => reason(HEAD, "it is too long"),
        ParseError::Timeout => reason(HEAD, "timed out"),
        _ => reason(HEAD, "it is not HTTP/1.1"),
    }
}

fn body_cause(error: &PayloadError) -> Cause {
    match error {
        PayloadError::Incomplete(None) => reason(BODY, "the connection was closed"),
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => io_cause(BODY, error),
        PayloadError::Overflow => reason(BODY, "it is too long"),
        _ => reason(BODY, "its encoding is invalid"),
    }
}

/// The C library's own sentence for why a name has no address, if it is one of those.
fn resolver_reason(text: &str) -> &'static str {
    const SENTENCES: [&str; 7] = [
        // glibc
        "Name or service not known",
        "Temporary failure in name resolution",
        "No address associated with hostname",
        "Non-recoverable failure in name resolution",
        // musl
        "Name does not resolve",
        "Try again",
        // macOS
        "nodename nor servname provided, or not known",
    ];
    let known = SENTENCES.iter().find(|sentence| text.contains(*sentence));
    known.copied().unwrap_or("failed")
}

/// What TLS found wrong, if that is the error. rustls's own text may quote the certificate.
fn tls_reason(error: &io::Error) -> Option<&'static str> {
    use rustls::{CertificateError as Certificate, Error as Tls};

    let error = error.get_ref()?.downcast_ref::<Tls>()?;
    Some(match error {
        Tls::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            Certificate::Revoked => "the certificate is revoked",
            Certificate::UnknownIssuer => "the certificate's issuer is unknown",
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "the certificate is for another host name"
            }
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "the certificate is not for servers"
            }
            Certificate::BadEncoding | Certificate::BadSignature => "the certificate is malformed",
            _ => "the certificate is not accepted",
        },
        Tls::InvalidMessage(_) => "the server does not speak TLS",
        Tls::PeerIncompatible(_) => "the server supports no common protocol version or cipher",
        Tls::AlertReceived(alert) => alert.as_str().unwrap_or("the server sent an alert"),
        Tls::NoApplicationProtocol => "the server does not offer HTTP/1.1",
        Tls::HandshakeNotComplete => "the handshake is not complete",
        _ => "the handshake failed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_fault_names_its_stage_and_reason() {
        let refused = io::Error::from_raw_os_error(111);
        let lookup = "failed to lookup address information: Name or service not known";
        let unknown_issuer = io::Error::other(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        ));
        let cases = [
            (
                SendRequestError::Connect(ConnectError::Io(refused)),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::Connection,
                "connect: Connection refused (os error 111)",
            ),
            (
                SendRequestError::Connect(ConnectError::Resolver(lookup.into())),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::NameResolution,
                "name resolution: Name or service not known",
            ),
            (
                SendRequestError::Connect(ConnectError::Io(unknown_issuer)),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::Tls,
                "TLS: the certificate's issuer is unknown",
            ),
            (
                SendRequestError::Response(ParseError::Incomplete),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::Other,
                "read response head: the connection was closed",
            ),
            (
                SendRequestError::Response(ParseError::Version),
                ErrorCode::UpstreamProtocol,
                Diagnosis::Other,
                "read response head: it is not HTTP/1.1",
            ),
        ];
        for (error, code, diagnosis, cause) in cases {
            let fault = connection_fault(&error);
            assert_eq!(fault.error.code, code, "{cause}");
            assert_eq!(fault.diagnosis, diagnosis, "{cause}");
            assert_eq!(fault.cause.to_string(), cause);
        }
    }

    #[test]
    fn no_text_of_the_servers_is_part_of_a_cause() {
        let certificate = rustls::CertificateError::NotValidForNameContext {
            expected: "r.openai.azure.com".try_into().unwrap(),
            presented: vec!["canary.example".to_owned()],
        };
        let quoting = [
            io::Error::other(rustls::Error::InvalidCertificate(certificate)),
            io::Error::other(rustls::Error::General("canary".to_owned())),
            io::Error::other("canary"),
        ];
        for error in quoting {
            let cause = io_cause(BODY, &error);
            assert!(!format!("{cause} {cause:?}").contains("canary"), "{cause}");
        }
        assert_eq!(resolver_reason("canary"), "failed");
    }
}
