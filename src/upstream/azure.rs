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
use serde::Serialize;

use super::{
    fault::{Fault, RefusalHead},
    lessons::{Field, Learnt, Lessons},
};
use crate::{
    chat::{ChatRequest, Message},
    config::{DeploymentConfig, ModelConfig},
    endpoint::EndpointKind,
    event::ErrorCode,
};

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

/// A client for one deployment.
pub(super) struct Azure {
    client: Client,
    url: String,
    credential: Option<(HeaderName, HeaderValue)>,
    key: Option<SecretString>,
    model: String,
    kind: EndpointKind,
    settings: ModelConfig,
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
        deployment: &DeploymentConfig,
        settings: &ModelConfig,
        tls: &Tls,
        lessons: Arc<Lessons>,
    ) -> Self {
        let connector = Connector::new()
            .limit(0)
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT)
            .rustls_0_23(Arc::clone(&tls.0));
        let client = Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .finish();
        let kind = deployment.endpoint.kind;
        let credential = deployment.key.as_ref().and_then(|key| {
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
            client,
            url: deployment.endpoint.url.to_string(),
            credential,
            key: deployment.key.clone(),
            model: deployment.endpoint.deployment.clone(),
            kind,
            settings: settings.clone(),
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
            match self.post_once(self.encode(request, learnt)?).await {
                // Each lesson can be learnt once, which bounds the loop.
                Err(Fault {
                    refused: Some(field),
                    cause,
                    ..
                }) if self.offers(field) && self.lessons.learn(field, learnt) => {
                    info!(cause = cause.as_str(); "upstream refuses a field");
                }
                other => return other,
            }
        }
    }

    /// Whether a field is set, so that leaving it out makes a difference.
    fn offers(&self, field: Field) -> bool {
        match field {
            Field::MaxTokens => self.settings.max_output_tokens.is_some(),
            Field::Temperature => self.settings.temperature.is_some(),
            Field::ReasoningEffort => self.settings.reasoning_effort.is_some(),
            Field::StreamOptions => true,
        }
    }

    async fn post_once(&self, body: Bytes) -> Result<(Body, Option<String>), Fault> {
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
        let head = post.send_body(body);
        let response = match tokio::time::timeout(self.settings.first_byte, head).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(connection_fault(&error)),
            Err(_) => {
                return Err(Fault::new(
                    ErrorCode::UpstreamTimeout,
                    "no response head".to_owned(),
                ));
            }
        };
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
            let fault = self.without_key(refusal(response).await);
            return Err(fault.with_request_id(request_id.as_deref()));
        }
        let body = response.map_err(|error| error.to_string());
        Ok((Body::new(body), request_id))
    }

    /// Some servers quote the key that they refuse, and the cause goes to the log.
    fn without_key(&self, mut fault: Fault) -> Fault {
        if let Some(key) = &self.key {
            fault.cause = fault.cause.replace(key.expose_secret(), "[key]");
        }
        fault
    }

    fn encode(&self, request: &ChatRequest, learnt: Learnt) -> Result<Bytes, Fault> {
        let system = Some(self.settings.system_prompt.as_str()).filter(|prompt| !prompt.is_empty());
        let messages = system
            .map(|content| WireMessage::System {
                role: "system",
                content,
            })
            .into_iter()
            .chain(request.messages().iter().map(WireMessage::Said))
            .collect();
        let limit = self
            .settings
            .max_output_tokens
            .filter(|_| learnt.sends(Field::MaxTokens));
        // The newer name is Azure's; the older one is what every other server knows.
        let newer_name = (self.kind == EndpointKind::Azure) != learnt.other_name();
        serde_json::to_vec(&WireRequest {
            model: &self.model,
            messages,
            stream: true,
            stream_options: learnt
                .sends(Field::StreamOptions)
                .then_some(WireStreamOptions {
                    include_usage: true,
                }),
            max_completion_tokens: limit.filter(|_| newer_name),
            max_tokens: limit.filter(|_| !newer_name),
            temperature: self
                .settings
                .temperature
                .filter(|_| learnt.sends(Field::Temperature)),
            reasoning_effort: self
                .settings
                .reasoning_effort
                .as_deref()
                .filter(|_| learnt.sends(Field::ReasoningEffort)),
        })
        .map(Bytes::from)
        .map_err(|error| Fault::new(ErrorCode::Internal, error.to_string()))
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<WireStreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireMessage<'a> {
    System {
        role: &'static str,
        content: &'a str,
    },
    Said(&'a Message),
}

#[derive(Serialize)]
struct WireStreamOptions {
    include_usage: bool,
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
    Fault::new(code, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, config::UpstreamConfig};

    fn encoded(flags: &[&str], endpoint: &str) -> serde_json::Value {
        encoded_after(&[], flags, endpoint)
    }

    fn encoded_after(refused: &[Field], flags: &[&str], endpoint: &str) -> serde_json::Value {
        let mut all = vec![
            "--azure-openai-endpoint",
            endpoint,
            "--azure-openai-deployment=d",
            "--azure-openai-api-key=k",
            "--system-prompt=Sing",
        ];
        all.extend(flags);
        let config = Config::from_flags(all).unwrap();
        let UpstreamConfig::Deployments(deployments) = &config.upstream else {
            panic!("configured")
        };
        let lessons = Arc::new(Lessons::default());
        for field in refused {
            assert!(lessons.learn(*field, lessons.so_far()));
        }
        let learnt = lessons.so_far();
        let azure = Azure::new(
            &deployments[0],
            &config.model,
            &Tls::new().unwrap(),
            lessons,
        );
        let request = ChatRequest::from_json(br#"{"prompt":"Hail"}"#).unwrap();
        serde_json::from_slice(&azure.encode(&request, learnt).unwrap()).unwrap()
    }

    #[actix_web::test]
    async fn the_system_prompt_stands_first_and_nothing_is_sent_that_was_not_set() {
        assert_eq!(
            encoded(&[], "https://r.openai.azure.com"),
            serde_json::json!({
                "model": "d",
                "messages": [
                    {"role": "system", "content": "Sing"},
                    {"role": "user", "content": "Hail"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[actix_web::test]
    async fn what_was_set_is_sent_under_the_name_that_the_server_knows() {
        let flags = [
            "--max-output-tokens=7",
            "--temperature=0.5",
            "--reasoning-effort=low",
        ];
        let azure = encoded(&flags, "https://r.openai.azure.com");
        assert_eq!(azure["max_completion_tokens"], 7);
        assert_eq!(azure["temperature"], 0.5);
        assert_eq!(azure["reasoning_effort"], "low");
        assert_eq!(azure.get("max_tokens"), None);
        let local = encoded(&flags, "http://localhost:1/v1");
        assert_eq!(local["max_tokens"], 7);
        assert_eq!(local.get("max_completion_tokens"), None);
    }
    #[actix_web::test]
    async fn what_was_refused_is_left_out_or_renamed() {
        let flags = [
            "--max-output-tokens=7",
            "--temperature=0.5",
            "--reasoning-effort=low",
        ];
        let azure = "https://r.openai.azure.com";
        let renamed = encoded_after(&[Field::MaxTokens], &flags, azure);
        assert_eq!(renamed["max_tokens"], 7);
        assert_eq!(renamed.get("max_completion_tokens"), None);
        let all = [
            Field::MaxTokens,
            Field::MaxTokens,
            Field::Temperature,
            Field::ReasoningEffort,
            Field::StreamOptions,
        ];
        let bare = encoded_after(&all, &flags, azure);
        let mut names: Vec<&String> = bare.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["messages", "model", "stream"]);
    }
}
