//! The HTTP client that azure_identity is given: awc, on the thread of the tokens.
//!
//! What it is given must be `Send`, and awc is not; so requests go through a channel to a task beside
//! it. It remembers in words why the last request failed, since what azure_identity makes of a refusal
//! is sometimes only that it could not be read. It knows nothing of tokens.

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
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::super::client::{Client, HeaderName as Name, HeaderValue, Method, Tls};

/// For one request, connection and body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer. A token has a few KiB; stops a stranger from filling the memory.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// The most requests that wait to be sent; the desk makes one at a time.
const MAX_JOBS: usize = 8;
/// The most of an answer's own words that go to the log, in characters.
const MAX_WORDS: usize = 300;

/// Why the last request failed, in words; `None` if it did not.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAnswer(Arc<Mutex<Option<String>>>);

impl LastAnswer {
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, words: Option<String>) {
        *self.0.lock() = words;
    }
}

/// The end of the channel that azure_identity holds.
#[derive(Debug)]
pub(super) struct Wire(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    done: oneshot::Sender<Result<Answer, String>>,
}

type Answer = (u16, Vec<(String, String)>, Bytes);

impl Wire {
    /// To be called where local tasks can be started.
    pub(super) fn start(tls: &Tls, last_answer: LastAnswer) -> Self {
        let (jobs, mut todo) = mpsc::channel::<Job>(MAX_JOBS);
        let client = Client::new(tls);
        tokio::task::spawn_local(async move {
            while let Some(job) = todo.recv().await {
                let (client, last_answer) = (client.clone(), last_answer.clone());
                tokio::task::spawn_local(async move {
                    let Job { mut done, .. } = job;
                    let asked = ask(&client, job.method, &job.url, &job.headers, job.body);
                    // A request that nobody waits for any more is dropped with its connection.
                    let outcome = tokio::select! {
                        outcome = tokio::time::timeout(REQUEST_TIMEOUT, asked) => outcome,
                        () = done.closed() => return,
                    };
                    let outcome = outcome.unwrap_or_else(|_| {
                        Err(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))
                    });
                    last_answer.set(match &outcome {
                        Ok((status, ..)) if (200..300).contains(status) => None,
                        Ok((status, _, body)) => Some(words(*status, body)),
                        Err(error) => Some(error.clone()),
                    });
                    // As above.
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
) -> Result<Answer, String> {
    let headers = headers.iter().filter_map(|(name, value)| {
        let name = Name::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    let mut response = client
        .send(method, url, headers, body)
        .await
        .map_err(|fault| fault.cause)?;
    let headers = response
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = response.read(MAX_ANSWER_BYTES).await?;
    Ok((response.status(), headers, body))
}

#[async_trait]
impl HttpClient for Wire {
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
        let (status, headers, body) = answer.await.map_err(|_| ended())?.map_err(failed)?;
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

/// A refusal for the log: its status, and what Entra's or IMDS's error object says.
fn words(status: u16, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let said = format!("{} {}", text("error"), text("error_description"));
    clean(&format!("HTTP {status} {said}"))
}

/// Foreign words as they may stand in the log: one line, not too long, and nothing like a token.
pub(super) fn clean(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        // What every JWT begins with.
        words.push(if word.contains("eyJ") {
            "[token]"
        } else {
            word
        });
    }
    words.retain(|word| !word.is_empty());
    words.join(" ").chars().take(MAX_WORDS).collect()
}
