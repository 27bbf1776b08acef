//! One request to one deployment by awc, with the settings that an event stream needs.
//!
//! Here is all that knows of awc. Its traps, each measured: a default time-out that ends a slow
//! first token (own time-outs instead); a pool that after an unasked 1xx hands one user's answer to
//! the next (a connection is closed after its one request); redirects that take the `api-key` along
//! (none is followed); a limit of 100 connections a worker (the store counts replies instead).

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

// awc gives this type out under no name of its own.
use actix_web::error::ParseError;
use awc::{
    Client, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
    http::{
        StatusCode,
        header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
    },
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use log::info;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    auth::{Identity, Token},
    diagnosis::Diagnosis,
    fault::{Fault, RefusalHead},
    lessons::Lessons,
    options::{DeploymentOptions, ModelOptions},
    request::Request,
};
use crate::{chat::ChatRequest, endpoint::EndpointKind, event::ErrorCode};

/// For a connection, and again for its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the body of a refusal; without it the status must do.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of a refusal's body that is read. Stops an error page from filling the memory.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// The bytes of an answer. An error is the log's text for it.
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
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// TLS settings for connections to upstream.
#[derive(Clone, Debug)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl Tls {
    /// Trusts the roots that Mozilla does, and speaks HTTP/1.1 only: one socket a reply, so that
    /// closing it stops that reply and no other.
    ///
    /// # Errors
    ///
    /// If the provider of the algorithms lacks the protocol versions; it does not.
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

/// A client of this thread's.
pub(super) fn client(tls: &Tls) -> Client {
    let connector = Connector::new()
        .limit(0)
        .timeout(CONNECT_TIMEOUT)
        .handshake_timeout(CONNECT_TIMEOUT)
        .rustls_0_23(Arc::clone(&tls.0));
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .finish()
}

/// A client for one deployment.
pub(super) struct Azure {
    client: Client,
    url: String,
    credential: Option<(HeaderName, HeaderValue)>,
    key: Option<SecretString>,
    identity: Option<Identity>,
    first_byte: Duration,
    request: Request,
    lessons: Arc<Lessons>,
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Azure {
    pub(super) fn new(
        deployment: &DeploymentOptions,
        settings: &ModelOptions,
        tls: &Tls,
        lessons: Arc<Lessons>,
        identity: Option<&Identity>,
    ) -> Self {
        let kind = deployment.endpoint.kind;
        let credential = deployment.credential.key().and_then(|key| {
            let key = key.expose_secret();
            let (name, text) = match kind {
                EndpointKind::Azure => (HeaderName::from_static("api-key"), key.to_owned()),
                EndpointKind::Compatible => (AUTHORIZATION, format!("Bearer {key}")),
            };
            // The configuration has checked its characters.
            let mut value = HeaderValue::from_str(&text).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        Self {
            client: client(tls),
            url: deployment.endpoint.url.to_string(),
            credential,
            key: deployment.credential.key().cloned(),
            identity: identity
                .filter(|_| deployment.credential.is_entra())
                .cloned(),
            first_byte: settings.first_byte,
            request: Request::new(&deployment.endpoint, settings),
            lessons,
        }
    }

    /// Sends the conversation, and again without an optional field that the model refuses; gives
    /// the answer's body and upstream's correlation id.
    pub(super) async fn post(
        &self,
        request: &ChatRequest,
    ) -> Result<(Body, Option<String>), Fault> {
        loop {
            let learnt = self.lessons.so_far();
            match self.post_once(self.request.encode(request, learnt)?).await {
                // Each lesson can be learnt once, which bounds the loop.
                Err(Fault {
                    diagnosis: Diagnosis::Field(field),
                    cause,
                    ..
                }) if self.request.offers(field) && self.lessons.learn(field, learnt) => {
                    info!(cause = cause.as_str(); "upstream refuses a field");
                }
                other => return other,
            }
        }
    }

    /// Once, or twice if a token of Entra's is refused and can be replaced.
    async fn post_once(&self, body: Bytes) -> Result<(Body, Option<String>), Fault> {
        let mut token = match &self.identity {
            Some(identity) => Some(identity.token().await?),
            None => None,
        };
        let mut response = self.send(body.clone(), token.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let (Some(identity), Some(refused)) = (&self.identity, &token)
            && let Some(renewed) = identity.instead_of(refused).await?
        {
            response = self.send(body, Some(&renewed)).await?;
            token = Some(renewed);
        }
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let request_id = header("apim-request-id")
            .or(header("x-request-id"))
            .map(str::to_owned);
        if response.status() != StatusCode::OK {
            let fault = self.without_secrets(refusal(response).await, token.as_ref());
            return Err(fault.with_request_id(request_id.as_deref()));
        }
        let body = response.map_err(|error| error.to_string());
        Ok((Body::new(body), request_id))
    }

    /// Sends the body once, and waits for the head of the answer.
    async fn send(&self, body: Bytes, token: Option<&Token>) -> Result<ClientResponse, Fault> {
        let mut post = self
            .client
            .post(&self.url)
            .force_close()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((ACCEPT, "text/event-stream"))
            .insert_header((
                USER_AGENT,
                concat!("rasta-stream/", env!("CARGO_PKG_VERSION")),
            ));
        if let Some((name, value)) = &self.credential {
            post = post.insert_header((name.clone(), value.clone()));
        }
        if let Some(token) = token {
            post = post.insert_header((AUTHORIZATION, token.header()?));
        }
        match tokio::time::timeout(self.first_byte, post.send_body(body)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(connection_fault(&error)),
            Err(_) => Err(Fault::new(
                ErrorCode::UpstreamTimeout,
                "no response head".to_owned(),
            )),
        }
    }

    /// Some servers quote the credential that they refuse, and the cause goes to the log.
    fn without_secrets(&self, mut fault: Fault, token: Option<&Token>) -> Fault {
        if let Some(key) = &self.key {
            fault.cause = fault.cause.replace(key.expose_secret(), "[key]");
        }
        if let Some(token) = token {
            fault.cause = token.hidden_in(&fault.cause);
        }
        fault
    }
}

async fn refusal<S>(mut response: ClientResponse<S>) -> Fault
where
    S: Stream<Item = Result<Bytes, awc::error::PayloadError>> + Unpin,
{
    let status = response.status();
    // After a 1xx the real answer still follows: there is no body to read.
    let body = if status.is_informational() {
        Bytes::new()
    } else {
        let body = response.body().limit(MAX_REFUSAL_BYTES);
        let read = tokio::time::timeout(REFUSAL_TIMEOUT, body).await;
        read.ok().and_then(Result::ok).unwrap_or_default()
    };
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let head = RefusalHead {
        status: status.as_u16(),
        retry_after_ms: header("retry-after-ms"),
        retry_after: header("retry-after"),
    };
    Fault::refusal(&head, &body)
}

pub(super) fn connection_fault(error: &SendRequestError) -> Fault {
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
