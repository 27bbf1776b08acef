//! Any event stream gives the same chunks however it is cut, and text comes out whole.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target has a property of its own")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::normaliser(data));
