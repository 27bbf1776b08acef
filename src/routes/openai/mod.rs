//! OpenAI's Chat Completions API, for clients that know no other: `POST /v1/chat/completions` and
//! `GET /v1/models`.
//!
//! A completion is a reply like any other. `Location` says where it can be read, resumed and stopped
//! by the routes of this server's own contract.

mod errors;

use std::{rc::Rc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName},
    web,
};
use serde_json::json;
use tokio::time::Instant;

pub use self::errors::openai_errors;
use super::{
    asking::Asking,
    events, extract,
    problem::{Code, Problem},
    replies::{self, no_store},
    service::Service,
    start::{Asked, start},
};
use crate::{
    chat::completions::{CompletionRequest, Delivery},
    event::{ErrorCode, Seq},
    store::{Log, Next, Snapshot},
    upstream::Upstream,
    viewer::{self, ChatCompletions, Format, MODEL, OnDrain, UsageChunk},
};

/// Lists the parts of a request that have no effect here.
const LEFT_OUT_HEADER: HeaderName = HeaderName::from_static("x-left-out");

/// Starts a reply, and answers with it in OpenAI's form.
///
/// # Errors
///
/// The [`Problem`] with the request, why no reply can be started at the moment, or how the reply failed
/// that was to be sent whole.
pub(super) async fn complete(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
    upstream: web::ThinData<Rc<Upstream>>,
    Asking(caller): Asking,
) -> Result<HttpResponse, Problem> {
    let accepted = Instant::now();
    service.guard.costs().count_request(&caller)?;
    let (body, memory) = service.bodies.json(&request, payload).await?;
    let CompletionRequest {
        chat,
        delivery,
        left_out,
    } = CompletionRequest::from_json(&body)?;
    drop(body);
    // Clients do not repeat a POST by themselves, so a drain waits for this one.
    let guard = service.drain.guard();
    let asked = Asked {
        chat,
        memory,
        idempotency: extract::idempotency_key(&request)?,
        accepted,
    };
    let started = start(asked, &caller, &service, upstream.0).await?;
    let log = started.log();
    let mut response = match delivery {
        Delivery::Whole => whole(log).await?,
        Delivery::Chunks => chunks(log, UsageChunk::LeftOut, &service, OnDrain::Stay(guard)),
        Delivery::ChunksAndUsage => {
            chunks(log, UsageChunk::Included, &service, OnDrain::Stay(guard))
        }
    };
    let headers = response.headers_mut();
    if let Ok(location) = replies::path(log).try_into() {
        headers.insert(header::LOCATION, location);
    }
    if !left_out.is_empty()
        && let Ok(names) = left_out.join(", ").try_into()
    {
        headers.insert(LEFT_OUT_HEADER, names);
    }
    Ok(response)
}

fn chunks(log: &Log, usage: UsageChunk, service: &Service, on_drain: OnDrain) -> HttpResponse {
    let format = ChatCompletions::new(log.id(), log.created(), usage);
    let format = Format::ChatCompletions(Box::new(format));
    let mut response = events::head(&format);
    response.body(events::viewer(log, Seq::ZERO, format, service, on_drain))
}

/// Waits for the end and answers with the whole reply.
async fn whole(log: &Log) -> Result<HttpResponse, Problem> {
    // While it waits, the reply counts as read.
    let mut reader = log.reader();
    let mut cursor = Seq::ZERO;
    while let Next::Event { seq, last, .. } = reader.read_after(cursor).await {
        cursor = seq;
        if last {
            break;
        }
    }
    let Snapshot { content, .. } = log.snapshot().await?;
    let Some(end) = &content.end else {
        // Its log was lost.
        return Err(Problem::store_unavailable());
    };
    match viewer::finish_reason(end) {
        Ok(reason) => {
            let usage = end.usage.as_ref();
            let text = &content.text;
            let completion = viewer::completion(log.id(), log.created(), text, reason, usage);
            let mut response = HttpResponse::Ok();
            Ok(response.insert_header(no_store()).json(completion))
        }
        Err(unfinished) => {
            let failure = end.error.as_ref();
            let code = failure.map_or(Code::Stopped, |error| failure_code(error.code));
            let problem = Problem::new(code, unfinished.message);
            let wait = failure.and_then(|error| error.retry_after_ms);
            Err(match wait {
                Some(wait) => problem.retry_after(Duration::from_millis(wait)),
                None => problem,
            })
        }
    }
}

/// The HTTP error that a failed reply is, where it was to be sent whole.
const fn failure_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::PromptFiltered => Code::PromptFiltered,
        ErrorCode::ContextTooLong => Code::ContextTooLong,
        ErrorCode::RateLimited => Code::RateLimited,
        ErrorCode::UpstreamUnavailable | ErrorCode::ServerShutdown | ErrorCode::ProducerLost => {
            Code::UpstreamUnavailable
        }
        ErrorCode::UpstreamTimeout | ErrorCode::UpstreamStalled | ErrorCode::ReplyTimeout => {
            Code::UpstreamTimeout
        }
        ErrorCode::Internal => Code::Internal,
        _ => Code::UpstreamFailed,
    }
}

/// The one model that there is, whatever name a client asks by.
pub(super) async fn models(_: Asking) -> HttpResponse {
    HttpResponse::Ok().json(json!({"object": "list", "data": [model_object()]}))
}

/// The same by its name.
///
/// # Errors
///
/// The [`Problem`] of another name.
pub(super) async fn model(name: web::Path<String>, _: Asking) -> Result<HttpResponse, Problem> {
    if *name == MODEL {
        Ok(HttpResponse::Ok().json(model_object()))
    } else {
        Err(Problem::not_found())
    }
}

fn model_object() -> serde_json::Value {
    json!({"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL})
}
