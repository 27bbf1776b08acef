//! From a request to the response that is to be played: Azure's front door.
//!
//! It checks in Azure's order: path and API version, key, deployment, body, limits; then
//! the scenario has its say. It knows nothing of connections.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    body::ChatBody,
    http::{Head, Request},
    limits::Ledger,
    performance::Performance,
    refusal::Refusal,
    scenario::Scenario,
    script, whole,
};

/// What decides answers, apart from the request.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) key: Option<String>,
    pub(super) deployments: Vec<String>,
    pub(super) scenario: Option<Scenario>,
    pub(super) ledger: Ledger,
    /// The alternating scenarios whose next request is to be answered.
    pub(super) relenting: Mutex<HashSet<Scenario>>,
}

impl Desk {
    /// Answers a request.
    pub(super) fn answer(&self, request: &Request) -> Performance {
        self.admit(request).unwrap_or_else(Performance::from)
    }

    fn admit(&self, request: &Request) -> Result<Performance, Refusal> {
        let path = Path::of(request).ok_or_else(Refusal::not_found)?;
        self.check_key(request)?;
        if matches!(path, Path::V1 { dated: true }) {
            return Err(Refusal::api_version());
        }
        // On the classic path the deployment is known before the body is looked at.
        let known = match &path {
            Path::Classic { deployment } => Some(self.check_deployment(deployment)?),
            Path::V1 { .. } => None,
        };
        let body = ChatBody::parse(&request.body)?;
        let (deployment, scenario) = match (&path, known) {
            (Path::Classic { deployment }, Some(scenario)) => (deployment.clone(), scenario),
            _ => {
                let model = body.model.clone().unwrap_or_default();
                if model.is_empty() {
                    let text = "you must provide a model parameter";
                    return Err(Refusal::invalid(text, Some("model"), None));
                }
                let scenario = self.check_deployment(&model)?;
                (model, scenario)
            }
        };
        self.perform(request, &body, &deployment, scenario)
    }

    fn check_key(&self, request: &Request) -> Result<(), Refusal> {
        let bearer = request.header("authorization").and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        let keys = [request.header("api-key"), bearer];
        let mut keys = keys
            .into_iter()
            .flatten()
            .map(str::trim)
            .filter(|key| !key.is_empty());
        let fits = match &self.key {
            Some(right) => keys.any(|key| key == right),
            None => keys.next().is_some(),
        };
        if fits {
            Ok(())
        } else {
            Err(Refusal::unauthorized())
        }
    }

    /// Returns the scenario to play for a deployment, if it exists.
    fn check_deployment(&self, name: &str) -> Result<Option<Scenario>, Refusal> {
        let named = match name.strip_prefix("sim-") {
            Some(scenario) => match scenario.parse() {
                // `sim-sim-x` is no name.
                Ok(found) if !scenario.starts_with("sim-") => Some(found),
                _ => return Err(Refusal::deployment_not_found()),
            },
            None => None,
        };
        let listed = self.deployments.is_empty() || self.deployments.iter().any(|d| d == name);
        if named.is_none() && !listed {
            return Err(Refusal::deployment_not_found());
        }
        Ok(self.scenario.or(named))
    }

    fn perform(
        &self,
        request: &Request,
        body: &ChatBody,
        deployment: &str,
        scenario: Option<Scenario>,
    ) -> Result<Performance, Refusal> {
        let standing = self.ledger.count(deployment, body.estimate());
        if let Some(standing) = &standing
            && let Some(over) = standing.over
        {
            return Err(Refusal::over_limit(over, standing));
        }
        if let Some(scenario) = scenario {
            if let Some(refusal) = Refusal::of(scenario) {
                return Err(refusal);
            }
            match scenario {
                Scenario::Busy if self.refuses_now(scenario) => return Err(Refusal::busy()),
                Scenario::Flaky if self.refuses_now(scenario) => return Err(Refusal::unavailable()),
                Scenario::ReasoningModel => {
                    if let Some(param) = body.unreasonable.first() {
                        return Err(Refusal::unsupported_parameter(param));
                    }
                }
                Scenario::NoStreamOptions if body.has_stream_options => {
                    return Err(Refusal::unrecognized_stream_options());
                }
                _ => {}
            }
        }
        let head = success_head(request, deployment);
        let head = match &standing {
            Some(standing) => standing.tell(head),
            None => head,
        };
        Ok(match scenario {
            Some(Scenario::Html200) => whole::page(head),
            Some(Scenario::Json200) => whole::whole(None, body, head),
            _ if body.stream => script::stream(scenario, body, head),
            _ => whole::whole(scenario, body, head),
        })
    }

    /// Whether it is an alternating scenario's turn to refuse.
    fn refuses_now(&self, scenario: Scenario) -> bool {
        let mut relenting = self.relenting.lock();
        if relenting.remove(&scenario) {
            return false;
        }
        relenting.insert(scenario)
    }
}

/// The headers of a response by a deployment on the Standard tier.
fn success_head(request: &Request, deployment: &str) -> Head {
    let gateway_id = uuid::Uuid::new_v4().to_string();
    let client_id = request
        .header("x-ms-client-request-id")
        .unwrap_or("Not-Set");
    Head::new(200)
        .with("apim-request-id", gateway_id)
        .with("x-request-id", uuid::Uuid::new_v4().to_string())
        .with("x-ms-client-request-id", client_id)
        .with("x-ms-region", "Loopback")
        .with("x-ms-deployment-name", deployment)
        .with("x-ms-rai-invoked", "true")
        .with("x-content-type-options", "nosniff")
        .with("x-accel-buffering", "no")
        .with("x-ratelimit-limit-requests", "1000")
        .with("x-ratelimit-remaining-requests", "999")
        .with("x-ratelimit-reset-requests", "0")
        .with("x-ratelimit-limit-tokens", "100000")
        .with("x-ratelimit-remaining-tokens", "99000")
        .with("x-ratelimit-reset-tokens", "1")
}

/// The two paths that chat completions have.
#[derive(Debug, PartialEq, Eq)]
enum Path {
    Classic {
        deployment: String,
    },
    /// Where the body names the deployment, and a date is no API version.
    V1 {
        dated: bool,
    },
}

impl Path {
    fn of(request: &Request) -> Option<Self> {
        if request.method != "POST" {
            return None;
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let version = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "api-version")
            .map(|(_, value)| value.into_owned());
        if path == "/openai/v1/chat/completions" {
            return Some(Self::V1 {
                dated: version.is_some_and(|version| is_dated(&version)),
            });
        }
        let rest = path.strip_prefix("/openai/deployments/")?;
        let deployment = rest.strip_suffix("/chat/completions")?;
        let exists = !deployment.is_empty() && !deployment.contains('/');
        // Deployment names are letters, digits, `-`, `_` and `.`: nothing to decode.
        (exists && version.is_some_and(|version| is_dated(&version))).then(|| Self::Classic {
            deployment: deployment.to_owned(),
        })
    }
}

/// Whether an API version has the form `YYYY-MM-DD` or `YYYY-MM-DD-preview`.
fn is_dated(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    date.parse::<jiff::civil::Date>().is_ok() && date.len() == "YYYY-MM-DD".len()
}
