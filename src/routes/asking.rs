//! The caller of a request. A handler that takes one runs only for callers who may ask.

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderName, HeaderValue},
    web,
};

use super::{
    cookie,
    extract::only,
    problem::{Code, Problem},
    service::Service,
};
use crate::guard::{Caller, Credentials, Guard, Unauthorized};

/// The caller, who may ask.
#[derive(Clone, Debug)]
pub(super) struct Asking(pub(super) Caller);

impl FromRequest for Asking {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let service = request.app_data::<web::Data<Service>>();
        ready(match service {
            Some(service) => identify(request, &service.guard).map(Self),
            None => Err(Problem::internal()),
        })
    }
}

fn identify(request: &HttpRequest, guard: &Guard) -> Result<Caller, Problem> {
    let headers = request.headers();
    let access = guard.access();
    let user_header = access.user_header();
    let user_header = user_header.and_then(|name| HeaderName::try_from(name).ok());
    let caller = access.identify(&Credentials {
        peer: peer(request),
        forwarded: &forwarded(request),
        user: user_header.and_then(|name| only(headers, &name)),
        authorization: only(headers, &header::AUTHORIZATION),
        session: cookie::session(request),
    });
    if caller == Err(Unauthorized::Invalid) {
        count_sign_in(request, guard)?;
    }
    Ok(caller?)
}

/// Counts an attempt to sign in.
///
/// # Errors
///
/// The [`Problem`] of too many attempts.
pub(super) fn count_sign_in(request: &HttpRequest, guard: &Guard) -> Result<(), Problem> {
    let network = guard.access().network(peer(request), &forwarded(request));
    Ok(guard.costs().count_sign_in(network)?)
}

fn forwarded(request: &HttpRequest) -> Vec<&str> {
    let values = request
        .headers()
        .get_all(HeaderName::from_static("x-forwarded-for"));
    values
        .map(|value| HeaderValue::to_str(value).unwrap_or_default())
        .collect()
}

/// The other end of the connection; an address that is no client's if it has none.
fn peer(request: &HttpRequest) -> IpAddr {
    let address = request.peer_addr().as_ref().map(SocketAddr::ip);
    address.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

impl From<Unauthorized> for Problem {
    fn from(unauthorized: Unauthorized) -> Self {
        let detail = match unauthorized {
            Unauthorized::Missing => {
                "Sign in: send an access token as Authorization: Bearer TOKEN."
            }
            Unauthorized::Invalid => "This access token is not valid, or not any more.",
        };
        Self::new(Code::Unauthorized, detail)
    }
}
