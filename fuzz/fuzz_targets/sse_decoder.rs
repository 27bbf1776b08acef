//! Any bytes, cut anywhere, give the frames of a plain reading of the standard.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target has a property of its own")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sse_decoder(data));
