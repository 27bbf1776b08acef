//! `/v1/session`: exchanges an access token for a cookie, so that the page does not have to keep the token.
//!
//! No script can read the cookie, and the browser sends it with no request that another site has started.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{self, Payload},
};
use actix_web_lab::header::{CacheControl, CacheDirective};
use serde::{Deserialize, Serialize};

use super::{
    asking::{self, Asking},
    cookie,
    problem::{Code, Problem},
    service::Service,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

#[derive(Serialize)]
struct Session<'a> {
    /// Of the caller; null if any client may ask.
    name: Option<&'a str>,
}

/// Signs in with an access token.
///
/// # Errors
///
/// The [`Problem`] with the token, of too many attempts, or of a server that has no tokens.
pub(super) async fn sign_in(
    request: HttpRequest,
    payload: Payload,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    asking::count_sign_in(&request, &service.guard)?;
    let (body, _share) = service.bodies.json(&request, payload).await?;
    let SignIn { token } = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(Code::BadRequest, "Send {\"token\": \"TOKEN\"}."))?;
    let access = service.guard.access();
    if access.tokens().is_none() {
        return Err(Problem::not_found());
    }
    let opened = access.sign_in(&token)?;
    let cookie = cookie::set(&request, &opened.session);
    Ok(with(HttpResponse::Ok(), cookie).json(Session {
        name: Some(&opened.name),
    }))
}

/// The caller's name.
///
/// # Errors
///
/// The [`Problem`] of a caller who has to sign in.
pub(super) async fn show(Asking(caller): Asking) -> Result<HttpResponse, Problem> {
    Ok(no_store(HttpResponse::Ok()).json(Session {
        name: caller.name(),
    }))
}

/// Signs out: the browser forgets the cookie.
pub(super) async fn sign_out(request: HttpRequest) -> HttpResponse {
    with(HttpResponse::NoContent(), cookie::removed(&request)).finish()
}

fn with(response: HttpResponseBuilder, cookie: String) -> HttpResponseBuilder {
    let mut response = no_store(response);
    response.insert_header((header::SET_COOKIE, cookie));
    response
}

fn no_store(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header(CacheControl(vec![CacheDirective::NoStore]));
    response
}
