//! Every refusal is one fault, whose public part has no text from upstream.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target uses one property")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::refusal(data));
