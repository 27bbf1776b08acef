//! The id of each request: `X-Request-Id`, taken over or made, on every response and log line.

use std::sync::Arc;

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};

use super::extract::only;
use crate::context::Context;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Works for each request in its context, and puts its id into the response.
///
/// # Errors
///
/// Those of the service, with the id in their responses.
pub async fn identified<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let headers = request.headers();
    let context = Arc::new(Context::new(
        only(headers, &REQUEST_ID),
        only(headers, &TRACEPARENT),
    ));
    // An id has no character that a header cannot have.
    let id = HeaderValue::from_str(context.id()).ok();
    let answered = context.within(next.call(request)).await;
    match answered {
        Ok(mut response) => {
            if let Some(id) = id {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            Ok(response)
        }
        Err(error) => {
            let mut response = error.error_response();
            if let Some(id) = id {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            Err(InternalError::from_response(error, response).into())
        }
    }
}
