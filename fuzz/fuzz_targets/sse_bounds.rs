//! The same as `sse_decoder`, with lines and frames near the size limit.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target uses one property")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sse_bounds(data));
