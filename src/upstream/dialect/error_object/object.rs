//! An error object, whichever of its forms it has.
//!
//! It holds upstream's words for as long as they are being read.

use serde_json::Value;

use crate::{
    event::ErrorCode,
    upstream::{cause::ErrorWords, diagnosis::Diagnosis, word::Word},
};

/// The error itself. Azure's gateway puts no `error` around it, and Google's puts a list around both.
fn inner(body: &Value) -> &Value {
    let body = match body {
        Value::Array(list) => list.first().unwrap_or(body),
        _ => body,
    };
    match &body["error"] {
        Value::Null => body,
        error => error,
    }
}

/// An error object, whichever of its forms it has. It holds upstream's words, so it has neither
/// `Debug` nor `Display`.
pub(super) struct ErrorObject<'a> {
    pub(super) json: &'a Value,
    pub(super) code: String,
    /// Google's word for the status, or a repetition of the status.
    pub(super) status: String,
    pub(super) kind: &'a str,
    pub(super) inner: &'a str,
    param: &'a str,
    pub(super) message: &'a str,
    /// The whole JSON, for servers whose errors have another form.
    all: String,
}

impl<'a> ErrorObject<'a> {
    /// Finds the error in a body, or in the data of a frame.
    pub(super) fn of(body: &'a Value) -> Self {
        let error = inner(body);
        let text = |field: &str| error[field].as_str().unwrap_or_default();
        // A string, a number or null.
        let word = |field: &str| match &error[field] {
            Value::Null => String::new(),
            Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        Self {
            json: error,
            code: word("code"),
            status: word("status"),
            kind: text("type"),
            inner: error["innererror"]["code"].as_str().unwrap_or_default(),
            param: text("param"),
            // Some servers send the sentence alone.
            message: error.as_str().unwrap_or_else(|| text("message")),
            all: error.to_string(),
        }
    }

    pub(super) fn code_of_refusal(&self, status: u16) -> ErrorCode {
        match status {
            // Successes other than 200, and an unsolicited 1xx, which awc takes for the response.
            0..=299 => ErrorCode::UpstreamProtocol,
            401 | 403 => ErrorCode::UpstreamAuth,
            429 => ErrorCode::RateLimited,
            408 | 409 | 500..=599 => ErrorCode::UpstreamUnavailable,
            _ if self.is_filtered() => ErrorCode::PromptFiltered,
            _ if self.is_context_too_long() => ErrorCode::ContextTooLong,
            _ if self.is_deployment_missing() => ErrorCode::DeploymentNotFound,
            _ => ErrorCode::UpstreamRejected,
        }
    }

    pub(super) fn diagnosis(&self, code: ErrorCode, status: u16) -> Diagnosis {
        match code {
            ErrorCode::PromptFiltered => Diagnosis::Filter,
            ErrorCode::ContextTooLong => Diagnosis::Other,
            ErrorCode::DeploymentNotFound => Diagnosis::Deployment,
            _ => Diagnosis::of_refusal(status, &self.code, self.param, &self.all),
        }
    }

    /// Whether the content filter objects.
    pub(super) fn is_filtered(&self) -> bool {
        ["content_filter", "content_policy_violation"].contains(&self.code.as_str())
            || self.kind == "content_policy_violation"
            || self.inner == "ResponsibleAIPolicyViolation"
            || self.message.contains("content management policy")
    }

    pub(super) fn is_context_too_long(&self) -> bool {
        self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || [
                "context length",
                "context window",
                "context size",
                "Input tokens exceed the configured limit",
            ]
            .iter()
            .any(|part| self.message.contains(part))
    }

    /// Whether there is no such deployment. The Responses API tells it in a sentence only.
    pub(super) fn is_deployment_missing(&self) -> bool {
        self.code == "DeploymentNotFound"
            || self
                .message
                .contains("Could not find an existing deployment")
    }

    pub(super) fn known_words(&self) -> ErrorWords {
        ErrorWords {
            code: Word::of(&self.code),
            kind: Word::of(self.kind),
            inner: Word::of(self.inner),
            param: Word::of(self.param),
        }
    }
}
