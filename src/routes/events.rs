//! `GET /v1/replies/{id}/events`: the URL for an `EventSource`.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};
use actix_web_lab::header::{CacheControl, CacheDirective};

use super::{
    Service, found,
    problem::{Code, Problem},
};
use crate::{
    event::Seq,
    store::{Log, Position},
    viewer::{self, OnDrain, Viewer},
};

/// Replays a reply's events after the cursor, then follows it to its end.
pub(super) async fn follow(
    request: HttpRequest,
    id: web::Path<String>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let cursor = cursor(&request)?;
    // Before the store is asked, which may take long: a drain that starts meanwhile waits for this.
    let Some(watch) = service.drain.watch() else {
        return Ok(reconnect(cursor));
    };
    let log = match found(&service, &id).await {
        // The reply may exist, and be readable again soon.
        Err(problem) if problem.code() == Code::StoreUnavailable => return Ok(reconnect(cursor)),
        found => found?,
    };
    match log.position() {
        // How the HTML standard tells an `EventSource` not to reconnect.
        Position { seq, ended: true } if cursor == seq => Ok(HttpResponse::NoContent()
            .insert_header(CacheControl(vec![CacheDirective::NoStore]))
            .finish()),
        Position { seq, ended: true } if cursor > seq => Err(Problem::new(
            Code::CursorAhead,
            format!("This reply ended with event {seq}."),
        )),
        _ => Ok(head().body(viewer(&log, cursor, &service, OnDrain::Leave(watch)))),
    }
}

/// Makes an `EventSource` reconnect, to another replica or to this one later. An `EventSource` gives
/// up for good on every status but 200, so this is one. The connection is closed, since a load
/// balancer that balances connections would otherwise lead the next request here again.
fn reconnect(cursor: Seq) -> HttpResponse {
    head().force_close().body(viewer::reconnect_hint(cursor))
}

/// The body that streams the events after `cursor`.
pub(super) fn viewer(log: &Log, cursor: Seq, service: &Service, on_drain: OnDrain) -> Viewer {
    Viewer::new(log.reader(), cursor, service.ping, on_drain)
}

/// The head of a stream of events.
pub(super) fn head() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header(CacheControl(vec![
            CacheDirective::NoStore,
            CacheDirective::NoTransform,
        ]))
        // Makes nginx and similar proxies pass events on at once.
        .insert_header(("x-accel-buffering", "no"));
    response
}

/// `Last-Event-ID`, else `?after=`, else 0, which is the beginning. An `EventSource` cannot send the
/// header on its first connection and cannot change the URL on later ones.
fn cursor(request: &HttpRequest) -> Result<Seq, Problem> {
    let header = match request.headers().get("last-event-id") {
        Some(value) => Some(value.to_str().map_err(|_| bad_cursor())?.to_owned()),
        None => None,
    };
    let text = header.filter(|text| !text.is_empty()).or_else(|| {
        url::form_urlencoded::parse(request.query_string().as_bytes())
            .find(|(name, _)| name == "after")
            .map(|(_, value)| value.into_owned())
    });
    match text.as_deref() {
        None | Some("") => Ok(Seq::ZERO),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Seq).map_err(|_| bad_cursor())
        }
        Some(_) => Err(bad_cursor()),
    }
}

fn bad_cursor() -> Problem {
    Problem::new(
        Code::BadCursor,
        "Last-Event-ID and after take a decimal number.",
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn cursor_of(header: Option<&str>, query: &str) -> Option<u64> {
        let mut request = TestRequest::with_uri(&format!("/{query}"));
        if let Some(value) = header {
            request = request.insert_header(("last-event-id", value));
        }
        cursor(&request.to_http_request()).ok().map(|seq| seq.0)
    }

    #[test]
    fn the_header_comes_first_then_the_query_then_the_beginning() {
        assert_eq!(cursor_of(Some("7"), "?after=3"), Some(7));
        assert_eq!(cursor_of(Some("0"), "?after=3"), Some(0));
        assert_eq!(cursor_of(None, "?x=1&after=3"), Some(3));
        assert_eq!(cursor_of(Some(""), "?after=3"), Some(3));
        assert_eq!(cursor_of(None, "?after="), Some(0));
        assert_eq!(cursor_of(None, ""), Some(0));
        assert_eq!(cursor_of(Some("18446744073709551615"), ""), Some(u64::MAX));
    }

    #[test]
    fn what_is_not_a_decimal_number_is_no_cursor() {
        for bad in [
            "-1",
            "+1",
            "1.0",
            "0x1",
            "one",
            " 1 2",
            "18446744073709551616",
            "١",
        ] {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            let query = query.append_pair("after", bad).finish();
            assert_eq!(cursor_of(None, &format!("?{query}")), None, "for {bad}");
        }
        assert_eq!(cursor_of(Some("abc"), "?after=3"), None);
    }
}
