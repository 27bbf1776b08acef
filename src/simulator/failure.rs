//! Failures inside a 200: what a stream says when the model or Azure fails after the response head.
//!
//! Each API's [`Wire`](super::wire::Wire) renders a failure in its own form.

use super::{http::Head, scenario::Scenario, stamp::MODEL};

/// A failure that a stream reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
    /// Whether it comes from Azure's front end, which says so.
    pub(super) from_front_end: bool,
    /// Whether the Responses API first says that the response has failed, and only then why.
    pub(super) reason_last: bool,
}

impl Failure {
    /// A failure of the model.
    pub(super) fn of_model() -> Self {
        let text = "The server had an error while processing your request. Sorry about that!";
        Self {
            kind: "server_error",
            code: None,
            message: text.to_owned(),
            from_front_end: false,
            reason_last: false,
        }
    }

    /// The failure that a scenario's stream consists of; `None` if it does not fail.
    pub(super) fn of(scenario: Scenario) -> Option<Self> {
        let rate_limit = Self {
            kind: "too_many_requests",
            code: Some("rate_limit_exceeded"),
            message: format!(
                "Your requests to this deployment for {MODEL} in loopback have exceeded rate limit."
            ),
            from_front_end: true,
            reason_last: false,
        };
        match scenario {
            Scenario::RateLimitErrorFirst | Scenario::BusyIn200 => Some(rate_limit),
            Scenario::RateLimitFailedFirst => Some(Self {
                reason_last: true,
                ..rate_limit
            }),
            Scenario::DeploymentMissingIn200 => {
                let text =
                    "Could not find an existing deployment to match the model in the request.";
                Some(Self {
                    kind: "invalid_request_error",
                    code: None,
                    message: text.to_owned(),
                    from_front_end: false,
                    reason_last: false,
                })
            }
            Scenario::FilterIn200 => {
                let text = "The response was filtered due to the prompt triggering Azure OpenAI's \
                            content management policy.";
                Some(Self {
                    kind: "invalid_request_error",
                    code: Some("content_policy_violation"),
                    message: text.to_owned(),
                    from_front_end: false,
                    reason_last: true,
                })
            }
            _ => None,
        }
    }
}

/// Sets the headers with which a scenario's 200 says that it is none.
pub(super) fn head(scenario: Scenario, head: Head) -> Head {
    match scenario {
        Scenario::RateLimitErrorFirst | Scenario::RateLimitFailedFirst | Scenario::ErrorFlat => {
            head.with("retry-after", "4")
                .with("x-ratelimit-remaining-tokens", "-27689")
        }
        Scenario::BusyIn200 => head.with("retry-after", "1").with("retry-after-ms", "50"),
        _ => head,
    }
}
