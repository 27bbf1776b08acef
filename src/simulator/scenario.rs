//! Scenarios: every way in which Azure, or a gateway in front of it, is known to answer.
//!
//! This module has only their names and descriptions; [`refusal`](super::refusal) and
//! [`script`](super::script) play them.

use std::{fmt, str::FromStr};

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called {0:?}")]
pub struct UnknownScenario(String);

macro_rules! scenarios {
    ($($variant:ident $name:literal $about:literal)+) => {
        /// One way of answering, known by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scenario {
            $(#[doc = $about] $variant,)+
        }

        impl Scenario {
            /// Every scenario, in the order in which `simulate --list` prints them.
            pub const ALL: &[Scenario] = &[$(Scenario::$variant,)+];

            /// The name, without the `sim-` of its deployment.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happens, in one sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

scenarios! {
    // Refused before the stream begins.
    Unauthorized "unauthorized" "401: the key is wrong."
    TokenExpired "token-expired" "401 in the gateway's own JSON, without `error`: the Entra token is invalid or expired."
    PermissionDenied "permission-denied" "401 PermissionDenied: the identity lacks the role."
    Forbidden "forbidden" "403: a firewall rule of the resource."
    DeploymentNotFound "deployment-not-found" "404 DeploymentNotFound."
    NotFound "not-found" "404: the path or the API version is wrong."
    Timeout408 "timeout-408" "408: the operation timed out."
    RateLimited "rate-limited" "429 that asks for 1.5 s in `retry-after-ms`."
    RateLimitedDay "rate-limited-day" "429 that asks for a whole day in `retry-after`."
    RateLimitedSilent "rate-limited-silent" "429 without retry-after, with limits of -1."
    Busy "busy" "Every other request, from the first on, gets a 429 that asks for 50 ms; the others are answered."
    ServerError "server-error" "500 with an OpenAI-style error."
    BadGateway "bad-gateway" "502 with an HTML page."
    Unavailable "unavailable" "503 with a gateway-style error."
    GatewayTimeout "gateway-timeout" "504 with an empty body."
    Flaky "flaky" "Every other request, from the first on, gets a 503; the others are answered."
    PromptFiltered "prompt-filtered" "400: the content filter refuses the prompt."
    ContextTooLong "context-too-long" "400: the prompt is longer than the model's context."
    UnsupportedParameter "unsupported-parameter" "400 that names `temperature`, whatever the request has."
    ReasoningModel "reasoning-model" "400 for max_tokens, top_p and temperature, one at a time; a request without them is answered."
    NoStreamOptions "no-stream-options" "400 for stream_options, like old API versions; a request without it is answered."
    BadRequest "bad-request" "400 BadRequest."
    InvalidPrompt "invalid-prompt" "400 from the model itself: it refuses the prompt."
    ApiVersion "api-version" "400 for an API version that is not supported."
    KeysDisabled "keys-disabled" "403 AuthenticationTypeDisabled: the resource does not accept keys."
    Blocked "blocked" "403: the resource is blocked for abuse."
    Conflict "conflict" "409."
    TooLarge "too-large" "413 without a body."
    TooManyHeaders "too-many-headers" "431 with an HTML page."
    NoChatCompletions "no-chat-completions" "400 OperationNotSupported: the model does not support chat completions."
    ErrorString "error-string" "400 whose `error` is a plain string."
    Redirect "redirect" "307 to another path, to which no client should send the key."
    // A complete stream in an unusual form.
    Length "length" "The reply reaches its token limit: finish reason length."
    LengthEmpty "length-empty" "Reasoning uses up the token limit: finish reason length, no text."
    Empty "empty" "Finish reason stop, no text."
    Refusal "refusal" "The model refuses: `refusal` deltas instead of `content`."
    ToolCalls "tool-calls" "Some text, then a tool call in parts, finish reason tool_calls."
    NoDone "no-done" "The body ends after the finish reason, without `[DONE]`."
    OneByte "one-byte" "The whole response in writes of one byte."
    Multibyte "multibyte" "Emoji, CJK and combining marks, each character split between its bytes."
    Surrogates "surrogates" "\\u escapes: a surrogate pair split over two chunks, and a lone surrogate."
    Crlf "crlf" "CRLF line ends."
    Cr "cr" "Bare CR line ends."
    Bom "bom" "A byte order mark before the first frame."
    NoSpace "no-space" "No space after `data:`."
    MultiLine "multi-line" "Each frame's JSON on two `data:` lines."
    Comments "comments" "Keep-alive comments between the frames."
    Burst "burst" "All frames in one write."
    LongLine "long-line" "One SSE line of 2 MiB."
    Oddities "oddities" "Chunks in which everything that may be null, missing or unknown is."
    UsageOnDeltas "usage-on-deltas" "Usage so far on every chunk; no chunk about the prompt."
    AsyncFilter "async-filter" "Asynchronous content filter: annotation chunks without a delta, without objection."
    FilterOutage "filter-outage" "The content filter did not run, and each chunk says so."
    NoContentType "no-content-type" "No Content-Type header."
    BlankContentType "blank-content-type" "An empty Content-Type header, as behind a gateway."
    CloseDelimited "close-delimited" "The body ends with the connection: no length, no chunks."
    Informational "informational" "An unexpected 103 Early Hints, then the real response."
    Slow "slow" "One delta per second, slow enough to watch."
    Think "think" "One minute of silence before the first delta."
    Endless "endless" "Deltas until the client disconnects."
    // Filtered.
    ReplyFiltered "reply-filtered" "Several deltas, then finish reason content_filter and `[DONE]`."
    ReplyFilteredCut "reply-filtered-cut" "Several deltas, then finish reason content_filter and no `[DONE]`."
    AsyncFiltered "async-filtered" "Asynchronous filter: an annotation ends the reply with content_filter."
    AsyncFilteredLate "async-filtered-late" "Asynchronous filter: finish reason stop, then an annotation retracts the text."
    // Broken in the middle.
    Truncated "truncated" "FIN after several deltas; the chunked body is not ended."
    TruncatedClean "truncated-clean" "The body ends properly after several deltas: no finish reason, no `[DONE]`."
    TruncatedFrame "truncated-frame" "FIN in the middle of a frame."
    Reset "reset" "RST after several deltas."
    ResetBeforeHead "reset-before-head" "RST instead of a response."
    DoneWithoutFinish "done-without-finish" "`[DONE]` after several deltas, no finish reason."
    ErrorInStream "error-in-stream" "An error object after several deltas, then `[DONE]`."
    ErrorFirst "error-first" "A stream that is one error object."
    ErrorEvent "error-event" "`event: error` after several deltas, like LM Studio."
    ErrorNumeric "error-numeric" "An error object whose code is a number, like vLLM."
    BadJson "bad-json" "A frame that is not JSON after several deltas, then the rest."
    BadChunk "bad-chunk" "A chunk size that is not a number after several deltas."
    // Silent.
    NoHead "no-head" "Reads the request and never answers."
    InformationalOnly "informational-only" "103 Early Hints, and never a real response."
    Silent "silent" "The response head, then nothing."
    Stall "stall" "Several deltas, then nothing."
    StallAfterFinish "stall-after-finish" "The finish reason, then nothing: no `[DONE]`, no end."
    // Not a stream.
    Html200 "html-200" "An HTML page under 200."
    Json200 "json-200" "A complete chat.completion under 200 instead of a stream."
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    /// Accepts the name with or without the `sim-` of its deployment.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("sim-").unwrap_or(text);
        let found = Self::ALL.iter().find(|scenario| scenario.name() == name);
        found
            .copied()
            .ok_or_else(|| UnknownScenario(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_with_and_without_prefix() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(*scenario));
            assert_eq!(format!("sim-{scenario}").parse(), Ok(*scenario));
            assert!(
                scenario
                    .name()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
            );
            assert!(scenario.about().ends_with('.'));
        }
    }

    #[test]
    fn an_unknown_name_is_named_in_the_error() {
        let error = "sim-nothing".parse::<Scenario>().unwrap_err();
        assert_eq!(error.to_string(), "no scenario is called \"sim-nothing\"");
    }
}
