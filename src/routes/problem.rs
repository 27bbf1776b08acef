//! Every HTTP error of the API, as `application/problem+json` ([RFC 9457]).
//!
//! The list of codes is closed, and each `detail` is a sentence of ours: nothing of what a caller
//! or upstream said stands in it.
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use actix_web_lab::header::{CacheControl, CacheDirective};
use rand::RngExt as _;
use serde::Serialize;

use crate::{
    chat::{ChatError, MESSAGE_LIMIT},
    context::{self, Context},
    generation::StartError,
    guard::{NotAdmitted, Reason, Refusal},
    metrics,
    store::{CreateError, Unavailable},
};

/// The largest body of a POST. Stops a client from filling the memory.
pub(super) const BODY_LIMIT_BYTES: usize = 256 * 1024;

/// How long a refused client should wait, in seconds. Random, so that refused clients do not all
/// return at once.
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u64> = 2..=8;

/// One error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    retry_after_seconds: Option<u64>,
    allow: Option<&'static str>,
    param: Option<String>,
}

/// What is wrong, as clients read it in `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// The body is not a valid request.
    BadRequest,
    /// The cursor is not a decimal number.
    BadCursor,
    /// The cursor lies beyond the end of an ended reply.
    CursorAhead,
    /// The caller has not said who it is, or not rightly.
    Unauthorized,
    /// The request comes from a page of another site.
    Forbidden,
    /// The reply is unknown or has expired.
    ReplyNotFound,
    /// The path has no resource.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// The body is too large, or holds too many messages.
    TooLarge,
    /// The `Content-Type` is not JSON.
    UnsupportedMediaType,
    /// The server is not known by the name in the request.
    Misdirected,
    /// The idempotency key belongs to another request.
    IdempotencyMismatch,
    /// The content filter refused the prompt.
    PromptFiltered,
    /// The conversation is longer than the model can read.
    ContextTooLong,
    /// The reply was stopped before it was complete.
    Stopped,
    /// The caller asks too often or for too much at once, or the model's service is at its limit.
    RateLimited,
    /// The day's tokens are used up.
    BudgetExceeded,
    /// The model's service did not answer in time.
    UpstreamTimeout,
    /// The model's service refused the request or failed.
    UpstreamFailed,
    /// The model's service, or the replica that wrote the reply, is away.
    UpstreamUnavailable,
    /// As many replies run as the server takes.
    Overloaded,
    /// The server is about to exit.
    Draining,
    /// The store that the replicas share does not answer.
    StoreUnavailable,
    /// A bug or a failure of the server itself.
    Internal,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Code {
    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest
            | Self::BadCursor
            | Self::CursorAhead
            | Self::PromptFiltered
            | Self::ContextTooLong => StatusCode::BAD_REQUEST,
            Self::Stopped => StatusCode::CONFLICT,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamFailed => StatusCode::BAD_GATEWAY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::ReplyNotFound | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited | Self::BudgetExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamUnavailable
            | Self::Overloaded
            | Self::Draining
            | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Problem {
    /// A problem of this kind, with a sentence that says what to do.
    #[must_use]
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_seconds = (code.status() == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| rand::rng().random_range(RETRY_AFTER_SECONDS));
        Self {
            code,
            detail: detail.into(),
            retry_after_seconds,
            allow: None,
            param: None,
        }
    }

    /// The same problem, with the time after which the request may succeed. It is rounded up to seconds.
    #[must_use]
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.retry_after_seconds = Some(u64::try_from(seconds).unwrap_or(u64::MAX));
        self
    }

    /// The part of the body that is wrong, such as `messages[2].content`, where it has a name.
    #[must_use]
    pub(super) fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// The sentence for people.
    #[must_use]
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// How long to wait before the next attempt.
    #[must_use]
    pub(super) const fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// What is wrong.
    #[must_use]
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// A reply that is unknown or has expired.
    #[must_use]
    pub(super) fn reply_not_found() -> Self {
        Self::new(
            Code::ReplyNotFound,
            "There is no such reply, or it is no longer kept.",
        )
    }

    /// A path without a resource.
    #[must_use]
    pub(super) fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing at this path.")
    }

    /// The store that the replicas share does not answer.
    #[must_use]
    pub(super) fn store_unavailable() -> Self {
        Self::new(
            Code::StoreUnavailable,
            "The server's store does not answer just now; please try again.",
        )
    }

    /// The server is about to exit.
    #[must_use]
    pub(super) fn draining() -> Self {
        Self::new(
            Code::Draining,
            "The server is shutting down; please try again.",
        )
    }

    /// A bug or a failure of the server itself.
    #[must_use]
    pub(super) fn internal() -> Self {
        Self::new(Code::Internal, "The server has failed.")
    }

    /// A body over [`BODY_LIMIT_BYTES`].
    #[must_use]
    pub(super) fn too_large() -> Self {
        let detail = format!(
            "The body is larger than {} KiB: send fewer or shorter messages.",
            BODY_LIMIT_BYTES / 1024
        );
        Self::new(Code::TooLarge, detail)
    }

    /// A method that a path does not support; `allow` lists those that it does.
    #[must_use]
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(
            Code::MethodNotAllowed,
            format!("This path takes {allow} only."),
        );
        problem.allow = Some(allow);
        problem
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, detail) = match refusal.reason {
            Reason::Requests => (Code::RateLimited, "You ask too often."),
            Reason::TotalRequests => (Code::RateLimited, "All callers together ask too often."),
            Reason::Replies => (Code::RateLimited, "Too many of your replies are running."),
            Reason::TotalReplies => (
                Code::RateLimited,
                "Too many replies of all callers are running.",
            ),
            Reason::Tokens => (
                Code::BudgetExceeded,
                "You have used your tokens of today (UTC), or this request needs more than are left.",
            ),
            Reason::TotalTokens => (
                Code::BudgetExceeded,
                "All callers together have used the tokens of today (UTC).",
            ),
            Reason::SignIns => (
                Code::RateLimited,
                "Too many wrong tokens came from your network.",
            ),
        };
        Self::new(code, detail).retry_after(refusal.retry_after)
    }
}

