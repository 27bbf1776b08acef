//! Errors as upstream writes them: a refusal's status and body, or an error object in the stream, to
//! one [`Fault`].
//!
//! All dialects share these forms. Upstream's words are read here, for the kind of error and its
//! diagnosis, and go no further: the [`Fault`] keeps those that are known words.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::{
    event::ErrorCode,
    upstream::{
        cause::{Cause, ErrorWords},
        diagnosis::Diagnosis,
        fault::Fault,
        word::Word,
    },
};

/// A longer wait than this is an upstream error, and counts as none.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

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
    let error = ErrorObject::of(match &body["error"] {
        // Azure's gateway puts no `error` around it.
        Value::Null => &body,
        error => error,
    });
    let code = error.code_of_refusal(head.status);
    let cause = Cause::Refused {
        status: head.status,
        words: Box::new(error.known_words()),
    };
    let mut fault = Fault::new(code, cause);
    fault.diagnosis = match code {
        ErrorCode::PromptFiltered => Diagnosis::Filter,
        ErrorCode::ContextTooLong => Diagnosis::Other,
        _ => Diagnosis::of_refusal(head.status, &error.code, error.param, &error.all),
    };
    if code.retryable() {
        fault.error.retry_after_ms = retry_after_ms(head, SystemTime::now());
    }
    fault
}

/// The fault that an error inside the event stream stands for: its JSON, of any type.
#[must_use]
pub fn in_stream(json: &str) -> Fault {
    // Half a surrogate pair, which no `Value` can hold, costs the words and not the fault.
    let error: Value = serde_json::from_str(json).unwrap_or_default();
    let words = ErrorObject::of(&error).known_words();
    Fault::new(ErrorCode::UpstreamError, Cause::InStream(Box::new(words)))
}

/// How long upstream asks to wait, `retry-after-ms` first. Zero, negative numbers, and more than a
/// week have all been seen and mean nothing.
fn retry_after_ms(head: &RefusalHead<'_>, now: SystemTime) -> Option<u64> {
    let from_ms = head
        .retry_after_ms
        .and_then(|text| text.trim().parse::<f64>().ok());
    let from_seconds = || {
        let text = head.retry_after?.trim();
        text.parse::<f64>()
            .ok()
            .map(|seconds| seconds * 1000.0)
            .or_else(|| {
                let wait = httpdate::parse_http_date(text)
                    .ok()?
                    .duration_since(now)
                    .ok()?;
                Some(wait.as_secs_f64() * 1000.0)
            })
    };
    let ms = from_ms.or_else(from_seconds)?;
    let longest = RETRY_AFTER_LIMIT.as_millis() as f64;
    (ms >= 1.0 && ms <= longest).then_some(ms as u64)
}

/// An error object, whichever of its forms it has. It holds upstream's words, so it has neither
/// `Debug` nor `Display`.
struct ErrorObject<'a> {
    code: String,
    kind: &'a str,
    inner: &'a str,
    param: &'a str,
    message: &'a str,
    /// The whole JSON, for servers whose errors have another form.
    all: String,
}

impl<'a> ErrorObject<'a> {
    fn of(error: &'a Value) -> Self {
        let text = |field: &str| error[field].as_str().unwrap_or_default();
        Self {
            // A string, a number or null.
            code: match &error["code"] {
                Value::Null => String::new(),
                Value::String(code) => code.clone(),
                other => other.to_string(),
            },
            kind: text("type"),
            inner: error["innererror"]["code"].as_str().unwrap_or_default(),
            param: text("param"),
            // Some servers send the sentence alone.
            message: error.as_str().unwrap_or_else(|| text("message")),
            all: error.to_string(),
        }
    }

    fn code_of_refusal(&self, status: u16) -> ErrorCode {
        match status {
            // Successes other than 200, and an unsolicited 1xx, which awc takes for the response.
            0..=299 => ErrorCode::UpstreamProtocol,
            401 | 403 => ErrorCode::UpstreamAuth,
            404 if self.code == "DeploymentNotFound" => ErrorCode::DeploymentNotFound,
            429 => ErrorCode::RateLimited,
            408 | 409 | 500..=599 => ErrorCode::UpstreamUnavailable,
            _ if self.is_prompt_filtered() => ErrorCode::PromptFiltered,
            _ if self.is_context_too_long() => ErrorCode::ContextTooLong,
            _ => ErrorCode::UpstreamRejected,
        }
    }

    fn is_prompt_filtered(&self) -> bool {
        self.code == "content_filter" || self.inner == "ResponsibleAIPolicyViolation"
    }

    fn is_context_too_long(&self) -> bool {
        self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || self.message.contains("maximum context length")
            || self
                .message
                .contains("Input tokens exceed the configured limit")
    }

