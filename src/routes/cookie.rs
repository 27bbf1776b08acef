//! The cookie of a session.
//!
//! Browsers accept a cookie with the prefix `__Host-` only over TLS, and from this very host. On the loopback
//! interface there is no TLS, and no other host either.

use actix_web::{HttpRequest, http::header};

use super::extract::host;
use crate::guard::{HostName, SESSION_TTL};

const NAME: &str = "__Host-rasta-session";
const LOOPBACK_NAME: &str = "rasta-session";

/// The session in a request.
pub(super) fn session(request: &HttpRequest) -> Option<&str> {
    let (name, _) = form(request);
    let values = request.headers().get_all(header::COOKIE);
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(its, _)| *its == name)
        .map(|(_, session)| session)
}

/// Gives a session to the browser.
pub(super) fn set(request: &HttpRequest, session: &str) -> String {
    let (name, secure) = form(request);
    let age = SESSION_TTL.as_secs();
    format!("{name}={session}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Takes the session from the browser.
pub(super) fn removed(request: &HttpRequest) -> String {
    let (name, secure) = form(request);
    format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{secure}")
}

/// The name, and what makes the browser send it over TLS only.
fn form(request: &HttpRequest) -> (&'static str, &'static str) {
    let host = host(request).and_then(HostName::parse);
    if host.is_some_and(|host| host.is_loopback()) {
        (LOOPBACK_NAME, "")
    } else {
        (NAME, "; Secure")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(host: &str, cookie: &str) -> HttpRequest {
        let request = TestRequest::default().insert_header(("host", host));
        request.insert_header(("cookie", cookie)).to_http_request()
    }

    #[test]
    fn only_on_loopback_a_session_may_come_without_tls() {
        for (host, cookie, expected) in [
            ("localhost:8080", "a=b; rasta-session=s", Some("s")),
            ("[::1]", "rasta-session=s", Some("s")),
            ("chat.example.com", "__Host-rasta-session=s;x=y", Some("s")),
            // Another host of the domain, or a person in between, may have set it.
            ("chat.example.com", "rasta-session=s", None),
            ("localhost", "__Host-rasta-session=s", None),
            ("chat.example.com", "x__Host-rasta-session=s", None),
            ("chat.example.com", "", None),
        ] {
            assert_eq!(session(&request(host, cookie)), expected, "{host} {cookie}");
        }
        let on = |host| set(&request(host, ""), "s");
        assert_eq!(
            on("chat.example.com"),
            "__Host-rasta-session=s; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            on("localhost"),
            "rasta-session=s; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn over_http_2_the_name_is_in_the_url() {
        for (url, name) in [
            ("https://localhost:8443/v1/session", "rasta-session=s;"),
            (
                "https://chat.example.com/v1/session",
                "__Host-rasta-session=s;",
            ),
        ] {
            let request = TestRequest::with_uri(url).to_http_request();
            assert!(set(&request, "s").starts_with(name), "{url}");
        }
    }
}
