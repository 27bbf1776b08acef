//! The fields of a request's JSON, read with the checks and the error texts that both APIs share.
//!
//! [`Refusal`] renders the errors. This module does not know which fields an API
//! has.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A JSON object in a request.
pub(super) type Fields = Map<String, Value>;

/// Parses the body of a request.
///
/// # Errors
///
/// 400: it is not a JSON object.
pub(super) fn parse(bytes: &[u8]) -> Result<Fields, Refusal> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => {
            let text = "We could not parse the JSON body of your request. (HINT: This likely means \
                        you aren't using your HTTP library correctly. The API expects a JSON \
                        payload, but what was sent was not valid JSON.)";
            Err(Refusal::invalid(text, None, None))
        }
    }
}

/// The value of a field that is there and not null.
pub(super) fn present<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// A field that is true or false.
pub(super) fn flag(fields: &Fields, name: &str) -> Result<Option<bool>, Refusal> {
    match present(fields, name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong_type(name, "a boolean", other)),
    }
}

/// A field that is a string.
pub(super) fn string(fields: &Fields, name: &str) -> Result<Option<String>, Refusal> {
    match present(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong_type(name, "a string", other)),
    }
}

/// A field that is an object.
pub(super) fn object<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a Fields>, Refusal> {
    match present(fields, name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(wrong_type(name, "an object", other)),
    }
}

/// A field that is a number of tokens, at least `minimum`.
pub(super) fn tokens(fields: &Fields, name: &str, minimum: i64) -> Result<Option<usize>, Refusal> {
    let Some(value) = present(fields, name) else {
        return Ok(None);
    };
    let Some(number) = value.as_i64() else {
        return Err(wrong_type(name, "an integer", value));
    };
    if number < minimum {
        let text = format!(
            "Invalid '{name}': integer below minimum value. Expected a value >= {minimum}, but got \
             {number} instead."
        );
        let code = Some("integer_below_min_value");
        return Err(Refusal::invalid(&text, Some(name), code));
    }
    Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
}

/// The `stream_options`, which need `stream`.
pub(super) fn stream_options(fields: &Fields, stream: bool) -> Result<Option<&Fields>, Refusal> {
    let options = object(fields, "stream_options")?;
    if options.is_some() && !stream {
        let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid(text, Some("stream_options"), None));
    }
    Ok(options)
}

/// 400: a parameter is missing.
pub(super) fn missing(param: &str) -> Refusal {
    let text = format!("Missing required parameter: '{param}'.");
    Refusal::invalid(&text, Some(param), Some("missing_required_parameter"))
}

/// 400: an array without elements.
pub(super) fn empty_array(param: &str) -> Refusal {
    let text = format!(
        "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty \
         array instead."
    );
    Refusal::invalid(&text, Some(param), Some("empty_array"))
}

/// 400: a parameter is not of its type.
pub(super) fn wrong_type(param: &str, expected: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let text = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
    Refusal::invalid(&text, Some(param), Some("invalid_type"))
}
