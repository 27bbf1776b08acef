//! Small values that both APIs put into their JSON: the model's name, the time, random padding.

use std::time::{SystemTime, UNIX_EPOCH};

/// The model's version, which is not the name of its deployment.
pub(super) const MODEL: &str = "sim-dread-2026-11-01";

/// The time in seconds, as in `created`.
pub(super) fn unix_time() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// Random letters and digits, which hide the length of the text next to them.
pub(super) fn obfuscation(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length)
        .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
        .collect()
}
