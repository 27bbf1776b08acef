//! What callers may cost. These are the limits of the guard; those of one reply are in
//! `generation/limits.rs`, and the settings of both are in `config/cost.rs`.

use std::num::{NonZeroU32, NonZeroU64};

/// What is reserved for a reply if no setting limits it. Most replies are shorter.
pub const OUTPUT_TOKENS: NonZeroU64 = match NonZeroU64::new(4096) {
    Some(number) => number,
    None => NonZeroU64::MIN,
};

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
    /// The most tokens of a caller in a day, of requests and replies together.
    pub tokens_per_day_per_caller: NonZeroU64,
    /// The most tokens of all callers in a day.
    pub tokens_per_day: NonZeroU64,
    /// The tokens that are reserved for the text of a reply until it has ended.
    pub output_tokens: NonZeroU64,
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
            tokens_per_day_per_caller: positive(1_000_000).into(),
            tokens_per_day: positive(10_000_000).into(),
            output_tokens: OUTPUT_TOKENS,
        }
    }
}
