//! Refuses requests that come from where they should not: under a name that is not this server's, or from
//! a page of another site.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::{
    ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName},
        uri::Authority,
    },
    middleware::{Condition, Next},
    web,
};

use super::{
    extract::{host, only},
    problem::{Code, Problem},
    service::Service,
};
use crate::guard::{Guard, HostName, Origins, Source};

/// The address of this server on which a connection has arrived, as connection data.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddress(pub IpAddr);

/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_SECONDS: usize = 600;

/// Paths that say only whether the server is well. A probe asks by the address of a pod or a container,
/// which no setting can list.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Checks where a request comes from, before anything else is done with it.
///
/// # Errors
///
/// Those of the service; a refusal is a response.
pub async fn gate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let refused = match request.app_data::<web::Data<Service>>() {
        Some(service) => check(&request, &service.guard).err(),
        None => Some(Problem::internal()),
    };
    match refused {
        Some(problem) => Ok(request.into_response(problem.error_response())),
        None => {
            let response = next.call(request).await?.map_into_boxed_body();
            Ok(preflight_as_problem(response))
        }
    }
}

fn check(request: &ServiceRequest, guard: &Guard) -> Result<(), Problem> {
    if !PROBES.contains(&request.path()) {
        check_host(request, guard)?;
    }
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let changes_nothing = request.method().is_safe() && !is_preflight;
    let headers = request.headers();
    let source = Source {
        origin: only(headers, &header::ORIGIN),
        site: only(headers, &HeaderName::from_static("sec-fetch-site")),
        host: host(request.request()),
    };
    if changes_nothing || guard.origins().admit(source) {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Forbidden,
            "Pages of other sites may not do this. ALLOWED_ORIGINS lists those that may.",
        ))
    }
}

/// HTTP/2 and requests to a proxy have the name in the URL, all others in `Host`.
fn check_host(request: &ServiceRequest, guard: &Guard) -> Result<(), Problem> {
    let local = request.conn_data::<LocalAddress>();
    let local = local.map(|LocalAddress(ip)| *ip);
    let in_url = request.uri().authority().map(Authority::as_str);
    let names = [in_url, only(request.headers(), &header::HOST)];
    let mut names = names.into_iter().flatten().peekable();
    let admitted = names.peek().is_some()
        && names.all(|name| {
            HostName::parse(name).is_some_and(|name| guard.hosts().admits(&name, local))
        });
    if admitted {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Misdirected,
            "This server is not known by that name. ALLOWED_HOSTS lists its names.",
        ))
    }
}

/// CORS for the listed origins; without any, no response has its headers.
pub fn cors(origins: &Origins) -> Condition<Cors> {
    let mut listed = origins.iter().peekable();
    let any = listed.peek().is_some();
    let cors = listed.fold(Cors::default(), |cors, origin| {
        cors.allowed_origin(origin.as_str())
    });
    let cors = cors
        .allowed_methods(["GET", "POST", "DELETE"])
        .allowed_headers([
            "accept",
            "authorization",
            "content-type",
            "idempotency-key",
            "last-event-id",
            "traceparent",
            "x-request-id",
        ])
        .expose_headers(["location", "retry-after", "x-request-id"])
        .supports_credentials()
        .max_age(PREFLIGHT_SECONDS);
    Condition::new(any, cors)
}

/// A preflight for what no request may do is a problem like all others.
fn preflight_as_problem(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let error = response.response().error();
    if error.is_some_and(|error| error.as_error::<actix_cors::CorsError>().is_some()) {
        let detail = "No request with this method and these headers is allowed.";
        let problem = Problem::new(Code::Forbidden, detail);
        return ServiceResponse::new(response.into_parts().0, problem.error_response());
    }
    response
}
