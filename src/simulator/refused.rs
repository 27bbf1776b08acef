//! The scenarios that refuse every request before the stream begins, and what each answers.
//!
//! [`Refusal`] has the forms of the bodies. Scenarios that refuse only some requests are in the
//! [`gateway`](super::gateway).

use serde_json::json;

use super::{parameters::Api, refusal::Refusal, scenario::Scenario};

/// The refusal with which a scenario answers every request; `None` if it does not.
pub(super) fn of(scenario: Scenario, api: Api) -> Option<Refusal> {
    Some(match scenario {
        Scenario::Unauthorized => Refusal::unauthorized(),
        Scenario::TokenExpired => {
            let text = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                        (https://cognitiveservices.azure.com), or have expired.";
            Refusal::json(401, &json!({"statusCode": 401, "message": text}))
        }
        Scenario::PermissionDenied => {
            let text = "Principal does not have access to API/Operation.";
            Refusal::gateway(401, "PermissionDenied", text)
        }
        Scenario::Forbidden => {
            let text = "Access denied due to Virtual Network/Firewall rules.";
            Refusal::gateway(403, "403", text)
        }
        Scenario::DeploymentNotFound => Refusal::deployment_not_found(),
        Scenario::NotFound => Refusal::not_found(),
        Scenario::Timeout408 => Refusal::gateway(408, "Timeout", "The operation was timeout."),
        Scenario::RateLimited => Refusal::rate_limited(api, "2").with("retry-after-ms", "1500"),
        Scenario::RateLimitedDay => Refusal::rate_limited(api, "86400"),
        Scenario::RateLimitedSilent => {
            let mut refusal = Refusal::rate_limited(api, "60")
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
            Refusal::json(500, &json!({"error": error}))
        }
        Scenario::BadGateway => {
            let page = "<html><head><title>502 Bad Gateway</title></head>\
                        <body><h1>502 Bad Gateway</h1></body></html>\n";
            Refusal::new(502, "text/html", page)
        }
        Scenario::Unavailable => Refusal::unavailable(),
        Scenario::GatewayTimeout => Refusal::new(504, "text/plain", ""),
        Scenario::PromptFiltered => prompt_filtered(api),
        Scenario::ContextTooLong => Refusal::invalid(
            "This model's maximum context length is 128000 tokens. However, your messages \
             resulted in 131313 tokens. Please reduce the length of the messages.",
            Some("messages"),
            Some("context_length_exceeded"),
        ),
        Scenario::UnsupportedParameter => Refusal::unsupported_parameter("temperature", api),
        Scenario::BadRequest => {
            let text = "The request is not valid for this deployment.";
            Refusal::gateway(400, "BadRequest", text)
        }
        Scenario::InvalidPrompt => {
            let text = "Invalid prompt: your prompt was flagged as potentially violating our \
                        usage policy.";
            Refusal::invalid(text, None, Some("invalid_prompt"))
                .with("ms-azureml-model-error-reason", "model_error")
                .with("ms-azureml-model-error-statuscode", "400")
        }
        Scenario::ApiVersion => Refusal::api_version(),
        Scenario::KeysDisabled => {
            let text = "Key based authentication is disabled for this resource.";
            Refusal::gateway(403, "AuthenticationTypeDisabled", text)
        }
        Scenario::Blocked => {
            let text = "This resource has been temporarily blocked.";
            Refusal::gateway(403, "403", text)
        }
        Scenario::Conflict => Refusal::gateway(409, "Conflict", "The resource is being changed."),
        Scenario::TooLarge => Refusal::new(413, "text/plain", ""),
        Scenario::TooManyHeaders => {
            let page = "<html><body><h1>431 Request Header Fields Too Large</h1></body></html>";
            Refusal::new(431, "text/html", page)
        }
        Scenario::ResponsesOnly if api == Api::ChatCompletions => {
            let text = "The chatCompletion operation does not work with the specified model. \
                        Please choose different model and try again.";
            Refusal::gateway(400, "OperationNotSupported", text)
        }
        Scenario::ChatOnly if api == Api::Responses => Refusal::not_found(),
        Scenario::ErrorString => {
            Refusal::json(400, &json!({"error": "the request was not understood"}))
        }
        Scenario::JsonErrorIn200 => {
            let error = json!({"code": "429", "message": "Requests have exceeded rate limit."});
            Refusal::json(200, &json!({"error": error})).with("retry-after", "4")
        }
        Scenario::Redirect => Refusal::new(307, "text/plain", "").with("Location", "/openai/moved"),
        _ => return None,
    })
}

/// 400: the content filter refuses the prompt.
fn prompt_filtered(api: Api) -> Refusal {
    let text = "The response was filtered due to the prompt triggering Azure OpenAI's content \
                management policy. Please modify your prompt and retry. To learn more about our \
                content filtering policies please read our documentation: \
                https://go.microsoft.com/fwlink/?linkid=2198766";
    let results = json!({
        "hate": {"filtered": false, "severity": "safe"},
        "jailbreak": {"filtered": false, "detected": false},
        "self_harm": {"filtered": false, "severity": "safe"},
        "sexual": {"filtered": false, "severity": "safe"},
        "violence": {"filtered": true, "severity": "medium"},
    });
    let error = match api {
        Api::ChatCompletions => {
            let code = "ResponsibleAIPolicyViolation";
            json!({
                "message": text, "type": null, "param": "prompt", "code": "content_filter",
                "status": 400, "innererror": {"code": code, "content_filter_result": results},
            })
        }
        Api::Responses => json!({
            "message": text, "type": "invalid_request_error", "param": "prompt",
            "code": "content_filter",
            "content_filters": [{
                "blocked": true, "source_type": "prompt", "content_filter_results": results,
                "content_filter_offsets": {"start_offset": 0, "end_offset": 0, "check_offset": 0},
            }],
        }),
    };
    Refusal::json(400, &json!({"error": error}))
}
