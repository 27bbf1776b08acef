//! `/livez` and `/readyz`: whether the process is alive, and whether it takes new work.

use actix_web::{HttpResponse, Responder, web};
use actix_web_lab::header::{CacheControl, CacheDirective};
use serde::Serialize;

use super::Service;
use crate::store;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    /// Who answers; the page tells people when it is the simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'static str>,
    /// Where replies are kept, and whether that works. A server whose store is down stays ready:
    /// it still serves what runs, and if all replicas went away at once a blip of Redis's would be
    /// an outage.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'static str>,
}

/// The process answers.
pub(super) async fn live() -> impl Responder {
    HttpResponse::Ok()
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        .json(Health {
            status: "alive",
            upstream: None,
            store: None,
        })
}

/// The server takes new replies.
pub(super) async fn ready(service: web::Data<Service>) -> impl Responder {
    let (mut response, status) = if service.store.is_draining() {
        (HttpResponse::ServiceUnavailable(), "draining")
    } else {
        (HttpResponse::Ok(), "ready")
    };
    response
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        .json(Health {
            status,
            upstream: Some(service.provider),
            store: Some(match service.store.health() {
                store::Health::Memory => "memory",
                store::Health::Up => "up",
                store::Health::Down => "down",
            }),
        })
}
