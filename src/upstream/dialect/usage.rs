//! Token counts, by the names of either API. Some servers write them as strings or with a fraction, or
//! leave the sum out.

use serde_json::{Value, value::RawValue};

use crate::event::{CompletionTokensDetails, PromptTokensDetails, Usage};

/// Reads token counts; `None` if there are none in a known form.
pub(super) fn read(json: &RawValue) -> Option<Usage> {
    let usual = serde_json::from_str(json.get()).ok();
    usual.or_else(|| unusual(&serde_json::from_str(json.get()).ok()?))
}

fn unusual(usage: &Value) -> Option<Usage> {
    let either = |chat: &str, responses: &str| {
        let named = |name: &str| Some(&usage[name]).filter(|value| !value.is_null());
        named(chat).or(named(responses)).unwrap_or(&Value::Null)
    };
    let prompt_tokens = count(either("prompt_tokens", "input_tokens"))?;
    let completion_tokens = count(either("completion_tokens", "output_tokens"))?;
    let total = count(&usage["total_tokens"]);
    let prompt_details = either("prompt_tokens_details", "input_tokens_details");
    let completion_details = either("completion_tokens_details", "output_tokens_details");
    let cached_tokens = count(&prompt_details["cached_tokens"]);
    let reasoning_tokens = count(&completion_details["reasoning_tokens"]);
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: total.unwrap_or(prompt_tokens.saturating_add(completion_tokens)),
        prompt_tokens_details: cached_tokens.map(|tokens| PromptTokensDetails {
            cached_tokens: Some(tokens),
        }),
        completion_tokens_details: reasoning_tokens.map(|tokens| CompletionTokensDetails {
            reasoning_tokens: Some(tokens),
        }),
    })
}

fn count(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    number.parse().ok().or_else(|| {
        let number: f64 = number.parse().ok()?;
        // Beyond 2^53 a float is no count.
        let whole = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        whole.then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Option<(u64, u64, u64)> {
        let usage = read(serde_json::from_str(json).unwrap())?;
        Some((
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
        ))
    }

    #[test]
    fn counts_are_read_in_every_form() {
        for json in [
            r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#,
            r#"{"prompt_tokens":"3","completion_tokens":"4","total_tokens":"7"}"#,
            r#"{"prompt_tokens":3.0,"completion_tokens":4e0,"total_tokens":7}"#,
            r#"{"prompt_tokens":3,"completion_tokens":4}"#,
            r#"{"input_tokens":3,"output_tokens":"4","total_tokens":7}"#,
            r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":null}"#,
            r#"{"prompt_tokens":1,"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#,
            r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":"2"}}"#,
            r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":"none"}"#,
        ] {
            assert_eq!(usage(json), Some((3, 4, 7)), "for {json}");
        }
    }

    #[test]
    fn what_is_no_count_is_not_invented() {
        for json in [
            "7",
            "\"many\"",
            "{}",
            r#"{"prompt_tokens":-1,"completion_tokens":4}"#,
            r#"{"prompt_tokens":3}"#,
            r#"{"prompt_tokens":3,"completion_tokens":"four"}"#,
            r#"{"prompt_tokens":3,"completion_tokens":4.5}"#,
            r#"{"prompt_tokens":3,"completion_tokens":1e300}"#,
        ] {
            assert_eq!(usage(json), None, "for {json}");
        }
    }

    #[test]
    fn details_are_kept() {
        let json = r#"{"prompt_tokens":"3","completion_tokens":4,"prompt_tokens_details":{"cached_tokens":"2"},"completion_tokens_details":{"reasoning_tokens":1}}"#;
        let usage = read(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(usage.prompt_tokens_details.unwrap().cached_tokens, Some(2));
        let details = usage.completion_tokens_details.unwrap();
        assert_eq!(details.reasoning_tokens, Some(1));
    }
}
