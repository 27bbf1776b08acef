//! `GET /v1/replies/{id}/events`: the URL for an `EventSource`.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};
use actix_web_lab::header::{CacheControl, CacheDirective};

use super::{
    asking::Asking,
    extract::{self, FormatName},
    problem::{Code, Problem},
    service::Service,
};
use crate::{
    event::Seq,
    store::{Log, Position},
    viewer::{self, ChatCompletions, Format, OnDrain, UsageChunk, Viewer},
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
    let name = extract::format(&request)?;
    // Taken before the store is asked, which can take long: a drain that begins meanwhile waits for
    // this stream.
    let Some(watch) = service.drain.watch() else {
        return reconnect(name, cursor, Problem::draining());
    };
    let log = match service.log(&id, &caller).await {
        // The reply may exist, and may soon be readable again.
        Err(problem) if problem.code() == Code::StoreUnavailable => {
            return reconnect(name, cursor, Problem::draining());
        }
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
        _ => {
            let on_drain = match name {
                FormatName::Native | FormatName::ChatCompletions => OnDrain::Leave(watch),
                // Clients of these do not reconnect by themselves.
                FormatName::JsonLines | FormatName::PlainText => {
                    OnDrain::Stay(service.drain.guard())
                }
            };
            let format = format(name, &log);
            Ok(head(&format).body(viewer(&log, cursor, format, &service, on_drain)))
        }
    }
}

/// Makes an `EventSource` reconnect, to another replica or to this one later.
///
/// It gives up for good on any status but 200, so this is one. The connection is closed: behind a
/// load balancer that distributes connections, the next request on it would arrive here again.
///
/// # Errors
///
/// The problem itself, for clients that do not reconnect.
fn reconnect(name: FormatName, cursor: Seq, problem: Problem) -> Result<HttpResponse, Problem> {
    match name {
        FormatName::JsonLines | FormatName::PlainText => Err(problem),
        FormatName::Native | FormatName::ChatCompletions => {
            let hint = viewer::reconnect_hint(&Format::Native, cursor);
            Ok(head(&Format::Native).force_close().body(hint))
        }
    }
}

/// The format of that name, for one reply.
pub(super) fn format(name: FormatName, log: &Log) -> Format {
    match name {
        FormatName::Native => Format::Native,
        FormatName::JsonLines => Format::JsonLines,
        FormatName::PlainText => Format::PlainText,
        FormatName::ChatCompletions => Format::ChatCompletions(Box::new(ChatCompletions::new(
            log.id(),
            log.created(),
            UsageChunk::Included,
        ))),
    }
}

/// The body that streams the events after `cursor`.
pub(super) fn viewer(
    log: &Log,
    cursor: Seq,
    format: Format,
    service: &Service,
    on_drain: OnDrain,
) -> Viewer {
    Viewer::new(log.reader(), cursor, format, service.ping, on_drain)
}

/// The head of an event stream.
pub(super) fn head(format: &Format) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .insert_header(CacheControl(vec![
            CacheDirective::NoStore,
            CacheDirective::NoTransform,
        ]))
        // nginx and similar proxies buffer the events without this.
        .insert_header(("x-accel-buffering", "no"));
    response
}
