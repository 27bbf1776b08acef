//! The chunks of a stream are the same wherever it is split, and no text is damaged.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target uses one property")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::normalizer(data));
