//! Ties each response to its connection: while one is being sent, the connection is busy; on a
//! connection for which there is no room, requests are refused.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, ResponseError as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Version,
        header::{HOST, HeaderValue, TRANSFER_ENCODING},
    },
    middleware::Next,
};
use bytes::Bytes;

use super::problem::{Code, Problem};
use crate::connection::{Activity, RequestGuard};

/// The most responses at a time on one connection, which HTTP/2 allows without a limit of its own.
/// Stops a client that opens streams for nothing.
const STREAMS_LIMIT: usize = 256;

/// Has to be around everything that can answer: deadlines count only requests that come through here.
///
/// # Errors
///
/// Those of the handler.
pub async fn tied_to_connection(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    name_host(&mut request);
    let Some(activity) = request.conn_data::<Activity>().cloned() else {
        return next.call(request).await;
    };
    let others = activity.requests();
    let guard = activity.begin();
    // An orchestrator would restart a server for being busy.
    let is_health_check = matches!(request.path(), "/livez" | "/readyz");
    let refusal = match () {
        () if is_health_check => None,
        () if !activity.has_room() => Some("Too many connections are open; please try again."),
        () if others >= STREAMS_LIMIT => {
            Some("Too many requests are open on this connection; please try again.")
        }
        () => None,
    };
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let response = match refusal {
        None => next.call(request).await?,
        Some(detail) => {
            let mut response = Problem::new(Code::Overloaded, detail).error_response();
            let head = response.head_mut();
            head.set_connection_type(ConnectionType::Close);
            request.into_response(response)
        }
    };
    if is_chunked && response.status().is_client_error() {
        // actix waits for the rest of the body, which may never come.
        activity.expect_rest();
    }
    Ok(response.map_body(|_, body| BoxBody::new(Tied { body, guard })))
}

/// HTTP/2 names the host in its URL. Everything behind reads `Host`.
fn name_host(request: &mut ServiceRequest) {
    if request.version() == Version::HTTP_2
        && !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
}

/// A body during which the connection is busy.
struct Tied {
    body: BoxBody,
    guard: RequestGuard,
}

impl MessageBody for Tied {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        this.guard.pieces_taken();
        let piece = Pin::new(&mut this.body).poll_next(cx);
        if let Poll::Ready(Some(_)) = &piece {
            this.guard.piece_waits();
        }
        piece
    }
}
