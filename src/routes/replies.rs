//! `POST /v1/replies`, and a reply's snapshot and stop.

use std::{rc::Rc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};
use actix_web_lab::header::{CacheControl, CacheDirective};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{
    asking::Asking,
    events, extract,
    problem::Problem,
    service::Service,
    start::{Asked, start},
};
use crate::{
    chat::ChatRequest,
    event::{Created, End, ReplyId, Seq, Status},
    generation::Started,
    store::{Log, Snapshot},
    upstream::Upstream,
    viewer::OnDrain,
};

/// How long a stop waits for the `end` before it answers that the reply is still running.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts a reply, or finds the one that the same `Idempotency-Key` started.
///
/// # Errors
///
/// The [`Problem`] with the request, or why no reply can be started at the moment.
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
    upstream: web::ThinData<Rc<Upstream>>,
    Asking(caller): Asking,
) -> Result<HttpResponse, Problem> {
    let accepted = Instant::now();
    service.guard.costs().count_request(&caller)?;
    let (body, memory) = service.bodies.json(&request, payload).await?;
    let chat = ChatRequest::from_json(&body)?;
    drop(body);
    let asked = Asked {
        chat,
        memory,
        idempotency: extract::idempotency_key(&request)?,
        accepted,
    };
    let started = start(asked, &caller, &service, upstream.0).await?;
    let log = started.log();
    let mut response = match &started {
        Started::New(_) => HttpResponse::Created(),
        Started::Existing(_) => HttpResponse::Ok(),
    };
    let location = (header::LOCATION, path(log));
    let Some(name) = extract::accepted_format(&request) else {
        return Ok(response
            .insert_header(location)
            .insert_header(no_store())
            .json(StartedBody::of(log)));
    };
    // Clients do not repeat a POST by themselves, so this stream has to end here.
    let on_drain = OnDrain::Stay(service.drain.guard());
    let format = events::format(name, log);
    let mut response = events::head(&format);
    let viewer = events::viewer(log, Seq::ZERO, format, &service, on_drain);
    Ok(response.insert_header(location).body(viewer))
}

/// The reply at this moment.
///
/// # Errors
///
/// The [`Problem`] of an unknown reply, or of a store that cannot read it at the moment.
pub(super) async fn snapshot(
    id: web::Path<String>,
    service: web::Data<Service>,
    Asking(caller): Asking,
) -> Result<HttpResponse, Problem> {
    let log = service.log(&id, &caller).await?;
    snapshot_response(HttpResponse::Ok(), &log, &service).await
}

/// Stops a reply. Stopping one that has ended changes nothing.
///
/// # Errors
///
/// The [`Problem`] of an unknown reply, or of a replica that cannot be asked to stop it.
pub(super) async fn stop(
    id: web::Path<String>,
    service: web::Data<Service>,
    Asking(caller): Asking,
) -> Result<HttpResponse, Problem> {
    let log = service.log(&id, &caller).await?;
    log.stop().await?;
    // The generation runs on another thread and stops quickly. Waiting for it makes the answer say
    // how the reply ended; if it takes longer, the answer says `running`.
    let mut reader = log.reader();
    let _ = timeout(STOP_TIMEOUT, reader.read_after(Seq(u64::MAX))).await;
    snapshot_response(HttpResponse::Accepted(), &log, &service).await
}

/// A reply's status: `running`, or one of the three ways to end.
#[derive(Serialize)]
#[serde(untagged)]
enum State {
    Running(&'static str),
    Ended(Status),
}

impl State {
    const RUNNING: Self = Self::Running("running");
}

#[derive(Serialize)]
struct StartedBody {
    id: ReplyId,
    status: State,
    created: Created,
    events: String,
    #[serde(rename = "self")]
    itself: String,
}

impl StartedBody {
    fn of(log: &Log) -> Self {
        let itself = path(log);
        let end = log.end();
        Self {
            id: log.id(),
            status: end.map_or(State::RUNNING, |end| State::Ended(end.status)),
            created: log.created(),
            events: format!("{itself}/events"),
            itself,
        }
    }
}

/// A snapshot without its texts.
#[derive(Serialize)]
struct SnapshotHead {
    id: ReplyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<State>,
    last_event_id: Seq,
    created: Created,
    /// Has a `status` of its own.
    #[serde(flatten)]
    end: Option<End>,
}

async fn snapshot_response(
    mut response: HttpResponseBuilder,
    log: &Log,
    service: &Service,
) -> Result<HttpResponse, Problem> {
    let Snapshot { content, last } = log.snapshot().await?;
    let head = SnapshotHead {
        id: log.id(),
        status: content.end.is_none().then_some(State::RUNNING),
        last_event_id: last,
        created: log.created(),
        end: content.end,
    };
    let mut texts = vec![("text", content.text)];
    if !content.reasoning.is_empty() {
        texts.push(("reasoning", content.reasoning));
    }
    response.insert_header(no_store());
    service.snapshots.respond(response, &head, texts)
}

/// The path of a reply.
pub(super) fn path(log: &Log) -> String {
    format!("/v1/replies/{}", log.id())
}

/// For answers that are about one moment.
pub(super) fn no_store() -> CacheControl {
    CacheControl(vec![CacheDirective::NoStore])
}
