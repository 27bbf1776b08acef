//! The HTTP interface: extract, call, answer. Here generations and viewers are started; neither
//! learns of the other.

mod events;
mod health;
mod problem;
mod replies;

use std::{path::PathBuf, time::Duration};

use actix_files::Files;
use actix_web::{
    ResponseError as _, Route,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{DefaultHeaders, Next},
    web,
};
use problem::{Code, Problem};

use crate::{
    generation::Limits,
    shutdown::DrainSignal,
    store::{Log, Store},
};

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Service {
    /// Where replies are kept.
    pub store: Store,
    /// How long and how large a reply may be.
    pub limits: Limits,
    /// Silence after which a viewer gets a ping.
    pub ping: Duration,
    /// Who answers: `simulator`, `azure` or `compatible`.
    pub provider: &'static str,
    /// Tells streams whose clients resume by themselves to leave for another replica.
    pub drain: DrainSignal,
}

/// Adds every route. `static_dir` is the page's directory.
pub fn configure(app: &mut web::ServiceConfig, static_dir: PathBuf) {
    app.service(
        web::resource("/v1/replies")
            .route(web::post().to(replies::create))
            .default_service(other_methods("POST")),
    )
    .service(
        web::resource("/v1/replies/{id}")
            .route(web::get().to(replies::snapshot))
            .route(web::delete().to(replies::stop))
            .default_service(other_methods("GET, DELETE")),
    )
    .service(
        web::resource("/v1/replies/{id}/events")
            .route(web::get().to(events::follow))
            .default_service(other_methods("GET")),
    )
    .service(
        web::resource("/livez")
            .route(web::get().to(health::live))
            .route(web::head().to(health::live))
            .default_service(other_methods("GET, HEAD")),
    )
    .service(
        web::resource("/readyz")
            .route(web::get().to(health::ready))
            .route(web::head().to(health::ready))
            .default_service(other_methods("GET, HEAD")),
    )
    .service(web::scope("/v1").default_service(web::to(not_found)))
    .service(
        Files::new("/", static_dir)
            .index_file("index.html")
            .default_handler(web::to(not_found)),
    );
}

/// What answers the methods that a path does not take.
fn other_methods(allow: &'static str) -> Route {
    web::to(move || async move { Problem::method_not_allowed(allow).error_response() })
}

/// Headers that every answer has unless it says otherwise.
///
/// The policy lets the page load its own script and style and talk to this server, and nothing
/// else: model output is hostile text, and even a fault in the page must not let it run.
#[must_use]
pub fn default_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'",
        ))
        .add(("x-content-type-options", "nosniff"))
        .add(("referrer-policy", "no-referrer"))
        .add(("cross-origin-opener-policy", "same-origin"))
        // The page is asked for anew each time, and answered 304 while it is the same.
        .add(("cache-control", "no-cache"))
}

/// Turns errors that are not ours, a caught panic's among them, into a problem of ours.
pub async fn problems_only(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    next.call(request)
        .await
        .map_err(|error| match error.as_error::<Problem>() {
            Some(_) => error,
            None if error.as_response_error().status_code().is_server_error() => {
                Problem::new(Code::Internal, "The server met a fault of its own.").into()
            }
            None => Problem::new(Code::BadRequest, "The request cannot be understood.").into(),
        })
}

async fn not_found() -> Result<String, Problem> {
    Err(Problem::new(
        Code::NotFound,
        "There is nothing at this path.",
    ))
}

async fn found(service: &Service, id: &str) -> Result<Log, Problem> {
    let id = id.parse().map_err(|_| Problem::reply_not_found())?;
    service
        .store
        .find(id)
        .await?
        .ok_or_else(Problem::reply_not_found)
}

#[cfg(test)]
mod tests {
    use actix_web::{App, body::to_bytes, middleware::from_fn, test};
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
        let Ok(body) = to_bytes(response.into_body()).await else {
            panic!("a body")
        };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("secret"));
    }
}
