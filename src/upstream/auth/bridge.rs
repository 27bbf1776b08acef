//! The HTTP client that azure_identity is given: this program's own, on the thread of the token cache.
//!
//! azure_identity wants a client that is `Send`, which awc's is not, so requests go through a channel
//! to a task on that thread. The bridge also remembers why the last request failed: of some refusals
//! azure_identity says only that it could not read them. It knows nothing of tokens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, HttpClient, Request, StatusCode,
        headers::{HeaderName, Headers},
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::failure;
use crate::{
    event::ErrorCode,
    upstream::{
        cause::{Cause, TokenReason},
        client::{Client, HeaderName as Name, HeaderValue, Method},
        diagnosis::Diagnosis,
        fault::Fault,
        transport::Network,
    },
};

/// Bounds one request, with its connection and its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest response. A token has a few KiB; stops a wrong server from filling the memory.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;
/// The most requests that wait to be sent; the cache makes one at a time.
const MAX_JOBS: usize = 8;

/// Why the last request failed; `None` if it succeeded.
#[derive(Clone, Debug, Default)]
pub(super) struct LastFailure(Arc<Mutex<Option<TokenReason>>>);

impl LastFailure {
    pub(super) fn get(&self) -> Option<TokenReason> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, reason: Option<TokenReason>) {
        *self.0.lock() = reason;
    }
}

/// The end of the channel that azure_identity holds.
#[derive(Debug)]
pub(super) struct HttpBridge(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    done: oneshot::Sender<Result<Answer, Fault>>,
}

type Answer = (u16, Vec<(String, String)>, Bytes);

impl HttpBridge {
    /// Starts the task that sends the requests. To be called inside a `LocalSet`.
    pub(super) fn start(network: &Network, last_failure: LastFailure) -> Self {
        let (jobs, mut todo) = mpsc::channel::<Job>(MAX_JOBS);
        let client = Client::new(network);
        tokio::task::spawn_local(async move {
            while let Some(job) = todo.recv().await {
                let (client, last_failure) = (client.clone(), last_failure.clone());
                tokio::task::spawn_local(async move {
                    let Job { mut done, .. } = job;
                    let asked = ask(&client, job.method, &job.url, &job.headers, job.body);
                    // A request whose caller has stopped waiting is dropped with its connection.
                    let outcome = tokio::select! {
                        outcome = tokio::time::timeout(REQUEST_TIMEOUT, asked) => outcome,
                        () = done.closed() => return,
                    };
                    let outcome =
                        outcome.unwrap_or_else(|_| Err(unanswered("no response within 10 s")));
                    last_failure.set(match &outcome {
                        Ok((status, ..)) if (200..300).contains(status) => None,
                        Ok((status, _, body)) => Some(failure::refused(*status, body)),
                        Err(fault) => Some(TokenReason::Connection {
                            cause: Box::new(fault.cause.clone()),
                            remedy: fault.diagnosis.network_remedy(),
                        }),
                    });
                    // An error means that the caller has stopped waiting.
                    let _ = done.send(outcome);
                });
            }
        });
        Self(jobs)
    }
}

async fn ask(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Answer, Fault> {
    let headers = headers.iter().filter_map(|(name, value)| {
        let name = Name::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    let mut response = client.send(method, url, headers, body).await?;
    let headers = response
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = response.read(MAX_RESPONSE_BYTES).await;
    Ok((response.status(), headers, body.map_err(unanswered)?))
}

/// azure_core repeats a request after an `Io` error. What only another setting can change is none.
const fn kind(diagnosis: Diagnosis) -> ErrorKind {
    match diagnosis {
        Diagnosis::ProxyCredentials
        | Diagnosis::ProxyRefusal
        | Diagnosis::ProxyProtocol
        | Diagnosis::UnknownIssuer
        | Diagnosis::CertificateExpired
        | Diagnosis::CertificateName
        | Diagnosis::NoTls => ErrorKind::Other,
        _ => ErrorKind::Io,
    }
}

fn unanswered(cause: impl Into<Cause>) -> Fault {
    Fault::new(ErrorCode::UpstreamAuth, cause)
}

#[async_trait]
impl HttpClient for HttpBridge {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = |text: String| Error::with_message(ErrorKind::Io, text);
        let Body::Bytes(body) = request.body() else {
            return Err(failed("a streamed body is not sent".to_owned()));
        };
        let (done, answer) = oneshot::channel();
        let job = Job {
            method: Method::from_bytes(request.method().as_str().as_bytes())
                .map_err(|error| failed(error.to_string()))?,
            url: request.url().to_string(),
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
                .collect(),
            body: body.clone(),
            done,
        };
        let ended = || failed("the HTTP client has ended".to_owned());
        self.0.send(job).await.map_err(|_| ended())?;
        let (status, headers, body) = answer
            .await
            .map_err(|_| ended())?
            .map_err(|fault| Error::with_message(kind(fault.diagnosis), fault.cause.to_string()))?;
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(HeaderName::from(name), value);
        }
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::from(status),
            all,
            body,
        ))
    }
}
