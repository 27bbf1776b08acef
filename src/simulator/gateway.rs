//! Azure's gateway: from a request to the plan of its response.
//!
//! It checks in Azure's order: path and API version, key, deployment, body, limits. Then the
//! scenario decides. It knows nothing of connections.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    body::ChatBody,
    http::{Head, Request},
    limits::RateLimiter,
    non_streaming,
    refusal::Refusal,
    response::ResponsePlan,
    scenario::Scenario,
    script,
};

/// Everything that decides a response, apart from the request.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) key: Option<String>,
    pub(super) deployments: Vec<String>,
    pub(super) scenario: Option<Scenario>,
    pub(super) limiter: RateLimiter,
    /// The alternating scenarios that refused their last request and accept the next one.
    pub(super) alternating: Mutex<HashSet<Scenario>>,
}

impl Gateway {
    /// Plans the response to a request.
    pub(super) fn respond(&self, request: &Request) -> ResponsePlan {
        self.admit(request).unwrap_or_else(ResponsePlan::from)
    }

    fn admit(&self, request: &Request) -> Result<ResponsePlan, Refusal> {
        let path = Path::of(request).ok_or_else(Refusal::not_found)?;
        self.check_key(request)?;
        if matches!(path, Path::V1 { dated: true }) {
            return Err(Refusal::api_version());
        }
        // On the classic path the deployment is known before the body is parsed.
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
        self.plan(request, &body, &deployment, scenario)
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
        let accepted = match &self.key {
            Some(expected) => keys.any(|key| key == expected),
            None => keys.next().is_some(),
        };
        if accepted {
            Ok(())
        } else {
            Err(Refusal::unauthorized())
        }
    }

    /// Returns the scenario to play for a deployment, if it exists.
    fn check_deployment(&self, name: &str) -> Result<Option<Scenario>, Refusal> {
        let named = match name.strip_prefix("sim-") {
            Some(scenario) => match scenario.parse() {
                // Parsing strips one more `sim-`, so it would accept `sim-sim-x`.
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

    fn plan(
        &self,
        request: &Request,
        body: &ChatBody,
        deployment: &str,
        scenario: Option<Scenario>,
    ) -> Result<ResponsePlan, Refusal> {
        let usage = self.limiter.count(deployment, body.estimated_tokens());
        if let Some(usage) = &usage
            && let Some(exceeded) = usage.exceeded
        {
            return Err(Refusal::over_limit(exceeded, usage));
        }
        if let Some(scenario) = scenario {
            if let Some(refusal) = Refusal::of(scenario) {
                return Err(refusal);
            }
            match scenario {
                Scenario::Busy if self.refuses_now(scenario) => return Err(Refusal::busy()),
                Scenario::Flaky if self.refuses_now(scenario) => return Err(Refusal::unavailable()),
                Scenario::ReasoningModel => {
                    if let Some(param) = body.unsupported_params.first() {
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
        let head = match &usage {
            Some(usage) => usage.write_headers(head),
            None => head,
        };
        Ok(match scenario {
            Some(Scenario::Html200) => non_streaming::html_page(head),
            Some(Scenario::Json200) => non_streaming::respond(None, body, head),
            _ if body.stream => script::respond(scenario, body, head),
            _ => non_streaming::respond(scenario, body, head),
        })
    }

    /// Whether an alternating scenario refuses this request. It refuses every other one.
    fn refuses_now(&self, scenario: Scenario) -> bool {
        let mut alternating = self.alternating.lock();
        if alternating.remove(&scenario) {
            return false;
        }
        alternating.insert(scenario)
    }
}

/// The headers of a successful response on the Standard tier.
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

/// The two URL forms of chat completions.
#[derive(Debug, PartialEq, Eq)]
enum Path {
    Classic {
        deployment: String,
    },
    /// The body names the deployment.
    V1 {
        /// Whether the query has a dated API version, which this form refuses.
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
        // Deployment names are letters, digits, `-`, `_` and `.`, so there is nothing to decode.
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
