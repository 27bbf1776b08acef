//! What the handlers read from the head of a request: the idempotency key, the cursor, and the form
//! of the answer.

use actix_web::{
    HttpRequest,
    http::{
        header::{self, Accept, Header as _, HeaderMap, HeaderName},
        uri::Authority,
    },
};

use super::problem::{Code, Problem};
use crate::{event::Seq, store::IdempotencyKey};

/// `Idempotency-Key`; `None` without that header.
///
/// # Errors
///
/// The [`Problem`] with a malformed key, or with several.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let name = HeaderName::from_static("idempotency-key");
    let Some(value) = only(request.headers(), &name) else {
        return Ok(None);
    };
    IdempotencyKey::parse(value).map(Some).ok_or_else(|| {
        Problem::new(
            Code::BadRequest,
            "One Idempotency-Key of 16 to 128 visible ASCII characters is allowed.",
        )
    })
}

/// `Last-Event-ID`, else `?after=`, else 0, which is the beginning. An `EventSource` cannot send the
/// header on its first connection and cannot change the URL on later ones.
///
/// # Errors
///
/// The [`Problem`] with a cursor that is not a decimal number, or with several.
pub(super) fn cursor(request: &HttpRequest) -> Result<Seq, Problem> {
    let name = HeaderName::from_static("last-event-id");
    let headers: Vec<_> = request.headers().get_all(&name).collect();
    let header = match headers[..] {
        [] => None,
        [header] => Some(header.to_str().map_err(|_| bad_cursor())?.to_owned()),
        _ => return Err(bad_cursor()),
    };
    let mut after = url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name == "after")
        .map(|(_, value)| value.into_owned());
    let (first, second) = (after.next(), after.next());
    if second.is_some() {
        return Err(bad_cursor());
    }
    match header.filter(|text| !text.is_empty()).or(first).as_deref() {
        None | Some("") => Ok(Seq::ZERO),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Seq).map_err(|_| bad_cursor())
        }
        Some(_) => Err(bad_cursor()),
    }
}

fn bad_cursor() -> Problem {
    Problem::new(
        Code::BadCursor,
        "Last-Event-ID and after take one decimal number.",
    )
}

/// The value of a header; empty if there are several, or if it is not text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    let text = std::str::from_utf8(first.as_bytes()).unwrap_or_default();
    Some(if values.next().is_none() { text } else { "" })
}

/// The name by which the server is asked: in `Host`, or over HTTP/2 in the URL.
pub(super) fn host(request: &HttpRequest) -> Option<&str> {
    let in_url = || request.uri().authority().map(Authority::as_str);
    only(request.headers(), &header::HOST).or_else(in_url)
}

/// A format of the events of a reply, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatName {
    /// `text/event-stream`, or `?format=events`.
    Native,
    /// `application/x-ndjson`, or `?format=ndjson`.
    JsonLines,
    /// `text/plain`, or `?format=text`.
    PlainText,
    /// `?format=openai`.
    ChatCompletions,
}

/// The format that a request for events names in its query, else in `Accept`, else the native one.
///
/// # Errors
///
/// The [`Problem`] with an unknown name in the query.
pub(super) fn format(request: &HttpRequest) -> Result<FormatName, Problem> {
    let named = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, _)| name == "format");
    match named.as_ref().map(|(_, value)| value.as_ref()) {
        Some("events") => Ok(FormatName::Native),
        Some("ndjson") => Ok(FormatName::JsonLines),
        Some("text") => Ok(FormatName::PlainText),
        Some("openai") => Ok(FormatName::ChatCompletions),
        Some(_) => Err(Problem::new(
            Code::BadRequest,
            "format is one of events, ndjson, text and openai.",
        )),
        None => Ok(accepted_format(request).unwrap_or(FormatName::Native)),
    }
}

