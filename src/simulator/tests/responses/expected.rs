//! The expected outcome of each scenario over the Responses API: the table behind the test that plays
//! them all.

use super::Scenario;

/// The outcome of a scenario.
pub(super) enum Expected {
    /// An error status and a text in its body or head.
    Refused(u16, &'static str),
    /// A stream with the complete verse and `response.completed`.
    CompleteVerse,
    /// A stream whose last event is of this type, and whether the body ended.
    Ended(&'static str, bool),
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
        S::NotFound | S::ChatOnly => Refused(404, "Resource not found"),
        S::Timeout408 => Refused(408, "timeout"),
        S::RateLimited => Refused(429, "retry-after-ms: 1500\r\n"),
        S::RateLimitedDay => Refused(429, "retry-after: 86400\r\n"),
        S::RateLimitedSilent => Refused(429, "x-ratelimit-remaining-tokens: -1\r\n"),
        S::Busy => Refused(429, "the Responses_Create Operation"),
        S::ServerError => Refused(500, "server_error"),
        S::BadGateway => Refused(502, "<html>"),
        S::Unavailable | S::Flaky => Refused(503, "ServiceUnavailable"),
        S::GatewayTimeout => Refused(504, "Content-Length: 0\r\n"),
        S::PromptFiltered => Refused(400, "\"content_filters\":[{\"blocked\":true"),
        S::ContextTooLong => Refused(400, "context_length_exceeded"),
        S::UnsupportedParameter => Refused(400, "\"param\":\"temperature\""),
        S::BadRequest => Refused(400, "\"code\":\"BadRequest\""),
        S::InvalidPrompt => Refused(400, "\"code\":\"invalid_prompt\""),
        S::ApiVersion => Refused(400, "API version not supported"),
        S::KeysDisabled => Refused(403, "\"code\":\"AuthenticationTypeDisabled\""),
        S::Blocked => Refused(403, "temporarily blocked"),
        S::Conflict => Refused(409, "\"code\":\"Conflict\""),
        S::TooLarge => Refused(413, ""),
        S::TooManyHeaders => Refused(431, "<html>"),
        S::ErrorString => Refused(400, "{\"error\":\"the request"),
        S::JsonErrorIn200 => Refused(200, "retry-after: 4\r\n"),
        S::Redirect => Refused(307, "Location: /openai/moved\r\n"),
        S::ReasoningModel
        | S::NoStreamOptions
        | S::OneByte
        | S::Crlf
        | S::Cr
        | S::Bom
        | S::NoSpace
        | S::MultiLine
        | S::Comments
        | S::Burst
        | S::NoContentType
        | S::BlankContentType
        | S::CloseDelimited
        | S::Informational
        | S::Slow
        | S::Think
        | S::AsyncFilteredLate
        | S::ReasoningSummary
        | S::Keepalive
        | S::UnknownEvent
        | S::HugeCreated
        | S::NullContentFilters
        | S::NoEventLines
        | S::TerminalWithoutBlankLine
        | S::BackgroundQueued
        | S::ResumeTooOld
        // Without effect on this API.
        | S::ResponsesOnly
        | S::NoDone
        | S::Oddities
        | S::UsageOnDeltas
        | S::AsyncFilter
        | S::FilterOutage
        | S::ReplyFilteredCut
        | S::AsyncFiltered
        | S::DoneWithoutFinish
        | S::ErrorEvent
        | S::ErrorNumeric
        | S::MessageForDelta
        | S::ContentParts
        | S::TextElsewhere
        | S::FinishUnknown => CompleteVerse,
        S::Length | S::LengthEmpty | S::ReplyFiltered => Ended("response.incomplete", true),
        S::Empty
        | S::Refusal
        | S::ToolCalls
        | S::LongLine
        | S::BadJson
        | S::Markdown
        | S::Multibyte
        | S::Surrogates
        | S::CommentaryThenFinal
        | S::DoneDisagrees
        | S::DoneLonger
        | S::DoneAppended => Ended("response.completed", true),
        S::RateLimitErrorFirst
        | S::BusyIn200
        | S::DeploymentMissingIn200
        | S::QuotaIn200
        | S::OverloadedIn200
        | S::ContextIn200
        | S::RateLimitInStream
        | S::OverloadedInStream
        | S::ErrorInStream
        | S::ErrorFirst
        | S::FailedUncoded => Ended("response.failed", true),
        S::RateLimitFailedFirst | S::FilterIn200 | S::FilterInStream | S::ErrorFlat => {
            Ended("error", true)
        }
        S::NoTerminal => Ended("response.output_item.done", true),
        S::TruncatedClean => Ended("response.output_text.delta", true),
        S::Truncated | S::TruncatedFrame | S::Reset | S::BadChunk => {
            Ended("response.output_text.delta", false)
        }
        S::NoHead => Hangs(""),
        S::InformationalOnly => Hangs("HTTP/1.1 103 "),
        S::Silent => Hangs("\r\n\r\n"),
        S::Stall | S::Endless => Hangs("\"delta\":"),
        S::StallAfterFinish => Hangs("\"type\":\"response.completed\""),
        S::ResetBeforeHead | S::Html200 | S::Json200 => Special,
    }
}
