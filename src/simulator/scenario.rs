//! Scenarios: every way in which Azure, or a gateway in front of it, is known to answer.
//!
//! This module has only their names and descriptions; [`refused`](super::refused) and
//! [`script`](super::script) play them.

use std::{fmt, str::FromStr};

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called {0:?}")]
pub struct UnknownScenario(String);

/// The APIs over which a scenario has an effect. Over another, the answer is an ordinary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Both.
    General,
    /// Chat Completions.
    Chat,
    /// The Responses API.
    Responses,
}

macro_rules! scenarios {
    ($($group:ident {
        $($variant:ident $name:literal $(| $other:literal)* $about:literal)+
    })+) => {
        /// One way of answering, known by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scenario {
            $($(#[doc = $about] $variant,)+)+
        }

        impl Scenario {
            /// Every scenario, in the order in which `simulate --list` prints them.
            pub const ALL: &[Scenario] = &[$($(Scenario::$variant,)+)+];

            /// Its names, without the `sim-` of its deployment. The first one is its own; others are
            /// what it is called over the Responses API.
            #[must_use]
            pub fn names(self) -> &'static [&'static str] {
                match self { $($(Self::$variant => &[$name, $($other,)*],)+)+ }
            }

            /// What happens, in one sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $($(Self::$variant => $about,)+)+ }
            }

            /// The APIs over which it has an effect.
            #[must_use]
            pub fn group(self) -> Group {
                match self { $($(Self::$variant => Group::$group,)+)+ }
            }
        }
    };
}

