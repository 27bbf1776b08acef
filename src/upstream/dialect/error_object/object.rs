//! An error object, whichever of its forms it has.
//!
//! It holds upstream's words for as long as they are being read.

use serde_json::Value;

use crate::{
    event::ErrorCode,
    upstream::{cause::ErrorWords, diagnosis::Diagnosis, word::Word},
};

/// The error itself. Azure's gateway puts no `error` around it, Google's puts a list around both, and
/// MiniMax has `base_resp`.
fn inner(body: &Value) -> &Value {
    let body = first(body);
    [&body["error"], &body["errors"][0], &body["base_resp"]]
        .into_iter()
        .find(|error| !error.is_null())
        .unwrap_or(body)
}

fn first(body: &Value) -> &Value {
    match body {
        Value::Array(list) => list.first().unwrap_or(body),
        _ => body,
    }
}

/// Whether JSON that is neither a chunk nor an answer is an error, by the members that only errors
/// have.
pub(super) fn is_error(body: &Value) -> bool {
    let body = first(body);
    let told = |value: &Value| match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => false,
    };
    let error = inner(body);
    let is_coded = CODES.iter().any(|name| match &error[*name] {
        Value::Number(code) => !matches!(code.as_u64(), Some(0 | 200)),
        Value::String(code) => !matches!(code.as_str(), "" | "0" | "200"),
        _ => false,
    });
    told(&body["error"])
        || told(&body["errors"])
        || told(&body["detail"])
        || MESSAGES.iter().any(|name| error[*name].is_string())
            && (is_coded || body["type"] == "error" || body["object"] == "error")
}

/// The names of an error's code, at Azure's API Management, Baidu and MiniMax too.
const CODES: [&str; 4] = ["code", "statusCode", "error_code", "status_code"];
/// The names of its sentence.
const MESSAGES: [&str; 5] = ["message", "msg", "error_msg", "status_msg", "detail"];

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
        let code = CODES.iter().map(|name| word(name));
        let message = MESSAGES.iter().map(|name| text(name));
        Self {
            json: error,
            code: code
                .into_iter()
                .find(|code| !code.is_empty())
                .unwrap_or_default(),
            status: word("status"),
            kind: text("type"),
            inner: error["innererror"]["code"].as_str().unwrap_or_default(),
            param: text("param"),
            // Some servers send the sentence alone.
            message: error.as_str().unwrap_or_else(|| {
                let mut message = message;
                message
                    .find(|message| !message.is_empty())
                    .unwrap_or_default()
            }),
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
