//! Finish reasons: those of the Chat Completions API, and other servers' words for the same.
//!
//! Servers write them in any case, and some in words of their own. A word that is not known is still
//! a finish, because the model says that it has ended.

use serde_json::{Value, value::RawValue};

use crate::{
    event::{ErrorCode, FinishReason},
    upstream::{diagnosis::Diagnosis, fault::Fault, word::Word},
};

/// How a stream says that it ends.
#[derive(Debug, PartialEq)]
pub(super) enum Finish {
    /// The model has finished.
    Reason(FinishReason),
    /// It has finished, for a reason that is not known.
    Unknown(Word),
    /// The server gave up.
    Failed(Box<Fault>),
}

/// Reads a finish reason; `None` if the model goes on.
pub(super) fn read(json: &RawValue) -> Option<Finish> {
    let word = match serde_json::from_str(json.get()).ok()? {
        Value::String(word) => word,
        // `finish_details`, and servers that have both under one name.
        Value::Object(details) => {
            let word = details.get("type").or_else(|| details.get("reason"))?;
            word.as_str()?.to_owned()
        }
        _ => return None,
    };
    let lower = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let reason = match lower.strip_prefix("finish_reason_").unwrap_or(&lower) {
        // The model goes on. The words are those of DashScope, Python, watsonx and Google.
        "" | "null" | "none" | "not_finished" | "unspecified" => return None,
        "stop" | "eos" | "eos_token" | "stop_sequence" | "stop_token" | "end_turn"
        | "end_of_turn" | "end_of_text" | "complete" | "completed" | "finished" | "normal" => {
            FinishReason::Stop
        }
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "max_completion_tokens"
        | "max_new_tokens"
        | "max_length"
        | "model_length"
        | "token_limit"
        | "error_limit"
        | "model_context_window_exceeded" => FinishReason::Length,
        "tool_calls" | "tool_call" | "tool_use" => FinishReason::ToolCalls,
        "function_call" => FinishReason::FunctionCall,
        "content_filter"
        | "content_filtered"
        | "content_policy_violation"
        | "safety"
        | "image_safety"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "sensitive"
        | "refusal"
        | "guardrail_intervened"
        | "error_toxic" => FinishReason::ContentFilter,
        "insufficient_system_resource" | "overloaded" => {
            return failed(ErrorCode::UpstreamUnavailable, "finish reason: overloaded");
        }
        "error" | "network_error" | "server_error" | "internal_error" => {
            return failed(ErrorCode::UpstreamError, "finish reason: error");
        }
        "timeout" => return failed(ErrorCode::UpstreamError, "finish reason: timeout"),
        "abort" | "aborted" | "cancel" | "cancelled" | "canceled" | "user_cancel" => {
            return failed(ErrorCode::UpstreamError, "finish reason: aborted");
        }
        _ => return Some(Finish::Unknown(Word::of(&word))),
    };
    Some(Finish::Reason(reason))
}

fn failed(code: ErrorCode, cause: &'static str) -> Option<Finish> {
    Some(Finish::Failed(Box::new(Fault {
        diagnosis: Diagnosis::Outage,
        ..Fault::new(code, cause)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(json: &str) -> Option<Finish> {
        read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_reason_is_known_in_every_case_and_dialect() {
        use FinishReason::*;
        for (words, known) in [
            (
                "stop STOP Stop eos_token end_turn COMPLETE stop_sequence FINISH_REASON_STOP",
                Stop,
            ),
            (
                "length MAX_TOKENS max_tokens model_length model_context_window_exceeded",
                Length,
            ),
            ("tool_calls tool_use TOOL_CALL", ToolCalls),
            ("function_call", FunctionCall),
            (
                "content_filter content-filter SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII sensitive",
                ContentFilter,
            ),
        ] {
            for word in words.split(' ') {
                let json = format!("\"{word}\"");
                assert_eq!(reason(&json), Some(Finish::Reason(known)), "for {word}");
            }
        }
        assert_eq!(
            reason(r#"{"type":"max_tokens"}"#),
            Some(Finish::Reason(Length))
        );
    }

    #[test]
    fn a_server_that_gives_up_is_a_failure_that_is_worth_a_retry() {
        for (word, code) in [
            (
                "insufficient_system_resource",
                ErrorCode::UpstreamUnavailable,
            ),
            ("abort", ErrorCode::UpstreamError),
            ("CANCELLED", ErrorCode::UpstreamError),
            ("error", ErrorCode::UpstreamError),
            ("network_error", ErrorCode::UpstreamError),
        ] {
            let Some(Finish::Failed(fault)) = reason(&format!("\"{word}\"")) else {
                panic!("{word} is no failure");
            };
            assert_eq!(fault.error.code, code, "for {word}");
            assert!(fault.is_retryable(), "for {word}");
        }
    }

    #[test]
    fn an_unknown_word_is_a_finish_and_is_not_told() {
        for (word, told) in [
            ("MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
            ("because of a secret", "other(19)"),
        ] {
            let Some(Finish::Unknown(word)) = reason(&format!("\"{word}\"")) else {
                panic!("{word} is no finish");
            };
            assert_eq!(word.to_string(), told);
        }
    }

    #[test]
    fn what_says_nothing_is_no_finish() {
        for json in [
            "null",
            "false",
            "0",
            "[]",
            "{}",
            r#""""#,
            r#""null""#,
            r#""None""#,
            r#""not_finished""#,
            r#""FINISH_REASON_UNSPECIFIED""#,
            r#"{"type":null}"#,
        ] {
            assert_eq!(reason(json), None, "for {json}");
        }
    }
}
