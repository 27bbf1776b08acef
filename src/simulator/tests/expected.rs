//! The expected outcome of each scenario over Chat Completions: the table behind the test that plays
//! them all.

use super::Scenario;

/// The outcome of a scenario.
pub(super) enum Expected {
    /// An error status and a text in its body or head.
    Refused(u16, &'static str),
    /// A stream with the complete verse, finish reason stop, usage and [DONE].
    CompleteVerse,
    /// A stream with this finish reason, whether [DONE] came, and whether the body ended.
    Ended {
        finish: Option<&'static str>,
        done: bool,
        complete: bool,
    },
    /// Nothing more after this text, and an open connection.
    Hangs(&'static str),
    /// Tested on its own.
    Special,
}

/// The expected outcome of a scenario. The `match` is exhaustive, so a new scenario needs a row.
pub(super) fn expected(scenario: Scenario) -> Expected {
    use Expected::*;
    use Scenario as S;
    match scenario {
        S::Unauthorized => Refused(401, "invalid subscription key"),
        S::TokenExpired => Refused(401, "\"statusCode\":401"),
        S::PermissionDenied => Refused(401, "PermissionDenied"),
        S::Forbidden => Refused(403, "Firewall"),
        S::DeploymentNotFound => Refused(404, "DeploymentNotFound"),
        S::NotFound => Refused(404, "Resource not found"),
        S::Timeout408 => Refused(408, "timeout"),
        S::RateLimited => Refused(429, "retry-after-ms: 1500\r\n"),
        S::RateLimitedDay => Refused(429, "retry-after: 86400\r\n"),
        S::RateLimitedSilent => Refused(429, "x-ratelimit-remaining-tokens: -1\r\n"),
        S::Busy => Refused(429, "retry-after-ms: 50\r\n"),
        S::ServerError => Refused(500, "server_error"),
        S::BadGateway => Refused(502, "<html>"),
        S::Unavailable | S::Flaky => Refused(503, "ServiceUnavailable"),
        S::GatewayTimeout => Refused(504, "Content-Length: 0\r\n"),
        S::PromptFiltered => Refused(400, "ResponsibleAIPolicyViolation"),
        S::ContextTooLong => Refused(400, "context_length_exceeded"),
        S::UnsupportedParameter => Refused(400, "\"param\":\"temperature\""),
        S::NoStreamOptions => Refused(400, "Unrecognized request argument"),
        S::InvalidPrompt => Refused(400, "\"code\":\"invalid_prompt\""),
        S::ApiVersion => Refused(400, "API version not supported"),
        S::KeysDisabled => Refused(403, "\"code\":\"AuthenticationTypeDisabled\""),
        S::Blocked => Refused(403, "temporarily blocked"),
        S::Conflict => Refused(409, "\"code\":\"Conflict\""),
        S::TooLarge => Refused(413, ""),
        S::TooManyHeaders => Refused(431, "<html>"),
        S::ResponsesOnly => Refused(400, "\"code\":\"OperationNotSupported\""),
        S::BadRequest => Refused(400, "\"code\":\"BadRequest\""),
        S::ErrorString => Refused(400, "{\"error\":\"the request"),
        S::JsonErrorIn200 => Refused(200, "retry-after: 4\r\n"),
        S::Redirect => Refused(307, "Location: /openai/moved\r\n"),
        S::ReasoningModel
        | S::OneByte
        | S::Crlf
        | S::Cr
        | S::Bom
        | S::NoSpace
        | S::MultiLine
        | S::Comments
        | S::Burst
        | S::Oddities
        | S::UsageOnDeltas
        | S::AsyncFilter
        | S::FilterOutage
        | S::NoContentType
        | S::BlankContentType
        | S::CloseDelimited
        | S::Informational
        | S::Slow
        | S::Think
        // Without effect on this API.
        | S::ChatOnly
        | S::ReasoningSummary
        | S::CommentaryThenFinal
        | S::Keepalive
        | S::UnknownEvent
        | S::HugeCreated
        | S::DoneDisagrees
        | S::DoneLonger
        | S::NullContentFilters
        | S::NoEventLines
        | S::DoneAppended
        | S::TerminalWithoutBlankLine
        | S::NoTerminal
        | S::FailedUncoded
        | S::ErrorFlat
        | S::BackgroundQueued
        | S::ResumeTooOld => CompleteVerse,
        S::Length | S::LengthEmpty => Ended {
            finish: Some("length"),
            done: true,
            complete: true,
        },
        S::Empty
        | S::Refusal
        | S::AsyncFilteredLate
        | S::LongLine
        | S::BadJson
        | S::MessageForDelta
        | S::ContentParts
        | S::TextElsewhere => Ended {
            finish: Some("stop"),
            done: true,
            complete: true,
        },
        S::FinishUnknown => Ended {
            finish: Some("moonrise"),
            done: true,
            complete: true,
        },
        S::ToolCalls => Ended {
            finish: Some("tool_calls"),
            done: true,
            complete: true,
        },
        S::NoDone => Ended {
            finish: Some("stop"),
            done: false,
            complete: true,
        },
        S::ReplyFiltered | S::AsyncFiltered => Ended {
            finish: Some("content_filter"),
            done: true,
            complete: true,
        },
        S::ReplyFilteredCut => Ended {
            finish: Some("content_filter"),
            done: false,
            complete: false,
        },
        S::Truncated | S::TruncatedFrame | S::Reset | S::BadChunk => Ended {
            finish: None,
            done: false,
            complete: false,
        },
        S::TruncatedClean
        | S::ErrorFirst
        | S::ErrorEvent
        | S::RateLimitErrorFirst
        | S::RateLimitFailedFirst
        | S::BusyIn200
        | S::DeploymentMissingIn200
        | S::FilterIn200
        | S::QuotaIn200
        | S::OverloadedIn200
        | S::ContextIn200
        | S::RateLimitInStream
        | S::OverloadedInStream
        | S::FilterInStream => Ended {
            finish: None,
            done: false,
            complete: true,
        },
        S::DoneWithoutFinish | S::ErrorInStream | S::ErrorNumeric => Ended {
            finish: None,
            done: true,
            complete: true,
        },
        S::NoHead => Hangs(""),
        S::InformationalOnly => Hangs("HTTP/1.1 103 "),
        S::Silent => Hangs("\r\n\r\n"),
        S::Stall | S::Endless => Hangs("\"content\":"),
        S::StallAfterFinish => Hangs("\"finish_reason\":\"stop\""),
        S::Markdown | S::Multibyte | S::Surrogates | S::ResetBeforeHead | S::Html200 | S::Json200 => Special,
    }
}
