//! The HTTP interface: extract, call, answer. It starts generations and viewers, which do not know
//! each other.

mod problem;
mod service;
mod extract;
mod body;
mod cookie;
mod asking;
mod start;
mod events;
mod doctor;
mod snapshot;
mod replies;
mod session;
mod openai;
mod health;
mod metrics;
mod identity;
mod page;
mod middleware;
mod gate;
mod connection;

use actix_web::{ResponseError as _, Route, web};

use self::problem::Problem;
pub use self::{
    body::Bodies,
    connection::tied_to_connection,
    gate::{LocalAddress, cors, gate},
    identity::identified,
    metrics::metrics_resource,
    middleware::{default_headers, problems_only},
    openai::openai_errors,
    page::{NoIndex, Page},
    service::{Provider, Service},
    snapshot::Snapshots,
};

/// Adds every route.
pub fn configure(app: &mut web::ServiceConfig, page: &Page) {
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
        web::resource("/v1/session")
            .route(web::post().to(session::sign_in))
            .route(web::get().to(session::show))
            .route(web::delete().to(session::sign_out))
            .default_service(other_methods("GET, POST, DELETE")),
    )
    .service(
        web::resource("/v1/chat/completions")
            .route(web::post().to(openai::complete))
            .default_service(other_methods("POST")),
    )
    .service(
        web::resource("/v1/models")
            .route(web::get().to(openai::models))
            .default_service(other_methods("GET")),
    )
    .service(
        web::resource("/v1/models/{name}")
            .route(web::get().to(openai::model))
            .default_service(other_methods("GET")),
    )
    .service(
        web::resource("/v1/doctor")
            .route(web::get().to(doctor::examine))
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
    .service(
        web::resource("/metrics")
            .route(web::get().to(metrics::guarded))
            .default_service(other_methods("GET")),
    )
    .service(web::scope("/v1").default_service(web::to(not_found)))
    .default_service(web::to(not_found));
    page.configure(app);
}

/// Answers the methods that a path does not support.
fn other_methods(allow: &'static str) -> Route {
    web::to(move || async move { Problem::method_not_allowed(allow).error_response() })
}

async fn not_found() -> Result<String, Problem> {
    Err(Problem::not_found())
}
