//! Errors as upstream writes them: a refusal's status and body, or an error object in the stream, to
//! one [`Fault`].
//!
//! All dialects share these forms. Upstream's words are read here, for the kind of error, its
//! diagnosis and its wait, and go no further: the [`Fault`] keeps those that are known words.

mod object;
mod twin;
mod wait;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::object::ErrorObject;
pub(in crate::upstream) use self::wait::in_head as wait_in_head;
use crate::{
    event::ErrorCode,
    upstream::{cause::Cause, diagnosis::Diagnosis, fault::Fault},
};

/// The parts of a refusal's head that have a meaning here.
#[derive(Debug, Default)]
pub struct RefusalHead<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `retry-after-ms`.
    pub retry_after_ms: Option<&'a str>,
    /// `retry-after`: seconds, or an HTTP date.
    pub retry_after: Option<&'a str>,
}

/// The fault that a response with a status other than 200 stands for.
#[must_use]
pub fn refusal(head: &RefusalHead<'_>, body: &[u8]) -> Fault {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = ErrorObject::of(&body);
    let code = error.code_of_refusal(head.status);
    let cause = Cause::Refused {
        status: head.status,
        words: Box::new(error.known_words()),
    };
    let mut fault = Fault::new(code, cause);
    fault.diagnosis = error.diagnosis(code, head.status);
    if code.retryable() {
        fault.error.retry_after_ms = wait_in_head(head.retry_after_ms, head.retry_after);
    }
    fault
}

/// The fault that an error inside the event stream stands for: its JSON, of any type, with or without
/// an object around it, or a sentence. The fault has the code of the refusal that it would be; a failure of the server
/// itself, and an error that does not tell its kind, is an `upstream_error`.
///
/// The wait is the one that the error names. The caller adds that of the response's head.
#[must_use]
pub fn in_stream(json: &str) -> Fault {
    // What is not JSON, or holds half a surrogate pair, which no `Value` can, is a sentence.
    let error: Value = serde_json::from_str(json).unwrap_or_else(|_| json.into());
    let error = ErrorObject::of(&error);
    let status = twin::status(&error);
    let code = match status {
        _ if error.is_filtered() => ErrorCode::PromptFiltered,
        _ if error.is_context_too_long() => ErrorCode::ContextTooLong,
        _ if error.is_deployment_missing() => ErrorCode::DeploymentNotFound,
        None | Some(500) => ErrorCode::UpstreamError,
        Some(status) => error.code_of_refusal(status),
    };
    let mut fault = Fault::new(code, Cause::InStream(Box::new(error.known_words())));
    fault.diagnosis = match status {
        Some(500) => Diagnosis::Outage,
        status => error.diagnosis(code, status.unwrap_or_default()),
    };
    if code.retryable() {
        fault.error.retry_after_ms = wait::in_error(error.json, error.message);
    }
    fault
}

/// The fault that JSON stands for which is no chunk and has no `error`, if it is an error all the same.
#[must_use]
pub fn disguised(json: &str) -> Option<Fault> {
    let value: Value = serde_json::from_str(json).ok()?;
    object::is_error(&value).then(|| in_stream(json))
}
