//! The words of an upstream's error that may reach a log.
//!
//! An error's `code`, `type` and `param` can hold anything: servers exist that echo the credential
//! or the prompt there. A [`Word`] therefore never holds what upstream wrote. It is one of the known
//! words, which are part of this program, or says only how long the unknown one was.

use std::fmt;

/// A word of an error object, as far as a log may know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Absent,
    Known(&'static str),
    /// An HTTP status instead of a code.
    Status(u16),
    /// Something else, of this many characters.
    Other(usize),
}

impl Word {
    /// Looks `text` up in the list of known words.
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self(Kind::Absent);
        }
        if let Some(word) = KNOWN.iter().find(|word| **word == text) {
            return Self(Kind::Known(word));
        }
        let status = text.parse().ok().filter(|_| text.len() == 3);
        Self(match status {
            Some(status @ 100..=599) => Kind::Status(status),
            _ => Kind::Other(text.chars().count()),
        })
    }

    /// Whether upstream gave no such word.
    pub(super) const fn is_absent(self) -> bool {
        matches!(self.0, Kind::Absent)
    }
}

/// The known word, or `other(LENGTH)`.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Absent => f.write_str("none"),
            Kind::Known(word) => f.write_str(word),
            Kind::Status(status) => write!(f, "{status}"),
            Kind::Other(length) => write!(f, "other({length})"),
        }
    }
}

/// Every word that passes: codes and types of Azure OpenAI, of OpenAI and of compatible servers, the
/// parameters that a refusal can name, finish reasons, kinds of content, and OAuth's error codes,
/// which Entra answers with.
const KNOWN: &[&str] = &[
    // Codes of Azure OpenAI's chat completions and of its gateway.
    "AccessDenied",
    "AuthenticationTypeDisabled",
    "BadRequest",
    "DeploymentNotFound",
    "Forbidden",
    "InternalServerError",
    "InvalidRequest",
    "NotFound",
    "OperationNotSupported",
    "PermissionDenied",
    "RateLimitReached",
    "ResourceNotFound",
    "ResponsibleAIPolicyViolation",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "content_filter",
    "content_filter_error",
    "context_length_exceeded",
    "invalid_prompt",
    "invalid_value",
    "model_error",
    "unsupported_parameter",
    "unsupported_value",
    // Codes of the Responses API.
    "bio_policy",
    "content_policy_violation",
    "data_residency_mismatch",
    "previous_response_not_found",
    "rate_limit_exceeded",
    "too_many_requests",
    "vector_store_timeout",
    // Codes and types of OpenAI and of compatible servers.
    "AuthenticationError",
    "BadRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "ServiceUnavailableError",
    "ThrottlingException",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "api_error",
    "authentication_error",
    "engine_overloaded",
    "error",
    "exceed_context_size_error",
    "insufficient_quota",
    "insufficient_system_resource",
    "internal_error",
    "internal_server_error",
    "invalid_api_key",
    "invalid_request_error",
    "invalid_type",
    "missing_required_parameter",
    "model_not_found",
    "model_overloaded",
    "not_found_error",
    "overloaded",
    "overloaded_error",
    "permission_error",
    "quota_exceeded",
    "rate_limit",
    "rate_limit_error",
    "request_timeout",
    "requests",
    "server_error",
    "server_is_overloaded",
    "server_overloaded",
    "service_unavailable",
    "slow_down",
    "timeout",
    "tokens",
    "unknown_parameter",
    // Finish reasons that are like none of this program's.
    "LANGUAGE",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "NO_IMAGE",
    "OTHER",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
    "load",
    "other",
    "pause_turn",
    "repetition",
    "time_limit",
    "unknown",
    "unload",
    // Parts of a content that are no text.
    "audio",
    "document_url",
    "file",
    "image",
    "image_url",
    "input_audio",
    "output_audio",
    "reference",
    "tool_reference",
    "tool_use",
    "video_url",
    // Parameters.
    "frequency_penalty",
    "include",
    "include_obfuscation",
    "input",
    "instructions",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt",
    "reasoning",
    "reasoning.effort",
    "reasoning.summary",
    "reasoning_effort",
    "seed",
    "stop",
    "store",
    "stream",
    "stream_options",
    "stream_options.include_usage",
    "temperature",
    "text.verbosity",
    "tool_choice",
    "tools",
    "top_p",
    "user",
    // OAuth and the metadata service of Azure's machines.
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "temporarily_unavailable",
    "unauthorized_client",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_word_passes_and_any_other_becomes_its_length() {
        for (text, shown) in [
            ("content_filter", "content_filter"),
            ("DeploymentNotFound", "DeploymentNotFound"),
            ("429", "429"),
            ("", "none"),
            ("Content_Filter", "other(14)"),
            ("content_filter ", "other(15)"),
            ("40001", "other(5)"),
            ("042", "other(3)"),
            ("+42", "other(3)"),
            ("the prompt", "other(10)"),
            ("löwe", "other(4)"),
        ] {
            assert_eq!(Word::of(text).to_string(), shown, "for {text:?}");
        }
    }

    #[test]
    fn no_known_word_stands_in_the_list_twice() {
        let mut sorted = KNOWN.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), KNOWN.len());
    }
}
