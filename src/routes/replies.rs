//! `POST /v1/replies`, and a reply's snapshot and stop.

use std::{rc::Rc, time::Duration};

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::header::{self, Accept, ContentType, Header as _},
    web,
};
use actix_web_lab::header::{CacheControl, CacheDirective};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{
    Service, events, found,
    problem::{Code, MAX_BODY_BYTES, Problem},
};
use crate::{
    chat::ChatRequest,
    event::{Created, End, ReplyId, Seq, Status},
    generation::{self, Started},
    store::{self, IdempotencyKey, Log},
    upstream::Upstream,
    viewer::OnDrain,
};

/// How long a caller may take to send its body. Stops one that sends a byte a minute from holding
/// a connection for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits for the `end` before it answers with a reply that still runs.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A reply's state: `running`, or one of the three ways to end.
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

#[derive(Serialize)]
struct SnapshotBody {
    id: ReplyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<State>,
    text: String,
    last_event_id: Seq,
    created: Created,
    /// Has a `status` of its own.
    #[serde(flatten)]
    end: Option<End>,
}

/// Starts a reply, or finds the one that the same `Idempotency-Key` started.
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
    upstream: web::ThinData<Rc<Upstream>>,
) -> Result<HttpResponse, Problem> {
    let accepted = Instant::now();
    let chat = ChatRequest::from_json(&read_body(&request, payload).await?)?;
    let idempotency = idempotency_key(&request)?.map(|key| store::Request {
        key,
        fingerprint: chat.fingerprint(),
    });
    let started = generation::start(
        service.store.clone(),
        upstream.0,
        chat,
        idempotency,
        service.limits.clone(),
        accepted,
    )
    .await?;
    let (mut response, log) = match started {
        Started::New(log) => (HttpResponse::Created(), log),
        Started::Existing(log) => (HttpResponse::Ok(), log),
    };
    let location = (header::LOCATION, path(&log));
    if wants_events(&request) {
        // No client repeats a POST by itself, so this stream has to end here.
        let on_drain = OnDrain::Stay(service.drain.guard());
        let viewer = events::viewer(&log, Seq::ZERO, &service, on_drain);
        return Ok(events::head().insert_header(location).body(viewer));
    }
    Ok(response
        .insert_header(location)
        .insert_header(no_store())
        .json(started_body(&log)))
}

/// The reply as it stands.
pub(super) async fn snapshot(
    id: web::Path<String>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let log = found(&service, &id).await?;
    snapshot_response(HttpResponse::Ok(), &log).await
}

/// Stops a reply. Stopping one that has ended changes nothing.
pub(super) async fn stop(
    id: web::Path<String>,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let log = found(&service, &id).await?;
    log.stop().await?;
    // The answer then says how it ended. The generation is on another thread, and is quick.
    let mut reader = log.reader();
    let _ = timeout(STOP_TIMEOUT, reader.read_after(Seq(u64::MAX))).await;
    snapshot_response(HttpResponse::Accepted(), &log).await
}

fn started_body(log: &Log) -> StartedBody {
    let itself = path(log);
    let status = log
        .end()
        .map_or(State::RUNNING, |end| State::Ended(end.status));
    StartedBody {
        id: log.id(),
        status,
        created: log.created(),
        events: format!("{itself}/events"),
        itself,
    }
}

async fn snapshot_response(
    mut response: actix_web::HttpResponseBuilder,
    log: &Log,
) -> Result<HttpResponse, Problem> {
    let snapshot = log.snapshot().await?;
    Ok(response.insert_header(no_store()).json(SnapshotBody {
        id: log.id(),
        status: snapshot.end.is_none().then_some(State::RUNNING),
        text: snapshot.text,
        last_event_id: snapshot.last,
        created: log.created(),
        end: snapshot.end,
    }))
}

fn path(log: &Log) -> String {
    format!("/v1/replies/{}", log.id())
}

fn no_store() -> CacheControl {
    CacheControl(vec![CacheDirective::NoStore])
}

/// Whether the events are to stream in the answer: the caller lists them, and likes nothing better.
fn wants_events(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else {
        return false;
    };
    let quality = |subtype: &str| {
        accept
            .iter()
            .filter(|item| item.item.essence_str() == subtype)
            .map(|item| item.quality)
            .max()
    };
    match (quality("text/event-stream"), quality("application/json")) {
        (None, _) => false,
        (Some(events), json) => events > header::Quality::ZERO && Some(events) >= json,
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().and_then(IdempotencyKey::parse);
    key.map(Some).ok_or_else(|| {
        Problem::new(
            Code::BadRequest,
            "An Idempotency-Key is 16 to 128 visible ASCII characters.",
        )
    })
}

async fn read_body(request: &HttpRequest, mut payload: web::Payload) -> Result<BytesMut, Problem> {
    // A type that a form cannot send: another site's page cannot post here without asking first.
    if !request
        .content_type()
        .eq_ignore_ascii_case(ContentType::json().essence_str())
    {
        let detail = "Send the body with Content-Type: application/json.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Problem::too_large());
    }
    let read = async {
        let mut body = BytesMut::with_capacity(announced.unwrap_or_default());
        while let Some(part) = payload.next().await {
            let part =
                part.map_err(|_| Problem::new(Code::BadRequest, "The body did not come whole."))?;
            if body.len() + part.len() > MAX_BODY_BYTES {
                return Err(Problem::too_large());
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    };
    timeout(BODY_TIMEOUT, read)
        .await
        .map_err(|_| Problem::new(Code::BadRequest, "The body did not come in time."))?
}
