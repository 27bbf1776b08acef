//! `/livez` and `/readyz`: whether the process is alive, and whether it takes new replies.

use actix_web::{HttpResponse, Responder, web};
use actix_web_lab::header::{CacheControl, CacheDirective};
use serde::Serialize;

use super::service::{Provider, Service};
use crate::store;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    upstream: Provider,
    /// Where replies are kept, and whether that works. A server whose Redis is down stays ready: it
    /// still serves the replies that run here. If every replica became unready at once, a short
    /// failure of Redis would be an outage.
    store: &'static str,
    /// The silence after which a viewer gets a ping: a client that knows it can tell a dead connection.
    ping_seconds: f64,
}

/// The process answers.
pub(super) async fn live() -> impl Responder {
    HttpResponse::Ok()
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        .json(Alive { status: "alive" })
}

/// Whether the server takes new replies.
pub(super) async fn ready(service: web::Data<Service>) -> impl Responder {
    let (mut response, status) = if service.store.is_draining() {
        (HttpResponse::ServiceUnavailable(), "draining")
    } else {
        (HttpResponse::Ok(), "ready")
    };
    response
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        .json(Ready {
            status,
            upstream: service.provider,
            store: match service.store.health() {
                store::Health::Memory => "memory",
                store::Health::Up => "up",
                store::Health::Down => "down",
            },
            ping_seconds: service.ping.as_secs_f64(),
        })
}
