//! One deployment: its credential, its circuit, its capabilities, and the requests to it.
//!
//! It sends over [`client`](super::client), encodes by a [dialect](super::dialect), and reads no
//! frame of the response. It asks once, and again only if it must ask otherwise: over the other API,
//! or without a field. Whether to ask the same again is for its caller to decide.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use log::{info, warn};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{
    api::Api,
    attempt::{Attempt, Busy, Contact},
    auth::{Identity, Token},
    capabilities::Capabilities,
    circuit::{Circuit, CircuitOpen},
    client::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, Client, HeaderName, HeaderValue, Method, Response,
        USER_AGENT,
    },
    diagnosis::Diagnosis,
    dialect::{
        Request,
        error_object::{self, RefusalHead},
    },
    endpoint::{Endpoint, EndpointKind},
    fault::Fault,
    options::{DeploymentOptions, ModelOptions},
    reply::Reply,
    secrets::{RequestId, Secrets},
    transport::Network,
};
use crate::{chat::ChatRequest, context, event::ErrorCode, metrics};

/// How long a reply waits after this process had no file descriptor for its connection.
const DESCRIPTORS_PAUSE: Duration = Duration::from_millis(250);
/// Bounds the body of a refusal; after that its status must do.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that is read of a refusal's body. Stops an error page from filling the memory.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// What is known of one deployment. All workers share it.
#[derive(Debug, Default)]
pub(super) struct DeploymentState {
    circuit: Circuit,
    capabilities: Mutex<Capabilities>,
}

/// One deployment, and this thread's client for it.
pub struct Deployment {
    client: Client,
    endpoint: Endpoint,
    /// For the log: the URL may hold a gateway's key.
    origin: String,
    name: String,
    /// The only API by which to ask, if the settings name one.
    pinned_api: Option<Api>,
    credential: Credential,
    first_byte: Duration,
    request: Request,
    state: Arc<DeploymentState>,
}

/// What authorizes the requests.
enum Credential {
    /// The key, and the header that carries it.
    Key(Arc<SecretString>, HeaderName, HeaderValue),
    Entra(Identity),
    None,
}

/// Leaves out the credential and the URL, whose query may hold a key.
impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The right to send one request to a deployment.
#[derive(Debug)]
pub struct Permit<'a>(&'a Deployment);

impl Deployment {
    pub(super) fn new(
        options: &DeploymentOptions,
        model: &ModelOptions,
        network: &Network,
        state: Arc<DeploymentState>,
        identity: Option<&Identity>,
    ) -> Self {
        let credential = match (options.credential.key(), identity) {
            (Some(key), _) => key_credential(key, options.endpoint.kind),
            (None, Some(identity)) if options.credential.is_entra() => {
                Credential::Entra(identity.clone())
            }
            (None, _) => Credential::None,
        };
        Self {
            client: Client::new(network),
            endpoint: options.endpoint.clone(),
            origin: options.endpoint.origin(),
            pinned_api: options.api,
            name: options.endpoint.deployment.clone(),
            credential,
            first_byte: model.first_byte,
            request: Request::new(&options.endpoint, model),
            state,
        }
    }

