//! Refusals: Azure's error responses, with their original texts.
//!
//! Their bodies have three forms, and a client must accept all: OpenAI's (`message`, `type`, `param`,
//! `code`), the gateway's (`code`, `message`), and API Management's, which has no `error`. This
//! module does not decide which request is refused.

use serde_json::{Value, json};

use super::{
    http::Head,
    limits::{Exceeded, WindowUsage},
    parameters::Api,
};

/// An error response.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

impl Refusal {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            head: Head::new(status)
                .with("Content-Type", content_type)
                .with("apim-request-id", uuid::Uuid::new_v4().to_string()),
            body: body.into(),
        }
    }

    pub(super) fn gateway(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"error": {"code": code, "message": message}}),
        )
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.head = self.head.with(name, value);
        self
    }

    /// The answer to a request that is not valid HTTP.
    pub(super) fn invalid_http(status: u16) -> Self {
        Self::gateway(
            status,
            &status.to_string(),
            "The request could not be read.",
        )
    }

    /// 404: no such path, method or API version.
    pub(super) fn not_found() -> Self {
        Self::gateway(404, "404", "Resource not found")
    }

    /// 401: no key, or a wrong one.
    pub(super) fn unauthorized() -> Self {
        let text = "Access denied due to invalid subscription key or wrong API endpoint. Make \
                    sure to provide a valid key for an active subscription and use a correct \
                    regional API endpoint for your resource.";
        Self::gateway(401, "401", text)
    }

    /// 404: no such deployment.
    pub(super) fn deployment_not_found() -> Self {
        let text = "The API deployment for this resource does not exist. If you created the \
                    deployment within the last 5 minutes, please wait a moment and try again.";
        Self::gateway(404, "DeploymentNotFound", text)
    }

    /// 400: a dated API version on the v1 path.
    pub(super) fn api_version() -> Self {
        Self::gateway(400, "BadRequest", "API version not supported")
    }

    /// 400 in OpenAI's form, about one parameter.
    pub(super) fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> Self {
        let kind = "invalid_request_error";
        let error = json!({"message": message, "type": kind, "param": param, "code": code});
        Self::json(400, &json!({"error": error}))
    }

    /// 400 for a parameter that a reasoning model does not support.
    pub(super) fn unsupported_parameter(param: &str, api: Api) -> Self {
        let message = match param {
            "max_tokens" => "Unsupported parameter: 'max_tokens' is not supported with this \
                             model. Use 'max_completion_tokens' instead."
                .to_owned(),
            _ => format!("Unsupported parameter: '{param}' is not supported with this model."),
        };
        let code = match api {
            Api::ChatCompletions => Some("unsupported_parameter"),
            Api::Responses => None,
        };
        Self::invalid(&message, Some(param), code)
    }

    /// 400 for a parameter that the Responses API does not have.
    pub(super) fn unknown_parameter(param: &str) -> Self {
        let text = format!("Unknown parameter: '{param}'.");
        Self::invalid(&text, Some(param), Some("unknown_parameter"))
    }

    /// 400 for `stream_options`, as before API version 2024-09-01-preview.
    pub(super) fn unrecognized_stream_options() -> Self {
        Self::invalid(
            "Unrecognized request argument supplied: stream_options",
            None,
            None,
        )
    }

    fn too_many(api: Api, what: &str, wait: &str) -> Self {
        let operation = match api {
            Api::ChatCompletions => "ChatCompletions_Create",
            Api::Responses => "Responses_Create",
        };
        let text = format!(
            "Requests to the {operation} Operation under Azure OpenAI API have exceeded {what} rate \
             limit of your current OpenAI S0 pricing tier. Please retry after {wait} seconds. Please \
             go here: https://aka.ms/oai/quotaincrease if you would like to further increase the \
             default rate limit."
        );
        Self::gateway(429, "429", &text)
    }

    /// 429 for a request that exceeds a limit, with the actual figures.
    pub(super) fn over_limit(api: Api, exceeded: Exceeded, usage: &WindowUsage) -> Self {
        let what = match exceeded {
            Exceeded::Requests => "call",
            Exceeded::Tokens => "token",
        };
        let wait = usage.reset_seconds().to_string();
        let mut refusal = Self::too_many(api, what, &wait)
            .with("retry-after", &wait)
            .with("retry-after-ms", &usage.reset_ms().to_string());
        refusal.head = usage.write_headers(refusal.head);
        refusal
    }

    /// 429 that asks for so many seconds.
    pub(super) fn rate_limited(api: Api, wait: &str) -> Self {
        Self::too_many(api, "token", wait)
            .with("x-ratelimit-limit-requests", "1000")
            .with("x-ratelimit-remaining-requests", "0")
            .with("x-ratelimit-limit-tokens", "100000")
            .with("x-ratelimit-remaining-tokens", "0")
            .with("x-ratelimit-reset-tokens", wait)
            .with("retry-after", wait)
    }

    /// 429 that asks for a short wait.
    pub(super) fn busy(api: Api) -> Self {
        Self::rate_limited(api, "1").with("retry-after-ms", "50")
    }

    /// 503 with the gateway's text.
    pub(super) fn unavailable() -> Self {
        let text = "The service is temporarily unable to process your request. Please try again \
                    later.";
        Self::gateway(503, "ServiceUnavailable", text)
    }
}
