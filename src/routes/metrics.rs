//! `GET /metrics`: figures for Prometheus.

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::header::{CONTENT_TYPE, HeaderValue},
    web,
};

use super::{
    asking::Asking,
    gate::LocalAddress,
    problem::{Code, Problem},
    service::Service,
};
use crate::{
    guard::Caller,
    metrics::{self, Moment},
    store::Health,
};

/// The figures, for who may have them: the holder of a token, and this machine.
///
/// # Errors
///
/// The [`Problem`] of a caller who may not.
pub(super) async fn guarded(
    request: HttpRequest,
    Asking(caller): Asking,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let local = request.conn_data::<LocalAddress>();
    let is_here = local.is_some_and(|LocalAddress(ip)| ip.is_loopback());
    if is_here || !matches!(caller, Caller::Anonymous(_)) {
        Ok(figures(&service))
    } else {
        Err(Problem::new(
            Code::Forbidden,
            "Figures are for callers with an access token. METRICS_ADDR gives them an address of their own.",
        ))
    }
}

/// The resource on `METRICS_ADDR`, which asks nothing of a caller.
#[must_use]
pub fn metrics_resource() -> Resource {
    web::resource("/metrics")
        .route(web::get().to(async |service: web::Data<Service>| figures(&service)))
}

fn figures(service: &Service) -> HttpResponse {
    let store = &service.store;
    let text = metrics::text(Moment {
        running: store.running(),
        unreplicated: store.unreplicated(),
        store_up: store.health() != Health::Down,
        draining: store.is_draining(),
    });
    HttpResponse::Ok()
        .insert_header((
            CONTENT_TYPE,
            HeaderValue::from_static(metrics::CONTENT_TYPE),
        ))
        .body(text)
}
