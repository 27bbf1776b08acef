//! `GET /v1/replies/{id}/events`: the URL for an `EventSource`.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};
use actix_web_lab::header::{CacheControl, CacheDirective};

use super::{
    asking::Asking,
    extract,
    problem::{Code, Problem},
    service::Service,
};
use crate::{
    event::Seq,
    store::{Log, Position},
    viewer::{self, OnDrain, Viewer},
};

/// Replays a reply's events after the cursor, then follows it to its end.
///
/// # Errors
///
/// The [`Problem`] with the cursor, or of an unknown reply. A store that does not answer is no error:
/// the client is told to reconnect.
pub(super) async fn follow(
    request: HttpRequest,
    id: web::Path<String>,
    service: web::Data<Service>,
    Asking(caller): Asking,
) -> Result<HttpResponse, Problem> {
    let cursor = extract::cursor(&request)?;
    // Taken before the store is asked, which can take long: a drain that begins meanwhile waits for
    // this stream.
    let Some(watch) = service.drain.watch() else {
        return Ok(reconnect(cursor));
    };
    let log = match service.log(&id, &caller).await {
        // The reply may exist, and may soon be readable again.
        Err(problem) if problem.code() == Code::StoreUnavailable => return Ok(reconnect(cursor)),
        found => found?,
    };
    match log.position() {
        // 204 is how the HTML standard tells an `EventSource` not to reconnect.
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

/// Makes an `EventSource` reconnect, to another replica or to this one later.
///
/// It gives up for good on any status but 200, so this is one. The connection is closed: behind a
/// load balancer that distributes connections, the next request on it would arrive here again.
fn reconnect(cursor: Seq) -> HttpResponse {
    head().force_close().body(viewer::reconnect_hint(cursor))
}

/// The body that streams the events after `cursor`.
pub(super) fn viewer(log: &Log, cursor: Seq, service: &Service, on_drain: OnDrain) -> Viewer {
    Viewer::new(log.reader(), cursor, service.ping, on_drain)
}

/// The head of an event stream.
pub(super) fn head() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header(CacheControl(vec![
            CacheDirective::NoStore,
            CacheDirective::NoTransform,
        ]))
        // nginx and similar proxies buffer the events without this.
        .insert_header(("x-accel-buffering", "no"));
    response
}