    /// The name of the deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the circuit for the right to send a request.
    ///
    /// # Errors
    ///
    /// [`CircuitOpen`], if the circuit is open.
    pub fn admit(&self) -> Result<Permit<'_>, CircuitOpen> {
        self.state.circuit.admit().map(|()| Permit(self))
    }

    /// Sends the conversation, and again over the other API if it has to be that one. What the
    /// first refusal taught is kept once the other API has answered.
    async fn post(&self, request: &ChatRequest) -> Result<Reply, Fault> {
        if let Some(api) = self.pinned_api {
            return self.post_over(api, request).await.map_err(|mut fault| {
                if fault.refuses_api() {
                    fault.diagnosis = Diagnosis::Api;
                }
                fault
            });
        }
        let known = self.state.capabilities.lock().api;
        let api = known.unwrap_or(self.endpoint.first_api);
        let mut refusal = match self.post_over(api, request).await {
            Err(fault) if fault.refuses_api() => fault,
            decided => return decided,
        };
        let other = api.other();
        match self.post_over(other, request).await {
            Ok(reply) => {
                self.state.capabilities.lock().api = Some(other);
                info!(
                    deployment = self.name.as_str(), endpoint = self.origin.as_str(),
                    api:% = other, cause:% = refusal.cause;
                    "deployment has another API: request repeated over it"
                );
                Ok(reply)
            }
            Err(fault) if fault.refuses_api() => {
                // Else neither path exists, which is another problem.
                if [refusal.diagnosis, fault.diagnosis].contains(&Diagnosis::Api) {
                    refusal.diagnosis = Diagnosis::NoApi;
                }
                Err(refusal)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Sends the conversation over one API, and again without an optional field that the model
    /// refuses.
    async fn post_over(&self, api: Api, request: &ChatRequest) -> Result<Reply, Fault> {
        loop {
            let capabilities = *self.state.capabilities.lock();
            let body = self.request.encode(api, request, capabilities)?;
            let fault = match self.post_authorized(api, body).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            // Each round takes one capability away, which bounds the loop.
            let Diagnosis::Field(field) = fault.diagnosis else {
                return Err(fault);
            };
            let Some(reduced) = capabilities
                .without(field, api)
                .filter(|_| self.request.offers(api, field))
            else {
                return Err(fault);
            };
            let mut known = self.state.capabilities.lock();
            *known = known.intersection(reduced);
            info!(
                deployment = self.name.as_str(), endpoint = self.origin.as_str(), field:? = field, cause:% = fault.cause;
                "deployment refuses a field: request repeated without it"
            );
        }
    }

    /// Sends a body, and again if its Entra token is refused and can be replaced.
    async fn post_authorized(&self, api: Api, body: Bytes) -> Result<Reply, Fault> {
        let mut secrets = Secrets::default();
        let response = match &self.credential {
            Credential::Key(key, name, value) => {
                secrets.add(Arc::clone(key));
                let header = Some((name.clone(), value.clone()));
                self.send(api, body.clone(), header).await?
            }
            Credential::Entra(identity) => {
                self.post_with_token(api, identity, &body, &mut secrets)
                    .await?
            }
            Credential::None => self.send(api, body.clone(), None).await?,
        };
        let request_id = response
            .header("apim-request-id")
            .or(response.header("x-request-id"))
            .and_then(|id| RequestId::accept(id, &secrets, &body));
        if response.status() == 200 {
            let wait = error_object::wait_in_head(
                response.header("retry-after-ms"),
                response.header("retry-after"),
            );
            Ok(Reply::new(api, response.into_body(), request_id, secrets).with_wait(wait))
        } else {
            Err(refusal(response).await.with_request_id(request_id.as_ref()))
        }
    }

    async fn post_with_token(
        &self,
        api: Api,
        identity: &Identity,
        body: &Bytes,
        secrets: &mut Secrets,
    ) -> Result<Response, Fault> {
        let mut send = async |token: &Token| {
            secrets.add(token.secret());
            let header = Some((AUTHORIZATION, token.header()?));
            self.send(api, body.clone(), header).await
        };
        let token = identity.token().await?;
        let response = send(&token).await?;
        if response.status() == 401
            && let Some(renewed) = identity.replace(&token).await?
        {
            return send(&renewed).await;
        }
        Ok(response)
    }

    /// Sends a body once, and waits for the head of the response.
    async fn send(
        &self,
        api: Api,
        body: Bytes,
        authorization: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response, Fault> {
        let agent = concat!("rasta-stream/", env!("CARGO_PKG_VERSION"));
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("text/event-stream")),
            (USER_AGENT, HeaderValue::from_static(agent)),
        ];
        let trace = context::current()
            .and_then(|context| HeaderValue::from_str(context.trace()?).ok())
            .map(|trace| (HeaderName::from_static("traceparent"), trace));
        let headers = headers.into_iter().chain(authorization).chain(trace);
        let url = self.endpoint.url(api).as_str();
        let sent = self.client.send(Method::POST, url, headers, body);
        match tokio::time::timeout(self.first_byte, sent).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::new(
                ErrorCode::UpstreamTimeout,
                "no response head within FIRST_BYTE_SECONDS",
            )),
        }
    }

    /// Records that a response has turned out to be an answer.
    pub fn answered(&self) {
        self.state.circuit.succeed();
    }

    /// Records that the deployment is busy, which `fault` tells: opens the circuit.
    pub fn busy(&self, fault: Fault) -> Busy {
        let open = self.open_circuit(&fault);
        // The circuit's time is bounded. A caller honors the whole wait that was asked for.
        let until = match fault.error.retry_after_ms {
            Some(ms) => Instant::now() + Duration::from_millis(ms),
            None => open.until,
        };
        Busy {
            until,
            fault,
            contact: Contact::Asked,
        }
    }

    fn open_circuit(&self, fault: &Fault) -> CircuitOpen {
        let retry_after = fault.error.retry_after_ms.map(Duration::from_millis);
        let open = self.state.circuit.open(fault.error.code, retry_after);
        metrics::circuit(&self.name, true);
        let pause = open.until.saturating_duration_since(Instant::now());
        warn!(
            deployment = self.name.as_str(), endpoint = self.origin.as_str(), code:% = fault.error.code,
            request_id = fault.error.request_id.as_deref(), cause:% = fault.cause,
            open_ms = u64::try_from(pause.as_millis()).ok();
            "circuit opened"
        );
        open
    }

    fn close_circuit(&self) {
        metrics::circuit(&self.name, false);
        if self.state.circuit.close().is_some() {
            info!(
                deployment = self.name.as_str(), endpoint = self.origin.as_str();
                "circuit closed"
            );
        }
    }
}