    fn known_words(&self) -> ErrorWords {
        ErrorWords {
            code: Word::of(&self.code),
            kind: Word::of(self.kind),
            inner: Word::of(self.inner),
            param: Word::of(self.param),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Fault {
        refusal(
            &RefusalHead {
                status,
                ..RefusalHead::default()
            },
            body.as_bytes(),
        )
    }

    #[test]
    fn every_refusal_that_is_known_of_azure_has_its_code() {
        use ErrorCode::*;
        let cases = [
            (
                400,
                r#"{"error":{"message":"m","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{}}}}"#,
                PromptFiltered,
            ),
            (
                400,
                r#"{"error":{"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                PromptFiltered,
            ),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","param":"messages"}}"#,
                ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":null}}"#,
                ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"message":"Input tokens exceed the configured limit of 272000 tokens."}}"#,
                ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
                ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":"unsupported_value","param":"temperature"}}"#,
                UpstreamRejected,
            ),
            (
                400,
                r#"{"error":{"code":"BadRequest","message":"API version not supported"}}"#,
                UpstreamRejected,
            ),
            (400, r#"{"error":"plain string"}"#, UpstreamRejected),
            (400, "", UpstreamRejected),
            (
                401,
                r#"{"error":{"code":"401","message":"Access denied"}}"#,
                UpstreamAuth,
            ),
            (
                401,
                r#"{"statusCode":401,"message":"Unauthorized."}"#,
                UpstreamAuth,
            ),
            (
                401,
                r#"{"error":{"code":"PermissionDenied"}}"#,
                UpstreamAuth,
            ),
            (
                403,
                r#"{"error":{"code":"403","message":"Firewall"}}"#,
                UpstreamAuth,
            ),
            (
                404,
                r#"{"error":{"code":"DeploymentNotFound"}}"#,
                DeploymentNotFound,
            ),
            (
                404,
                r#"{"error":{"code":"404","message":"Resource not found"}}"#,
                UpstreamRejected,
            ),
            (404, r#"{"detail":"Not Found"}"#, UpstreamRejected),
            (307, "", UpstreamRejected),
            (413, "<html>", UpstreamRejected),
            (422, "{}", UpstreamRejected),
            (431, "", UpstreamRejected),
            (
                408,
                r#"{"error":{"message":"The operation was timeout."}}"#,
                UpstreamUnavailable,
            ),
            (429, r#"{"error":{"code":"429"}}"#, RateLimited),
            (
                500,
                r#"{"error":{"type":"server_error"}}"#,
                UpstreamUnavailable,
            ),
            (409, "", UpstreamUnavailable),
            (502, "<html>", UpstreamUnavailable),
            (503, "", UpstreamUnavailable),
            (504, "", UpstreamUnavailable),
            (103, "", UpstreamProtocol),
            (204, "", UpstreamProtocol),
        ];
        for (status, body, code) in cases {
            assert_eq!(
                refused(status, body).error.code,
                code,
                "for {status} {body}"
            );
        }
    }

    #[test]
    fn the_field_that_is_refused_is_found_whatever_the_form_of_the_error() {
        let temperature = Diagnosis::Field(crate::upstream::capabilities::Field::Temperature);
        for body in [
            r#"{"error":{"code":"unsupported_value","param":"temperature","message":"m"}}"#,
            r#"{"error":{"message":"Unrecognized request argument supplied: temperature"}}"#,
            r#"{"detail":[{"loc":["body","temperature"],"msg":"extra fields not permitted"}]}"#,
        ] {
            assert_eq!(refused(400, body).diagnosis, temperature, "for {body}");
        }
        let filtered = r#"{"error":{"code":"content_filter","message":"temperature"}}"#;
        assert_eq!(refused(400, filtered).diagnosis, Diagnosis::Filter);
        assert_eq!(
            refused(500, r#"{"error":{"param":"temperature"}}"#).diagnosis,
            Diagnosis::Other
        );
    }

    #[test]
    fn neither_clients_nor_the_log_see_upstreams_words() {
        let echo = r#"{"code":"key-1 x","type":"a prompt","param":"node-17","innererror":{"code":"me"},"message":"topology of node-17"}"#;
        for fault in [
            refused(400, &format!(r#"{{"error":{echo}}}"#)),
            in_stream(echo),
        ] {
            let told = format!("{} {fault:?}", fault.cause);
            for word in ["key-1", "prompt", "node", "me\"", "topology"] {
                assert!(!told.contains(word), "{word} in {told}");
            }
            assert!(
                fault
                    .cause
                    .to_string()
                    .ends_with(" code=other(7) type=other(8) inner=other(2) param=other(7)")
            );
        }
    }

    #[test]
    fn the_log_sees_the_status_and_the_known_words() {
        for (status, body, cause) in [
            (
                400,
                r#"{"error":{"code":"content_filter","type":null,"param":"prompt","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                "status=400 code=content_filter inner=ResponsibleAIPolicyViolation param=prompt",
            ),
            (
                429,
                r#"{"error":{"code":"429","message":"Please retry after 45 seconds."}}"#,
                "status=429 code=429",
            ),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
                "status=400 code=400 type=exceed_context_size_error",
            ),
            (502, "<html>", "status=502"),
        ] {
            assert_eq!(refused(status, body).cause.to_string(), cause);
        }
    }

    #[test]
    fn the_wait_is_read_from_milliseconds_then_seconds_then_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |ms: Option<&str>, seconds: Option<&str>| {
            retry_after_ms(
                &RefusalHead {
                    status: 429,
                    retry_after_ms: ms,
                    retry_after: seconds,
                },
                now,
            )
        };
        assert_eq!(wait(Some("1500"), Some("2")), Some(1500));
        assert_eq!(wait(None, Some("2")), Some(2000));
        assert_eq!(wait(None, Some("0.5")), Some(500));
        assert_eq!(wait(None, Some("86400")), Some(86_400_000));
        assert_eq!(
            wait(None, Some("Sun, 22 Nov 2026 10:00:07 GMT")),
            Some(7000)
        );
        assert_eq!(wait(None, Some("Sun, 22 Nov 2026 09:00:00 GMT")), None);
        for nothing in ["0", "-1", "soon", "", "6m0s", "NaN", "inf", "1e300"] {
            assert_eq!(wait(None, Some(nothing)), None, "for {nothing}");
        }
        assert_eq!(wait(Some("6m0s"), Some("3")), Some(3000));
        assert_eq!(wait(None, None), None);
    }
}
