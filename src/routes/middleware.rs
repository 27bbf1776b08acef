//! What every response gets: default headers, and a problem in place of an error that no handler
//! has answered.

use std::time::Duration;

use actix_web::{
    ResponseError as _,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY},
    middleware::{DefaultHeaders, Next},
};

use super::problem::{Code, Problem};

/// Headers that every response has unless it says otherwise.
///
/// The policy lets the page load its own script and style and talk to this server, and nothing
/// else: model output is hostile text, and even a fault in the page must not let it run.
const DEFAULT_HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    // No other site embeds anything of this one, and so learns that it is there.
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
    // The browser revalidates the page each time, and gets a 304 if it has not changed.
    ("cache-control", "no-cache"),
];

/// Adds the default headers to every response of a handler. With `hsts`, browsers use only HTTPS for
/// this host for so long.
#[must_use]
pub fn default_headers(hsts: Option<Duration>) -> DefaultHeaders {
    let headers = DEFAULT_HEADERS
        .into_iter()
        .fold(DefaultHeaders::new(), DefaultHeaders::add);
    match hsts {
        Some(time) => headers.add((
            STRICT_TRANSPORT_SECURITY,
            format!("max-age={}", time.as_secs()),
        )),
        None => headers,
    }
}

/// Turns errors that no handler has answered, a caught panic's among them, into problems with the
/// default headers.
///
/// # Errors
///
/// Such an error. It holds the response, which actix sends.
pub async fn problems_only(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    next.call(request).await.map_err(|error| {
        let mut response = match error.as_error::<Problem>() {
            Some(problem) => problem.error_response(),
            None if error.as_response_error().status_code().is_server_error() => {
                Problem::internal().error_response()
            }
            None => {
                Problem::new(Code::BadRequest, "The request cannot be understood.").error_response()
            }
        };
        for (name, value) in DEFAULT_HEADERS {
            let (name, value) = (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            if !response.headers().contains_key(&name) {
                response.headers_mut().insert(name, value);
            }
        }
        InternalError::from_response(error, response).into()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{App, body::to_bytes, middleware::from_fn, test, web};
    use actix_web_lab::middleware::CatchPanic;

    use super::*;

    async fn panics() -> String {
        panic!("with a secret")
    }

    #[actix_web::test]
    async fn a_panic_in_a_handler_is_a_problem_that_does_not_quote_it() {
        let app = App::new()
            .wrap(CatchPanic::default())
            .wrap(from_fn(problems_only))
            .route("/", web::get().to(panics));
        let app = test::init_service(app).await;
        let request = test::TestRequest::get().uri("/").to_request();
        let error = test::try_call_service(&app, request).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), 500);
        let headers = response.headers();
        assert_eq!(
            headers.get("content-type").unwrap(),
            "application/problem+json"
        );
        assert_eq!(headers.get("x-content-type-options").unwrap(), "nosniff");
        // Not the default, which would let it be stored.
        assert_eq!(headers.get("cache-control").unwrap(), "no-store");
        let Ok(body) = to_bytes(response.into_body()).await else {
            panic!("a body")
        };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("secret"));
    }
}
