//! Errors in OpenAI's form, on the paths of its API.
//!
//! Handlers and middleware refuse requests with a [`Problem`]. On these paths it is written as OpenAI's
//! clients expect it.

use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use serde_json::json;

use super::Problem;

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/models"];

/// OpenAI's clients obey it instead of their own rules.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Writes the problems on OpenAI's paths in its form, those of panics included.
///
/// # Errors
///
/// Those of the service.
pub async fn openai_errors<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let path = request.path();
    let is_openai = PATHS.iter().any(|prefix| path.starts_with(prefix));
    if !is_openai {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body);
    }
    match next.call(request).await {
        Ok(response) => {
            let (request, response) = response.map_into_boxed_body().into_parts();
            Ok(ServiceResponse::new(request, rewritten(response)))
        }
        Err(error) => {
            let response = rewritten(error.error_response());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

fn rewritten(response: HttpResponse) -> HttpResponse {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let status = response.status();
    let error = json!({"error": {
        "message": problem.detail(),
        "type": kind(status),
        "param": problem.param(),
        "code": problem.code(),
    }});
    let mut response = response.set_body(BoxBody::new(error.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let should_retry = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let should_retry = if should_retry { "true" } else { "false" };
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(should_retry));
    if let Some(seconds) = problem.retry_after_seconds() {
        headers.insert(RETRY_AFTER_MS, (seconds * 1000).into());
    }
    response
}

/// OpenAI's `type` of an error.
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}
