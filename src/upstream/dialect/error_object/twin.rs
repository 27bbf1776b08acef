//! The HTTP status that an error inside a 200 would have had.
//!
//! Servers respond with 200 before they know whether they can answer, so every refusal can also come
//! in the stream. There the status is missing; its code, its type and its sentence stand for it.

use super::object::ErrorObject;

/// Codes and types, in lower case and without anything but letters, with the status that they have
/// as refusals. Codes of Azure, OpenAI, Google's APIs, vLLM and other compatible servers.
const STATUSES: &[(&str, u16)] = &[
    ("badrequest", 400),
    ("badrequesterror", 400),
    ("biopolicy", 400),
    ("dataresidencymismatch", 400),
    ("invalidargument", 400),
    ("invalidprompt", 400),
    ("invalidrequest", 400),
    ("invalidvalue", 400),
    ("operationnotsupported", 400),
    ("unknownparameter", 400),
    ("unsupportedparameter", 400),
    ("unsupportedvalue", 400),
    ("authenticationerror", 401),
    ("invalidapikey", 401),
    ("unauthenticated", 401),
    ("unauthorized", 401),
    ("accessdenied", 403),
    ("forbidden", 403),
    ("permissiondenied", 403),
    ("permissiondeniederror", 403),
    ("permissionerror", 403),
    ("deploymentnotfound", 404),
    ("modelnotfound", 404),
    ("notfound", 404),
    ("notfounderror", 404),
    ("resourcenotfound", 404),
    ("insufficientquota", 429),
    ("quotaexceeded", 429),
    ("ratelimit", 429),
    ("ratelimited", 429),
    ("ratelimiterror", 429),
    ("ratelimitexceeded", 429),
    ("ratelimitreached", 429),
    ("requests", 429),
    ("resourceexhausted", 429),
    ("throttlingexception", 429),
    ("tokens", 429),
    ("toomanyrequests", 429),
    ("apierror", 500),
    ("internal", 500),
    ("internalerror", 500),
    ("internalservererror", 500),
    ("servererror", 500),
    ("capacityexceeded", 503),
    ("engineoverloaded", 503),
    ("insufficientsystemresource", 503),
    ("modeloverloaded", 503),
    ("overloaded", 503),
    ("overloadederror", 503),
    ("serveroverloaded", 503),
    ("serverisoverloaded", 503),
    ("serviceunavailable", 503),
    ("serviceunavailableerror", 503),
    ("slowdown", 503),
    ("temporarilyunavailable", 503),
    ("unavailable", 503),
    ("deadlineexceeded", 504),
    ("requesttimeout", 504),
    ("timeout", 504),
    ("timeouterror", 504),
];

/// A type that says no more than that something is wrong. The sentence counts before it.
const UNSPECIFIC: &str = "invalidrequesterror";

/// Parts of sentences, in lower case, of errors without a telling code. The first that occurs counts.
const SENTENCES: &[(&str, u16)] = &[
    ("rate limit", 429),
    ("too many requests", 429),
    ("exceeded your current quota", 429),
    ("high demand", 503),
    ("overloaded", 503),
    ("at capacity", 503),
    ("over capacity", 503),
    ("temporarily unavailable", 503),
];

/// The status of the refusal that `error` would be; `None` if it does not tell.
pub(super) fn status(error: &ErrorObject<'_>) -> Option<u16> {
    let words = [
        error.code.as_str(),
        error.status.as_str(),
        error.kind,
        error.inner,
    ];
    let number = || words.iter().find_map(|word| refused(word.parse().ok()?));
    let word = || words.iter().find_map(|word| of_word(word));
    let sentence = || {
        let message = error.message.to_ascii_lowercase();
        let known = SENTENCES.iter().find(|(part, _)| message.contains(part));
        known.map(|(_, status)| *status)
    };
    let unspecific = || (letters(error.kind) == UNSPECIFIC).then_some(400);
    number().or_else(word).or_else(sentence).or_else(unspecific)
}

const fn refused(status: u16) -> Option<u16> {
    match status {
        400..=599 => Some(status),
        _ => None,
    }
}

fn of_word(word: &str) -> Option<u16> {
    let word = letters(word);
    let known = STATUSES.iter().find(|(known, _)| *known == word);
    known.map(|(_, status)| *status)
}

/// `RateLimitReached`, `rate_limit_reached` and `RATE_LIMIT_REACHED` are one word.
fn letters(word: &str) -> String {
    word.chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}
