//! The same with lines and frames about as long as they may be.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target has a property of its own")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sse_bounds(data));