scenarios! {
    // Both APIs.
    General {
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
        PromptFiltered "prompt-filtered" | "prompt-filtered-400" "400: the content filter refuses the prompt."
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
        ErrorString "error-string" "400 whose `error` is a plain string."
        Redirect "redirect" "307 to another path, to which no client should send the key."
        // Refused inside a 200.
        RateLimitErrorFirst "429-in-200-error-first" "A stream that is a rate limit: `error`, then `response.failed`. The head has `retry-after`."
        RateLimitFailedFirst "429-in-200-failed-first" "A stream that is a rate limit: `response.failed` without a reason, then `error`. The head has `retry-after`."
        BusyIn200 "busy-in-200" "Like busy, but the refusal is inside a 200."
        DeploymentMissingIn200 "deployment-missing-in-200" "A stream that says that the deployment does not exist."
        FilterIn200 "filter-in-200" "A stream that says that the content filter refuses the prompt."
        QuotaIn200 "quota-in-200" "A stream that says that the quota is used up."
        OverloadedIn200 "overloaded-in-200" "A stream that says that the model is overloaded."
        ContextIn200 "context-too-long-in-200" "A stream that says that the prompt is longer than the model's context."
        JsonErrorIn200 "json-error-in-200" "A rate limit as JSON under 200, without a stream. The head has `retry-after`."
        // A complete stream in an unusual form.
        Length "length" | "incomplete-length" "The reply reaches its token limit."
        LengthEmpty "length-empty" | "incomplete-length-no-text" "Reasoning uses up the token limit: no text."
        Empty "empty" "A complete reply without text."
        Refusal "refusal" "The model refuses: refusal deltas instead of text."
        ToolCalls "tool-calls" "Some text, then a tool call in parts."
        OneByte "one-byte" "The whole response in writes of one byte."
        Markdown "markdown" "A complete reply in Markdown, with each construct that models use."
        Multibyte "multibyte" "Emoji, CJK and combining marks, each character split between its bytes."
        Surrogates "surrogates" "\\u escapes: a surrogate pair split over two deltas, and a lone surrogate."
        Crlf "crlf" "CRLF line ends."
        Cr "cr" "Bare CR line ends."
        Bom "bom" "A byte order mark before the first frame."
        NoSpace "no-space" "No space after `data:`."
        MultiLine "multi-line" "Each frame's JSON on two `data:` lines."
        Comments "comments" "Keep-alive comments between the frames."
        Burst "burst" "All frames in one write."
        LongLine "long-line" "One SSE line of 2 MiB."
        NoContentType "no-content-type" "No Content-Type header."
        BlankContentType "blank-content-type" "An empty Content-Type header, as behind a gateway."
        CloseDelimited "close-delimited" "The body ends with the connection: no length, no chunks."
        Informational "informational" "An unexpected 103 Early Hints, then the real response."
        Slow "slow" "One delta per second, slow enough to watch."
        Think "think" "One minute of silence before the first delta."
        Endless "endless" "Deltas until the client disconnects."
        // Filtered.
        ReplyFiltered "reply-filtered" | "incomplete-filter" "Several deltas, then the content filter ends the reply."
        AsyncFilteredLate "async-filtered-late" | "late-blocked" "A complete reply, then the content filter retracts it."
        // Broken in the middle.
        Truncated "truncated" "FIN after several deltas; the chunked body is not ended."
        TruncatedClean "truncated-clean" "The body ends properly after several deltas, and nothing says that the reply has ended."
        TruncatedFrame "truncated-frame" "FIN in the middle of a frame."
        Reset "reset" "RST after several deltas."
        ResetBeforeHead "reset-before-head" "RST instead of a response."
        ErrorInStream "error-in-stream" "A failure of the model after several deltas."
        RateLimitInStream "rate-limit-in-stream" "A rate limit after several deltas. The head has `retry-after`."
        OverloadedInStream "overloaded-in-stream" "An overload after several deltas."
        FilterInStream "filter-in-stream" "An error by which the content filter objects, after several deltas."
        ErrorFirst "error-first" "A stream that is a failure of the model."
        BadJson "bad-json" "A frame that is not JSON after several deltas, then the rest."
        BadChunk "bad-chunk" "A chunk size that is not a number after several deltas."
        // Silent.
        NoHead "no-head" "Reads the request and never answers."
        InformationalOnly "informational-only" "103 Early Hints, and never a real response."
        Silent "silent" "The response head, then nothing."
        Stall "stall" "Several deltas, then nothing."
        StallAfterFinish "stall-after-finish" | "open-after-terminal" "The end of the reply, then nothing: the body does not end."
        // Not a stream.
        Html200 "html-200" "An HTML page under 200."
        Json200 "json-200" "The complete reply as JSON under 200 instead of a stream."
    }
    // Without effect on the Responses API.
    Chat {
        ResponsesOnly "responses-only" "400 OperationNotSupported: the model has only the Responses API."
        NoDone "no-done" "The body ends after the finish reason, without `[DONE]`."
        Oddities "oddities" "Chunks in which everything that may be null, missing or unknown is."
        UsageOnDeltas "usage-on-deltas" "Usage so far on every chunk; no chunk about the prompt."
        AsyncFilter "async-filter" "Asynchronous content filter: annotation chunks without a delta, without objection."
        FilterOutage "filter-outage" "The content filter did not run, and each chunk says so."
        ReplyFilteredCut "reply-filtered-cut" "Several deltas, then finish reason content_filter and no `[DONE]`."
        AsyncFiltered "async-filtered" "Asynchronous filter: an annotation ends the reply with content_filter."
        DoneWithoutFinish "done-without-finish" "`[DONE]` after several deltas, no finish reason."
        ErrorEvent "error-event" "`event: error` after several deltas, like LM Studio."
        ErrorNumeric "error-numeric" "An error object whose code is a number, like vLLM."
        MessageForDelta "message-for-delta" "Choices with a message instead of a delta."
        ContentParts "content-parts" "The content in parts: thinking, then text, like Mistral."
        FinishUnknown "finish-unknown" "A finish reason that no client knows."
        TextElsewhere "text-elsewhere" "The text in a member of the choice that no client reads."
    }
    // Without effect on chat completions.
    Responses {
        ChatOnly "chat-only" "404: the model has only chat completions."
        ReasoningSummary "reasoning-summary" "A reasoning item before the message, with its summary if the request asks for one."
        CommentaryThenFinal "commentary-then-final" "A message of commentary before the message with the answer."
        Keepalive "keepalive" "`keepalive` events, which use up numbers, between the others."
        UnknownEvent "unknown-event" "Events of types that no client knows, between the others."
        HugeCreated "huge-created" "Instructions of 200 KiB, which the first events and the last one repeat."
        DoneDisagrees "done-disagrees" "The whole text at the end is not the text of the deltas."
        DoneLonger "done-longer" "The last deltas are missing; only the whole text at the end has their text."
        NullContentFilters "null-content-filters" "The last event has no verdicts of the content filter."
        NoEventLines "no-event-lines" "No `event:` lines."
        DoneAppended "done-appended" "`[DONE]` after the last event."
        TerminalWithoutBlankLine "terminal-without-blank-line" "The body ends right after the last event's line."
        NoTerminal "no-terminal" "The whole text, but no event that ends the response."
        FailedUncoded "failed-uncoded" "`response.failed` whose error has a message and no code."
        ErrorFlat "error-flat" "A rate limit as one `error` event whose fields are not nested."
        BackgroundQueued "background-queued" "The response waits in a queue before it begins."
        ResumeTooOld "resume-too-old" "The stored stream can no longer be followed: 400."
    }
}

impl Scenario {
    /// Its own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    /// Accepts each name with or without the `sim-` of its deployment.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("sim-").unwrap_or(text);
        let found = Self::ALL
            .iter()
            .find(|scenario| scenario.names().contains(&name));
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
            for name in scenario.names() {
                assert_eq!(name.parse(), Ok(*scenario));
                assert_eq!(format!("sim-{name}").parse(), Ok(*scenario));
                assert!(
                    name.bytes()
                        .all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
                );
            }
            assert!(scenario.about().ends_with('.'));
        }
    }

    #[test]
    fn an_unknown_name_is_named_in_the_error() {
        let error = "sim-nothing".parse::<Scenario>().unwrap_err();
        assert_eq!(error.to_string(), "no scenario is called \"sim-nothing\"");
    }
}
