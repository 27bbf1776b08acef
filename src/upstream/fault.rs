//! Why upstream gave no reply, or broke one off: HTTP statuses, error bodies and error objects in,
//! one [`Fault`] out.
//!
//! A fault has three faces. Its `error` is for clients and holds only words of ours; its `cause` is
//! for the log and may hold upstream's; its `diagnosis` is for whoever can mend it. This module makes
//! no request and retries nothing.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::diagnosis::Diagnosis;
use crate::event::{ErrorCode, ReplyError};

/// The most of upstream's own message that goes to the log, in characters.
const MAX_CAUSE_CHARS: usize = 300;
/// The same of its shorter fields; the longest known, `ResponsibleAIPolicyViolation`, has 28.
const MAX_WORD_CHARS: usize = 64;
/// The longest correlation id that is passed on; Azure's are UUIDs of 36 characters.
const MAX_REQUEST_ID: usize = 128;
/// A longer wait than this is a mistake of upstream's, and counts as none.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// One failure of upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What clients are told.
    pub error: ReplyError,
    /// What the log is told: upstream's words, cleaned of control characters.
    pub cause: String,
    /// What somebody could mend.
    pub diagnosis: Diagnosis,
}

/// The parts of a refusal's head that mean something here.
#[derive(Debug, Default)]
pub struct RefusalHead<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `retry-after-ms`.
    pub retry_after_ms: Option<&'a str>,
    /// `retry-after`: seconds, or an HTTP date.
    pub retry_after: Option<&'a str>,
}

impl Fault {
    /// A fault that is not an answer of upstream's.
    #[must_use]
    pub fn new(code: ErrorCode, cause: String) -> Self {
        Self {
            error: ReplyError::new(code),
            cause,
            diagnosis: Diagnosis::Other,
        }
    }

    /// An error in the midst of a stream: its JSON, of any type.
    #[must_use]
    pub fn in_stream(json: &str) -> Self {
        // What no Value can hold (half a character) is told without its words.
        let error: Value = serde_json::from_str(json).unwrap_or_default();
        Self::new(ErrorCode::UpstreamError, Words::of(&error).cause())
    }

    /// An answer with another status than 200.
    #[must_use]
    pub fn refusal(head: &RefusalHead<'_>, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let words = Words::of(match &body["error"] {
            // The form of Azure's gateway has no `error` around it.
            Value::Null => &body,
            error => error,
        });
        let code = code_of(head.status, &words);
        let mut fault = Self::new(code, format!("status={} {}", head.status, words.cause()));
        fault.diagnosis = match code {
            ErrorCode::PromptFiltered => Diagnosis::Filter,
            ErrorCode::ContextTooLong => Diagnosis::Other,
            _ => Diagnosis::of_refusal(head.status, &words.code, words.param, &words.all),
        };
        if code.retryable() {
            fault.error.retry_after_ms = retry_after_ms(head, SystemTime::now());
        }
        fault
    }

    /// Adds upstream's correlation id, if it is one that can safely be shown.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<&str>) -> Self {
        self.error.request_id = id.filter(|id| is_request_id(id)).map(str::to_owned);
        self
    }
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn code_of(status: u16, words: &Words<'_>) -> ErrorCode {
    match status {
        // Other successes than 200, and the unasked 1xx that awc takes for the answer.
        0..=299 => ErrorCode::UpstreamProtocol,
        401 | 403 => ErrorCode::UpstreamAuth,
        404 if words.code == "DeploymentNotFound" => ErrorCode::DeploymentNotFound,
        429 => ErrorCode::RateLimited,
        408 | 409 | 500..=599 => ErrorCode::UpstreamUnavailable,
        _ if words.is_prompt_filtered() => ErrorCode::PromptFiltered,
        _ if words.is_context_too_long() => ErrorCode::ContextTooLong,
        _ => ErrorCode::UpstreamRejected,
    }
}

/// How long upstream asks to wait, `retry-after-ms` first. Zero, less than zero, and more than a
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
    let longest = MAX_RETRY_AFTER.as_millis() as f64;
    (ms >= 1.0 && ms <= longest).then_some(ms as u64)
}

/// What an error object says, whichever of its forms it has.
struct Words<'a> {
    code: String,
    kind: &'a str,
    inner: &'a str,
    param: &'a str,
    message: &'a str,
    /// All of it, for servers whose errors have another form.
    all: String,
}

impl<'a> Words<'a> {
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

    fn cause(&self) -> String {
        let clean = |text: &str, most: usize| -> String {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(most)
                .collect()
        };
        let word = |text: &str| clean(text, MAX_WORD_CHARS);
        format!(
            "code={:?} type={:?} inner={:?} param={:?} message={:?}",
            word(&self.code),
            word(self.kind),
            word(self.inner),
            word(self.param),
            clean(self.message, MAX_CAUSE_CHARS)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Fault {
        Fault::refusal(
            &RefusalHead {
                status,
                ..RefusalHead::default()
            },
            body.as_bytes(),
        )
    }

    #[test]
    fn every_refusal_of_the_fact_sheet_has_its_code() {
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
    fn clients_never_read_upstreams_words() {
        let fault = refused(
            400,
            r#"{"error":{"code":"x","message":"topology of node-17"}}"#,
        );
        assert!(fault.cause.contains("node-17"));
        assert!(
            !serde_json::to_string(&fault.error)
                .unwrap()
                .contains("node-17")
        );
    }

    #[test]
    fn a_cause_is_one_short_line() {
        let body = format!(
            "{{\"error\":{{\"message\":\"a\\nb{}\"}}}}",
            "x".repeat(10_000)
        );
        let cause = refused(400, &body).cause;
        assert!(!cause.contains('\n') && cause.len() < 500, "{cause}");
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

    #[test]
    fn a_correlation_id_is_passed_on_only_if_it_is_harmless() {
        let id = |text: &str| {
            refused(500, "")
                .with_request_id(Some(text))
                .error
                .request_id
        };
        assert_eq!(id("1f-2"), Some("1f-2".to_owned()));
        for bad in ["", "two words", "ü", &"x".repeat(129)] {
            assert_eq!(id(bad), None);
        }
    }
}
