//! What callers may cost. These are the limits of the guard; those of one reply are in
//! `generation/limits.rs`, and the settings of both are in `config/cost.rs`.

use std::num::NonZeroU32;

/// What callers may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests for replies that a caller may send in a minute.
    pub requests_per_minute: NonZeroU32,
    /// The most replies of a caller that may run at once.
    pub replies_at_once: NonZeroU32,
    /// The most requests for replies that all callers together may send to this process in a minute.
    pub total_requests_per_minute: NonZeroU32,
    /// The most replies of all callers that may run at once in this process.
    pub total_replies_at_once: NonZeroU32,
}

/// `number`, which is not 0.
pub(super) const fn positive(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: positive(60),
            replies_at_once: positive(8),
            total_requests_per_minute: positive(3000),
            total_replies_at_once: positive(1000),
        }
    }
}
