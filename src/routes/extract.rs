//! What the handlers read from the head of a request: the idempotency key, the cursor, and the form
//! of the answer.

use actix_web::{
    HttpRequest,
    http::header::{self, Accept, Header as _, HeaderMap, HeaderName},
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

/// How a client wants the answer to its POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As JSON that says where the events are.
    Json,
    /// As the events themselves.
    Events,
}

/// The form that `Accept` asks for: events if it lists `text/event-stream` and does not prefer
/// JSON.
pub(super) fn form(request: &HttpRequest) -> Form {
    let Ok(accept) = Accept::parse(request) else {
        return Form::Json;
    };
    let quality = |subtype: &str| {
        accept
            .iter()
            .filter(|item| item.item.essence_str() == subtype)
            .map(|item| item.quality)
            .max()
    };
    let json = quality("application/json");
    match quality("text/event-stream") {
        Some(events) if events > header::Quality::ZERO && Some(events) >= json => Form::Events,
        _ => Form::Json,
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
        for (accept, expected) in [
            ("text/event-stream", Form::Events),
            ("text/event-stream, application/json", Form::Events),
            (
                "application/json;q=0.5, text/event-stream;q=0.5",
                Form::Events,
            ),
            ("application/json, text/event-stream;q=0.9", Form::Json),
            ("text/event-stream;q=0", Form::Json),
            ("*/*", Form::Json),
            ("nonsense", Form::Json),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept));
            assert_eq!(form(&request.to_http_request()), expected, "for {accept}");
        }
        assert_eq!(form(&TestRequest::default().to_http_request()), Form::Json);
    }
}
