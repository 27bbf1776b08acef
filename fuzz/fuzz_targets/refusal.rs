//! Any refusal is one fault, whose public part has no word of upstream's.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target has a property of its own")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::refusal(data));