/// The format in which a client wants the events in the answer to its POST; `None` if it wants to be
/// told where they are, as JSON.
///
/// A type counts if `Accept` lists it and does not prefer JSON. Plain text must be preferred to JSON:
/// axios lists both in all its requests.
pub(super) fn accepted_format(request: &HttpRequest) -> Option<FormatName> {
    let accept = Accept::parse(request).ok()?;
    let quality = |subtypes: &[&str]| {
        accept
            .iter()
            .filter(|item| subtypes.contains(&item.item.essence_str()))
            .map(|item| item.quality)
            .filter(|quality| *quality > header::Quality::ZERO)
            .max()
    };
    let json = quality(&["application/json"]);
    let events = quality(&["text/event-stream"]).filter(|events| Some(*events) >= json);
    let lines = quality(&["application/x-ndjson", "application/jsonl"])
        .filter(|lines| Some(*lines) >= json && Some(*lines) > events);
    let text = quality(&["text/plain"])
        .filter(|text| Some(*text) > json && Some(*text) > events && Some(*text) > lines);
    match (events, lines, text) {
        (_, _, Some(_)) => Some(FormatName::PlainText),
        (_, Some(_), _) => Some(FormatName::JsonLines),
        (Some(_), ..) => Some(FormatName::Native),
        (None, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn cursor_of(header: Option<&str>, query: &str) -> Option<u64> {
        let mut request = TestRequest::with_uri(&format!("/{query}"));
        if let Some(value) = header {
            request = request.insert_header(("last-event-id", value));
        }
        cursor(&request.to_http_request()).ok().map(|seq| seq.0)
    }

    #[test]
    fn the_header_comes_first_then_the_query_then_the_beginning() {
        assert_eq!(cursor_of(Some("7"), "?after=3"), Some(7));
        assert_eq!(cursor_of(Some("0"), "?after=3"), Some(0));
        assert_eq!(cursor_of(None, "?x=1&after=3"), Some(3));
        assert_eq!(cursor_of(Some(""), "?after=3"), Some(3));
        assert_eq!(cursor_of(None, "?after="), Some(0));
        assert_eq!(cursor_of(None, ""), Some(0));
        assert_eq!(cursor_of(Some("18446744073709551615"), ""), Some(u64::MAX));
    }

    #[test]
    fn what_is_not_a_decimal_number_is_no_cursor() {
        for bad in [
            "-1",
            "+1",
            "1.0",
            "0x1",
            "one",
            " 1 2",
            "18446744073709551616",
            "١",
        ] {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            let query = query.append_pair("after", bad).finish();
            assert_eq!(cursor_of(None, &format!("?{query}")), None, "for {bad}");
        }
        assert_eq!(cursor_of(Some("abc"), "?after=3"), None);
        assert_eq!(cursor_of(Some("1"), "?after=3&after=4"), None);
        let twice = TestRequest::default()
            .append_header(("last-event-id", "1"))
            .append_header(("last-event-id", "1"));
        assert!(cursor(&twice.to_http_request()).is_err());
    }

    #[test]
    fn events_are_sent_to_clients_that_list_them_and_do_not_prefer_json() {
        use FormatName::*;
        for (accept, expected) in [
            ("text/event-stream", Some(Native)),
            ("text/event-stream, application/json", Some(Native)),
            (
                "application/json;q=0.5, text/event-stream;q=0.5",
                Some(Native),
            ),
            ("application/json, text/event-stream;q=0.9", None),
            ("text/event-stream;q=0", None),
            ("application/x-ndjson", Some(JsonLines)),
            ("application/jsonl, application/json;q=0.1", Some(JsonLines)),
            ("application/x-ndjson, text/event-stream", Some(Native)),
            ("text/plain", Some(PlainText)),
            ("text/plain, */*", Some(PlainText)),
            ("text/plain, text/event-stream", Some(Native)),
            // What axios sends.
            ("application/json, text/plain, */*", None),
            ("*/*", None),
            ("nonsense", None),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept));
            let request = request.to_http_request();
            assert_eq!(accepted_format(&request), expected, "for {accept}");
        }
        let request = TestRequest::default().to_http_request();
        assert_eq!(accepted_format(&request), None);
    }

    #[test]
    fn the_query_names_a_format_before_the_header_does() {
        use FormatName::*;
        for (query, expected) in [
            ("", Some(PlainText)),
            ("?after=3&format=events", Some(Native)),
            ("?format=ndjson", Some(JsonLines)),
            ("?format=text", Some(PlainText)),
            ("?format=openai", Some(ChatCompletions)),
            ("?format=xml", None),
        ] {
            let request = TestRequest::with_uri(&format!("/{query}"));
            let request = request.insert_header(("accept", "text/plain"));
            assert_eq!(
                format(&request.to_http_request()).ok(),
                expected,
                "for {query}"
            );
        }
    }
}
