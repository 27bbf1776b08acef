//! The JSON object that every body is.

use serde_json::{Map, Value};

use super::{error::ChatError, strict_json::Strict};

/// The fields of a body.
///
/// # Errors
///
/// [`ChatError`] for what is no JSON, has a field twice, or is no object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ChatError> {
    let Strict(value) = serde_json::from_slice(body).map_err(|error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        // Any value will do, so this is the only thing that can be wrong with the data itself.
        if error.is_data() {
            ChatError::RepeatedField { line, column }
        } else {
            ChatError::NotJson { line, column }
        }
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(ChatError::NotAnObject),
    }
}