impl Permit<'_> {
    /// Sends the conversation and waits for the head of the response. The outcome opens or closes
    /// the circuit. The caller reports what follows a head of status 200, which may be a refusal:
    /// [`Deployment::answered`] or [`Deployment::busy`].
    pub async fn ask(self, request: &ChatRequest) -> Attempt {
        let Self(deployment) = self;
        match deployment.post(request).await {
            Ok(reply) => {
                deployment.close_circuit();
                Attempt::Opened(reply)
            }
            // A deployment is not asked less for what this process lacks.
            Err(fault) if fault.cause.is_out_of_descriptors() => Attempt::Busy(Busy {
                until: Instant::now() + DESCRIPTORS_PAUSE,
                fault,
                contact: Contact::Asked,
            }),
            Err(fault) if fault.is_retryable() => Attempt::Busy(deployment.busy(fault)),
            Err(fault) => {
                match Evidence::of(&fault) {
                    Evidence::Unresponsive => {
                        deployment.open_circuit(&fault);
                    }
                    Evidence::Responds => {
                        deployment.close_circuit();
                        deployment.answered();
                    }
                    Evidence::None => {}
                }
                Attempt::Failed(fault)
            }
        }
    }
}

/// What a failure that is not worth a retry says about the deployment.
#[derive(Debug, PartialEq, Eq)]
enum Evidence {
    /// It did not respond in time. The next replies need not wait as long as this one did.
    Unresponsive,
    /// It responds: whatever is wrong, it is not its load.
    Responds,
    /// Nothing was sent.
    None,
}

impl Evidence {
    fn of(fault: &Fault) -> Self {
        match (fault.error.code, fault.diagnosis) {
            (ErrorCode::UpstreamTimeout, _) => Self::Unresponsive,
            (ErrorCode::Internal, _) | (_, Diagnosis::Identity) => Self::None,
            _ => Self::Responds,
        }
    }
}

fn key_credential(key: &SecretString, kind: EndpointKind) -> Credential {
    let text = key.expose_secret();
    let (name, text) = match kind {
        EndpointKind::Azure => (HeaderName::from_static("api-key"), text.to_owned()),
        EndpointKind::Compatible => (AUTHORIZATION, format!("Bearer {text}")),
    };
    match HeaderValue::from_str(&text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Credential::Key(Arc::new(key.clone()), name, value)
        }
        // The configuration accepts visible ASCII characters only.
        Err(_) => Credential::None,
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
    error_object::refusal(&head, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_response_closes_the_circuit() {
        for (code, diagnosis, evidence) in [
            (
                ErrorCode::UpstreamTimeout,
                Diagnosis::Other,
                Evidence::Unresponsive,
            ),
            (
                ErrorCode::UpstreamAuth,
                Diagnosis::Credential,
                Evidence::Responds,
            ),
            (
                ErrorCode::UpstreamProtocol,
                Diagnosis::Other,
                Evidence::Responds,
            ),
            (ErrorCode::UpstreamAuth, Diagnosis::Identity, Evidence::None),
            (ErrorCode::Internal, Diagnosis::Other, Evidence::None),
        ] {
            let fault = Fault {
                diagnosis,
                ..Fault::new(code, "a test")
            };
            assert_eq!(Evidence::of(&fault), evidence, "{code}");
        }
    }
}
