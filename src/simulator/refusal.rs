//! Refusals: Azure's error responses, with their original texts.
//!
//! Their bodies have three forms, and a client must accept all: OpenAI's (`message`, `type`, `param`,
//! `code`), the gateway's (`code`, `message`), and API Management's, which has no `error`. This
//! module does not decide which request is refused.

use serde_json::{Value, json};

use super::{
    http::Head,
    limits::{Exceeded, WindowUsage},
    scenario::Scenario,
};

/// An error response.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

impl Refusal {
    fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            head: Head::new(status)
                .with("Content-Type", content_type)
                .with("apim-request-id", uuid::Uuid::new_v4().to_string()),
            body: body.into(),
        }
    }

    fn gateway(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"error": {"code": code, "message": message}}),
        )
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
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
    pub(super) fn unsupported_parameter(param: &str) -> Self {
        let message = match param {
            "max_tokens" => "Unsupported parameter: 'max_tokens' is not supported with this \
                             model. Use 'max_completion_tokens' instead."
                .to_owned(),
            _ => format!("Unsupported parameter: '{param}' is not supported with this model."),
        };
        Self::invalid(&message, Some(param), Some("unsupported_parameter"))
    }

    /// 400 for `stream_options`, as before API version 2024-09-01-preview.
    pub(super) fn unrecognized_stream_options() -> Self {
        Self::invalid(
            "Unrecognized request argument supplied: stream_options",
            None,
            None,
        )
    }

    fn too_many(what: &str, wait: &str) -> Self {
        let text = format!(
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have \
             exceeded {what} rate limit of your current OpenAI S0 pricing tier. Please retry after \
             {wait} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like \
             to further increase the default rate limit."
        );
        Self::gateway(429, "429", &text)
    }

    /// 429 for a request that exceeds a limit, with the actual figures.
    pub(super) fn over_limit(exceeded: Exceeded, usage: &WindowUsage) -> Self {
        let what = match exceeded {
            Exceeded::Requests => "call",
            Exceeded::Tokens => "token",
        };
        let wait = usage.reset_seconds().to_string();
        let mut refusal = Self::too_many(what, &wait)
            .with("retry-after", &wait)
            .with("retry-after-ms", &usage.reset_ms().to_string());
        refusal.head = usage.write_headers(refusal.head);
        refusal
    }

    fn rate_limited(wait: &str) -> Self {
        Self::too_many("token", wait)
            .with("x-ratelimit-limit-requests", "1000")
            .with("x-ratelimit-remaining-requests", "0")
            .with("x-ratelimit-limit-tokens", "100000")
            .with("x-ratelimit-remaining-tokens", "0")
            .with("x-ratelimit-reset-tokens", wait)
            .with("retry-after", wait)
    }

    /// 429 that asks for a short wait.
    pub(super) fn busy() -> Self {
        Self::rate_limited("1").with("retry-after-ms", "50")
    }

    /// 503 with the gateway's text.
    pub(super) fn unavailable() -> Self {
        let text = "The service is temporarily unable to process your request. Please try again \
                    later.";
        Self::gateway(503, "ServiceUnavailable", text)
    }

    /// The refusal with which a scenario answers every request; `None` if it does not.
    pub(super) fn of(scenario: Scenario) -> Option<Self> {
        Some(match scenario {
            Scenario::Unauthorized => Self::unauthorized(),
            Scenario::TokenExpired => {
                let text = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                            (https://cognitiveservices.azure.com), or have expired.";
                Self::json(401, &json!({"statusCode": 401, "message": text}))
            }
            Scenario::PermissionDenied => {
                let text = "Principal does not have access to API/Operation.";
                Self::gateway(401, "PermissionDenied", text)
            }
            Scenario::Forbidden => {
                let text = "Access denied due to Virtual Network/Firewall rules.";
                Self::gateway(403, "403", text)
            }
            Scenario::DeploymentNotFound => Self::deployment_not_found(),
            Scenario::NotFound => Self::not_found(),
            Scenario::Timeout408 => Self::gateway(408, "Timeout", "The operation was timeout."),
            Scenario::RateLimited => Self::rate_limited("2").with("retry-after-ms", "1500"),
            Scenario::RateLimitedDay => Self::rate_limited("86400"),
            Scenario::RateLimitedSilent => {
                let mut refusal = Self::rate_limited("60")
                    .with("x-ratelimit-limit-tokens", "-1")
                    .with("x-ratelimit-remaining-tokens", "-1")
                    .with("x-ratelimit-reset-tokens", "0");
                refusal.head = refusal.head.without("retry-after");
                refusal
            }
            Scenario::ServerError => {
                let text = "The server had an error while processing your request. Sorry about \
                            that!";
                let error = json!({
                    "message": text, "type": "server_error", "param": null, "code": null
                });
                Self::json(500, &json!({"error": error}))
            }
            Scenario::BadGateway => {
                let page = "<html><head><title>502 Bad Gateway</title></head>\
                            <body><h1>502 Bad Gateway</h1></body></html>\n";
                Self::new(502, "text/html", page)
            }
            Scenario::Unavailable => Self::unavailable(),
            Scenario::GatewayTimeout => Self::new(504, "text/plain", ""),
            Scenario::PromptFiltered => Self::prompt_filtered(),
            Scenario::ContextTooLong => Self::invalid(
                "This model's maximum context length is 128000 tokens. However, your messages \
                 resulted in 131313 tokens. Please reduce the length of the messages.",
                Some("messages"),
                Some("context_length_exceeded"),
            ),
            Scenario::UnsupportedParameter => Self::unsupported_parameter("temperature"),
            Scenario::BadRequest => {
                let text = "The request is not valid for this deployment.";
                Self::gateway(400, "BadRequest", text)
            }
            Scenario::InvalidPrompt => {
                let text = "Invalid prompt: your prompt was flagged as potentially violating our \
                            usage policy.";
                Self::invalid(text, None, Some("invalid_prompt"))
                    .with("ms-azureml-model-error-reason", "model_error")
                    .with("ms-azureml-model-error-statuscode", "400")
            }
            Scenario::ApiVersion => Self::api_version(),
            Scenario::KeysDisabled => {
                let text = "Key based authentication is disabled for this resource.";
                Self::gateway(403, "AuthenticationTypeDisabled", text)
            }
            Scenario::Blocked => {
                let text = "This resource has been temporarily blocked.";
                Self::gateway(403, "403", text)
            }
            Scenario::Conflict => Self::gateway(409, "Conflict", "The resource is being changed."),
            Scenario::TooLarge => Self::new(413, "text/plain", ""),
            Scenario::TooManyHeaders => {
                let page = "<html><body><h1>431 Request Header Fields Too Large</h1></body></html>";
                Self::new(431, "text/html", page)
            }
            Scenario::NoChatCompletions => {
                let text = "The chatCompletion operation does not work with the specified model. \
                            Please choose different model and try again.";
                Self::gateway(400, "OperationNotSupported", text)
            }
            Scenario::ErrorString => {
                Self::json(400, &json!({"error": "the request was not understood"}))
            }
            Scenario::Redirect => {
                Self::new(307, "text/plain", "").with("Location", "/openai/moved")
            }
            _ => return None,
        })
    }

    fn prompt_filtered() -> Self {
        let text = "The response was filtered due to the prompt triggering Azure OpenAI's content \
                    management policy. Please modify your prompt and retry. To learn more about \
                    our content filtering policies please read our documentation: \
                    https://go.microsoft.com/fwlink/?linkid=2198766";
        let results = json!({
            "hate": {"filtered": false, "severity": "safe"},
            "jailbreak": {"filtered": false, "detected": false},
            "self_harm": {"filtered": false, "severity": "safe"},
            "sexual": {"filtered": false, "severity": "safe"},
            "violence": {"filtered": true, "severity": "medium"},
        });
        let inner =
            json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": results});
        let error = json!({
            "message": text, "type": null, "param": "prompt", "code": "content_filter",
            "status": 400, "innererror": inner,
        });
        Self::json(400, &json!({"error": error}))
    }
}
