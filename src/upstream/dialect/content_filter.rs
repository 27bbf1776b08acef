//! The verdicts of Azure's content filter, which have the same form in every dialect.

use serde_json::{Value, value::RawValue};

/// Whether any category of a filter's verdict says `filtered`. The blocklists are an object or an
/// array of objects. An `error` in place of a verdict retracts nothing.
pub(super) fn retracts(verdict: &RawValue) -> bool {
    let is_filtered = |verdict: &Value| verdict["filtered"] == Value::Bool(true);
    match serde_json::from_str(verdict.get()) {
        Ok(Value::Object(categories)) => categories.values().any(|category| {
            is_filtered(category)
                || category
                    .as_array()
                    .is_some_and(|list| list.iter().any(is_filtered))
        }),
        _ => false,
    }
}