impl From<NotAdmitted> for Problem {
    fn from(error: NotAdmitted) -> Self {
        match error {
            NotAdmitted::Refused(refusal) => refusal.into(),
            NotAdmitted::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<ChatError> for Problem {
    fn from(error: ChatError) -> Self {
        let param = error.param();
        let problem = match error {
            ChatError::TooManyMessages(_) => Self::new(
                Code::TooLarge,
                format!("A conversation may have {MESSAGE_LIMIT} messages: send the newest."),
            ),
            other => Self::new(Code::BadRequest, other.to_string()),
        };
        Self { param, ..problem }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Create(error) => error.into(),
            StartError::Panicked => Self::internal(),
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Full => Self::new(
                Code::Overloaded,
                "Too many replies are running; please try again.",
            ),
            CreateError::Draining => Self::draining(),
            CreateError::IdempotencyMismatch => Self::new(
                Code::IdempotencyMismatch,
                "This Idempotency-Key was used for another request: use a new key.",
            ),
            CreateError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(Unavailable: Unavailable) -> Self {
        Self::store_unavailable()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: Code,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        metrics::refused(&self.code.to_string());
        let status = self.code.status();
        let mut response = HttpResponse::build(status);
        response
            .insert_header(CacheControl(vec![CacheDirective::NoStore]))
            .insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.code == Code::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"rasta-stream\""));
        }
        if self.code == Code::Draining {
            // A retry on the same connection would arrive here again.
            response.force_close();
        }
        if let Some(methods) = self.allow {
            response.insert_header((ALLOW, methods));
        }
        let context = context::current();
        let body = ProblemBody {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code,
            detail: &self.detail,
            retry_after_ms: self.retry_after_seconds.map(|seconds| seconds * 1000),
            request_id: context.as_deref().map(Context::id),
        };
        let mut response = match serde_json::to_vec(&body) {
            Ok(body) => response.body(body),
            Err(_) => response.finish(),
        };
        // For a dialect that has another form for it.
        response.extensions_mut().insert(self.clone());
        response
    }
}
