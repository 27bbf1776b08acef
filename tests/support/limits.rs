//! The limits of callers, out of the way: all clients of a test are one caller.

/// The settings of limits, by their variables.
pub const UNLIMITED: [(&str, &str); 6] = [
    ("REQUESTS_PER_MINUTE", "1000000"),
    ("REPLIES_AT_ONCE", "1000000"),
    ("TOTAL_REQUESTS_PER_MINUTE", "1000000"),
    ("TOTAL_REPLIES_AT_ONCE", "1000000"),
    ("TOKENS_PER_DAY_PER_CALLER", "1000000000000"),
    ("TOKENS_PER_DAY", "1000000000000"),
];

/// A setting as its flag.
pub fn flag(name: &str, value: &str) -> String {
    format!("--{}={value}", name.to_lowercase().replace('_', "-"))
}
