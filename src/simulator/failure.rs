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
        Self::refusal("server_error", None, text)
    }

    /// The failure that a scenario's stream consists of; `None` if it does not fail.
    pub(super) fn of(scenario: Scenario) -> Option<Self> {
        Some(match scenario {
            Scenario::RateLimitErrorFirst | Scenario::BusyIn200 => Self::rate_limit(),
            Scenario::RateLimitFailedFirst => Self {
                reason_last: true,
                ..Self::rate_limit()
            },
            Scenario::DeploymentMissingIn200 => {
                let text =
                    "Could not find an existing deployment to match the model in the request.";
                Self::refusal("invalid_request_error", None, text)
            }
            Scenario::FilterIn200 => Self::filter(),
            Scenario::QuotaIn200 => {
                let text = "You exceeded your current quota, please check your plan and billing \
                            details.";
                Self::refusal("insufficient_quota", Some("insufficient_quota"), text)
            }
            Scenario::OverloadedIn200 => Self::overload(),
            Scenario::ContextIn200 => {
                let text = "Your input exceeds the context window of this model. Please adjust \
                            your input and try again.";
                Self::refusal(
                    "invalid_request_error",
                    Some("context_length_exceeded"),
                    text,
                )
            }
            _ => return None,
        })
    }

    /// The failure with which a scenario's stream breaks off after some text; `None` if it does not.
    pub(super) fn after_text(scenario: Scenario) -> Option<Self> {
        match scenario {
            Scenario::ErrorInStream => Some(Self::of_model()),
            Scenario::RateLimitInStream => Some(Self::rate_limit()),
            Scenario::OverloadedInStream => Some(Self::overload()),
            Scenario::FilterInStream => Some(Self::filter()),
            _ => None,
        }
    }

    fn rate_limit() -> Self {
        let text = format!(
            "Your requests to this deployment for {MODEL} in loopback have exceeded rate limit."
        );
        Self {
            from_front_end: true,
            ..Self::refusal("too_many_requests", Some("rate_limit_exceeded"), &text)
        }
    }

    fn overload() -> Self {
        let text = "The system is currently experiencing high demand and cannot process your \
                    request.";
        Self::refusal("server_error", Some("server_is_overloaded"), text)
    }

    fn filter() -> Self {
        let text = "The response was filtered due to the prompt triggering Azure OpenAI's content \
                    management policy.";
        let kind = "invalid_request_error";
        Self {
            reason_last: true,
            ..Self::refusal(kind, Some("content_policy_violation"), text)
        }
    }

    fn refusal(kind: &'static str, code: Option<&'static str>, message: &str) -> Self {
        Self {
            kind,
            code,
            message: message.to_owned(),
            from_front_end: false,
            reason_last: false,
        }
    }
}

/// Sets the headers with which a scenario's 200 says that it is none.
pub(super) fn head(scenario: Scenario, head: Head) -> Head {
    match scenario {
        Scenario::RateLimitErrorFirst
        | Scenario::RateLimitFailedFirst
        | Scenario::RateLimitInStream
        | Scenario::ErrorFlat => head
            .with("retry-after", "4")
            .with("x-ratelimit-remaining-tokens", "-27689"),
        Scenario::BusyIn200 => head.with("retry-after", "1").with("retry-after-ms", "50"),
        _ => head,
    }
}
