//! Azure's gateway: from a request to the plan of its response.
//!
//! It checks in Azure's order: path and API version, key, deployment, body, limits. Then the
//! scenario decides. It knows nothing of connections.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    chat::{self, body::ChatBody},
    failure, fields,
    http::{Head, Request},
    limits::RateLimiter,
    non_streaming,
    pace::Pace,
    parameters::{Api, Parameters},
    refusal::Refusal,
    refused,
    response::ResponsePlan,
    responses::{self, body::ResponsesBody, store::StoredResponses},
    route::{Route, Target},
    scenario::Scenario,
};

/// Everything that decides a response, apart from the request.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) key: Option<String>,
    pub(super) deployments: Vec<String>,
    pub(super) scenario: Option<Scenario>,
    pub(super) limiter: RateLimiter,
    pub(super) pace: Pace,
    pub(super) stored: StoredResponses,
    /// The alternating scenarios that refused their last request and accept the next one.
    pub(super) alternating: Mutex<HashSet<Scenario>>,
}

impl Gateway {
    /// Plans the response to a request.
    pub(super) fn respond(&self, request: &Request) -> ResponsePlan {
        self.admit(request).unwrap_or_else(ResponsePlan::from)
    }

    fn admit(&self, request: &Request) -> Result<ResponsePlan, Refusal> {
        let route = Route::of(request).ok_or_else(Refusal::not_found)?;
        self.check_key(request)?;
        route.check_version()?;
        match route.target {
            Target::Chat { deployment } => {
                if let Some(name) = &deployment {
                    self.check_deployment(name)?;
                }
                let body = ChatBody::parse(&request.body)?;
                let api = Api::ChatCompletions;
                let (scenario, head) = self.accept(request, api, deployment, &body.parameters)?;
                Ok(match scenario {
                    Some(Scenario::Html200) => non_streaming::html_page(head),
                    _ => chat::script::respond(scenario, &body, head),
                })
            }
            Target::Create => {
                let body = ResponsesBody::parse(&request.body)?;
                let api = Api::Responses;
                let (scenario, head) = self.accept(request, api, None, &body.parameters)?;
                match scenario {
                    Some(Scenario::Html200) => Ok(non_streaming::html_page(head)),
                    _ => {
                        let (stored, pace) = (&self.stored, &self.pace);
                        responses::script::respond(scenario, &body, head, stored, pace)
                    }
                }
            }
            Target::Retrieve { id } => self.stored.retrieve(&id),
            Target::Replay { id, after } => self.stored.replay(&id, after),
            Target::Cancel { id } => self.stored.cancel(&id),
            Target::Delete { id } => self.stored.delete(&id),
        }
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

    /// Accepts a valid request: the scenario to play, and the head of the response.
    fn accept(
        &self,
        request: &Request,
        api: Api,
        deployment: Option<String>,
        parameters: &Parameters,
    ) -> Result<(Option<Scenario>, Head), Refusal> {
        let deployment = match deployment.or_else(|| parameters.model.clone()) {
            Some(name) if !name.is_empty() => name,
            _ => return Err(missing_model(api)),
        };
        let scenario = self.check_deployment(&deployment)?;
        let usage = self
            .limiter
            .count(&deployment, parameters.estimated_tokens());
        if let Some(usage) = &usage
            && let Some(exceeded) = usage.exceeded
        {
            return Err(Refusal::over_limit(api, exceeded, usage));
        }
        if let Some(scenario) = scenario {
            self.check_scenario(scenario, api, parameters)?;
        }
        let head = success_head(request, &deployment, api);
        let head = match &usage {
            Some(usage) => usage.write_headers(head),
            None => head,
        };
        Ok(match scenario {
            Some(Scenario::BusyIn200) if !self.refuses_now(Scenario::BusyIn200) => (None, head),
            Some(scenario) => (Some(scenario), failure::head(scenario, head)),
            None => (None, head),
        })
    }

    /// Refuses what a scenario refuses.
    fn check_scenario(
        &self,
        scenario: Scenario,
        api: Api,
        parameters: &Parameters,
    ) -> Result<(), Refusal> {
        if let Some(refusal) = refused::of(scenario, api) {
            return Err(refusal);
        }
        match scenario {
            Scenario::Busy if self.refuses_now(scenario) => Err(Refusal::busy(api)),
            Scenario::Flaky if self.refuses_now(scenario) => Err(Refusal::unavailable()),
            Scenario::ReasoningModel => match parameters.unsupported.first() {
                Some(param) => Err(Refusal::unsupported_parameter(param, api)),
                None => Ok(()),
            },
            Scenario::NoStreamOptions if parameters.has_stream_options => Err(match api {
                Api::ChatCompletions => Refusal::unrecognized_stream_options(),
                Api::Responses => Refusal::unknown_parameter("stream_options"),
            }),
            _ => Ok(()),
        }
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

fn missing_model(api: Api) -> Refusal {
    match api {
        Api::ChatCompletions => {
            let text = "you must provide a model parameter";
            Refusal::invalid(text, Some("model"), None)
        }
        Api::Responses => fields::missing("model"),
    }
}

/// The headers of a successful response on the Standard tier.
fn success_head(request: &Request, deployment: &str, api: Api) -> Head {
    let gateway_id = uuid::Uuid::new_v4().to_string();
    let client_id = request
        .header("x-ms-client-request-id")
        .unwrap_or("Not-Set");
    let head = Head::new(200)
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
        .with("x-ratelimit-limit-tokens", "100000")
        .with("x-ratelimit-remaining-tokens", "99000");
    match api {
        Api::ChatCompletions => head
            .with("x-ratelimit-reset-requests", "0")
            .with("x-ratelimit-reset-tokens", "1"),
        Api::Responses => head
            .with("x-ratelimit-renewalperiod-requests", "60")
            .with("x-ratelimit-renewalperiod-tokens", "60"),
    }
}
