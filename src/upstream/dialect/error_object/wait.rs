//! How long upstream asks to wait: in the head of a response, or in an error object.
//!
//! Zero, negative numbers, and more than a week have all been seen and mean nothing.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// A longer wait than this is an upstream error, and counts as none.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What stands before the wait in a sentence for people.
const LEAD_INS: [&str; 4] = ["retry after ", "try again in ", "retry in ", "again after "];

/// The milliseconds that a head asks to wait: `retry-after-ms`, else `retry-after`, which has seconds
/// or an HTTP date.
pub(in crate::upstream) fn in_head(
    retry_after_ms: Option<&str>,
    retry_after: Option<&str>,
) -> Option<u64> {
    in_head_at(retry_after_ms, retry_after, SystemTime::now())
}

pub(super) fn in_head_at(
    retry_after_ms: Option<&str>,
    retry_after: Option<&str>,
    now: SystemTime,
) -> Option<u64> {
    let from_ms = retry_after_ms.and_then(|text| text.trim().parse::<f64>().ok());
    let from_seconds = || {
        let text = retry_after?.trim();
        text.parse::<f64>()
            .ok()
            .map(|seconds| seconds * 1000.0)
            .or_else(|| {
                let wait = httpdate::parse_http_date(text)
                    .ok()?
                    .duration_since(now)
                    .ok()?;
                Some(wait.as_secs_f64() * 1000.0)
            })
    };
    meaningful(from_ms.or_else(from_seconds)?)
}

/// The milliseconds that an error object asks to wait: in a field of its own, in the headers that it
/// repeats, in Google's `retryDelay`, else in its sentence.
pub(super) fn in_error(error: &Value, message: &str) -> Option<u64> {
    let field = |value: &Value, name: &str| match &value[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let in_fields = [error, &error["headers"]].into_iter().find_map(|object| {
        let ms = field(object, "retry_after_ms").or_else(|| field(object, "retry-after-ms"));
        let seconds = field(object, "retry_after").or_else(|| field(object, "retry-after"));
        in_head(ms.as_deref(), seconds.as_deref())
    });
    let delay = || {
        let details = error["details"].as_array()?;
        let delay = details
            .iter()
            .find_map(|detail| detail["retryDelay"].as_str());
        duration_ms(delay?)
    };
    let sentence = || {
        let message = message.to_ascii_lowercase();
        LEAD_INS.iter().find_map(|lead_in| {
            let (_, wait) = message.split_once(lead_in)?;
            duration_ms(wait)
        })
    };
    in_fields.or_else(|| delay().or_else(sentence).and_then(meaningful))
}

/// The duration at the beginning of `text`: `45 seconds`, `7.66s`, `6m0s`, `120ms`.
fn duration_ms(text: &str) -> Option<f64> {
    let (mut total, mut rest) = (None, text);
    loop {
        let number = rest.trim_start();
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = number.split_at(end.unwrap_or(number.len()));
        let Ok(number) = number.parse::<f64>() else {
            return total;
        };
        let unit = after.trim_start();
        let end = unit.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = unit.split_at(end.unwrap_or(unit.len()));
        let ms = match unit {
            "ms" | "millisecond" | "milliseconds" => 1.0,
            "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0 * 1000.0,
            "h" | "hour" | "hours" => 3600.0 * 1000.0,
            "d" | "day" | "days" => 24.0 * 3600.0 * 1000.0,
            _ => return total,
        };
        total = Some(total.unwrap_or(0.0) + number * ms);
        rest = after;
    }
}

fn meaningful(ms: f64) -> Option<u64> {
    let longest = RETRY_AFTER_LIMIT.as_millis() as f64;
    (ms >= 1.0 && ms <= longest).then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wait_is_read_from_milliseconds_then_seconds_then_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |ms: Option<&str>, seconds: Option<&str>| in_head_at(ms, seconds, now);
        assert_eq!(wait(Some("1500"), Some("2")), Some(1500));
        assert_eq!(wait(None, Some("2")), Some(2000));
        assert_eq!(wait(None, Some("0.5")), Some(500));
        assert_eq!(wait(None, Some("86400")), Some(86_400_000));
        assert_eq!(
            wait(None, Some("Sun, 22 Nov 2026 10:00:07 GMT")),
            Some(7000)
        );
        assert_eq!(wait(None, Some("Sun, 22 Nov 2026 09:00:00 GMT")), None);
        for nothing in ["0", "-1", "soon", "", "6m0s", "NaN", "inf", "1e300"] {
            assert_eq!(wait(None, Some(nothing)), None, "for {nothing}");
        }
        assert_eq!(wait(Some("6m0s"), Some("3")), Some(3000));
        assert_eq!(wait(None, None), None);
    }

    #[test]
    fn an_error_says_how_long_to_wait_in_a_sentence() {
        for (message, ms) in [
            ("Please retry after 45 seconds.", Some(45_000)),
            ("Please try again in 7.66s. Need more?", Some(7660)),
            ("Please try again in 6m0s.", Some(360_000)),
            ("Please try again in 1h2m3.5s", Some(3_723_500)),
            ("try again in 120ms", Some(120)),
            ("Please retry in 17.5s.", Some(17_500)),
            ("Try again in 2 minutes 5 seconds", Some(125_000)),
            ("Please retry after 1 day.", Some(86_400_000)),
            ("Please try again in a moment.", None),
            ("Please retry after 0 seconds.", None),
            ("Please retry after 9999 days.", None),
            ("Limit 500 tokens per 60 seconds.", None),
            ("Please try again in 5", None),
            ("", None),
        ] {
            assert_eq!(in_error(&Value::Null, message), ms, "for {message}");
        }
    }

    #[test]
    fn a_field_of_an_error_counts_before_its_sentence() {
        let sentence = "Please retry after 45 seconds.";
        for (error, ms) in [
            (json!({"retry_after": 4}), 4000),
            (json!({"retry_after_ms": 250, "retry_after": 4}), 250),
            (json!({"headers": {"retry-after": "3"}}), 3000),
            (json!({"headers": {"x-ms-fe-error": "true"}}), 45_000),
            (
                json!({"details": [{"@type": "Help"}, {"retryDelay": "17s"}]}),
                17_000,
            ),
            (json!({"retry_after": null, "details": "none"}), 45_000),
            (json!("a plain string"), 45_000),
        ] {
            assert_eq!(in_error(&error, sentence), Some(ms), "for {error}");
        }
    }
}
