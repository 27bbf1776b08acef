//! One deployment: its credential, what it was found to refuse, and the requests to it.
//!
//! It sends over `client`, encodes by a dialect, and reads no frame of the answer.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use log::info;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    auth::{Identity, Token},
    capabilities::Lessons,
    client::{
        ACCEPT, AUTHORIZATION, Body, CONTENT_TYPE, Client, HeaderName, HeaderValue, Method,
        Response, Tls, USER_AGENT,
    },
    diagnosis::Diagnosis,
    dialect::chat_completions::Request,
    endpoint::EndpointKind,
    fault::{Fault, RefusalHead},
    options::{DeploymentOptions, ModelOptions},
};
use crate::{chat::ChatRequest, event::ErrorCode};

/// For the body of a refusal; without it the status must do.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of a refusal's body that is read. Stops an error page from filling the memory.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// A client for one deployment.
pub(super) struct Deployment {
    client: Client,
    url: String,
    credential: Option<(HeaderName, HeaderValue)>,
    key: Option<SecretString>,
    identity: Option<Identity>,
    first_byte: Duration,
    request: Request,
    lessons: Arc<Lessons>,
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Deployment {
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
            client: Client::new(tls),
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
        if response.status() == 401
            && let (Some(identity), Some(refused)) = (&self.identity, &token)
            && let Some(renewed) = identity.instead_of(refused).await?
        {
            response = self.send(body, Some(&renewed)).await?;
            token = Some(renewed);
        }
        let request_id = response
            .header("apim-request-id")
            .or(response.header("x-request-id"))
            .map(str::to_owned);
        if response.status() != 200 {
            let fault = self.without_secrets(refusal(response).await, token.as_ref());
            return Err(fault.with_request_id(request_id.as_deref()));
        }
        Ok((response.into_body(), request_id))
    }

    /// Sends the body once, and waits for the head of the answer.
    async fn send(&self, body: Bytes, token: Option<&Token>) -> Result<Response, Fault> {
        let agent = concat!("rasta-stream/", env!("CARGO_PKG_VERSION"));
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("text/event-stream")),
            (USER_AGENT, HeaderValue::from_static(agent)),
        ];
        headers.extend(self.credential.clone());
        if let Some(token) = token {
            headers.push((AUTHORIZATION, token.header()?));
        }
        let sent = self.client.send(Method::POST, &self.url, headers, body);
        match tokio::time::timeout(self.first_byte, sent).await {
            Ok(outcome) => outcome,
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

async fn refusal(mut response: Response) -> Fault {
    let status = response.status();
    // After a 1xx the real response still follows: there is no body to read.
    let body = if (100..200).contains(&status) {
        Bytes::new()
    } else {
        let read = tokio::time::timeout(REFUSAL_TIMEOUT, response.read(MAX_REFUSAL_BYTES)).await;
        read.ok().and_then(Result::ok).unwrap_or_default()
    };
    let head = RefusalHead {
        status,
        retry_after_ms: response.header("retry-after-ms"),
        retry_after: response.header("retry-after"),
    };
    Fault::refusal(&head, &body)
}
