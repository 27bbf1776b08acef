//! Any bytes, split anywhere, give the frames of a reference decoder.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target uses one property")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sse_decoder(data));
