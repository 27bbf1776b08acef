//! The settings of what callers may cost, and their defaults.

use std::num::{NonZeroU32, NonZeroU64};

use clap::Args;

use crate::guard::{Limits, OUTPUT_TOKENS};

/// What callers may cost.
#[derive(Args, Clone, Debug)]
pub struct CostSettings {
    /// The most requests for replies that a caller may send in a minute
    #[arg(long, env = "REQUESTS_PER_MINUTE", value_name = "N", default_value = "60",
        value_parser = count)]
    pub requests_per_minute: NonZeroU32,

    /// The most replies of a caller that may run at once in this process
    #[arg(long, env = "REPLIES_AT_ONCE", value_name = "N", default_value = "8", value_parser = count)]
    pub replies_at_once: NonZeroU32,

    /// The same for all callers together
    #[arg(long, env = "TOTAL_REQUESTS_PER_MINUTE", value_name = "N", default_value = "3000",
        value_parser = count)]
    pub total_requests_per_minute: NonZeroU32,

    /// The same for all callers together
    #[arg(long, env = "TOTAL_REPLIES_AT_ONCE", value_name = "N", default_value = "1000",
        value_parser = count)]
    pub total_replies_at_once: NonZeroU32,

    /// The most tokens of a caller in a day (UTC), of requests and replies together
    #[arg(long, env = "TOKENS_PER_DAY_PER_CALLER", value_name = "N", default_value = "1000000",
        value_parser = tokens)]
    pub tokens_per_day_per_caller: NonZeroU64,

    /// The same for all callers together
    #[arg(long, env = "TOKENS_PER_DAY", value_name = "N", default_value = "10000000",
        value_parser = tokens)]
    pub tokens_per_day: NonZeroU64,
}

impl CostSettings {
    /// The limits, where a reply has at most so many tokens.
    pub(super) fn limits(&self, max_output_tokens: Option<u64>) -> Limits {
        let output_tokens = max_output_tokens.and_then(NonZeroU64::new);
        Limits {
            requests_per_minute: self.requests_per_minute,
            replies_at_once: self.replies_at_once,
            total_requests_per_minute: self.total_requests_per_minute,
            total_replies_at_once: self.total_replies_at_once,
            tokens_per_day_per_caller: self.tokens_per_day_per_caller,
            tokens_per_day: self.tokens_per_day,
            output_tokens: output_tokens.unwrap_or(OUTPUT_TOKENS),
        }
    }
}

fn count(text: &str) -> Result<NonZeroU32, String> {
    const MAX: u32 = 1_000_000;
    text.parse()
        .ok()
        .filter(|number: &NonZeroU32| number.get() <= MAX)
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX}"))
}

fn tokens(text: &str) -> Result<NonZeroU64, String> {
    const MAX: u64 = 1_000_000_000_000_000;
    text.parse()
        .ok()
        .filter(|number: &NonZeroU64| number.get() <= MAX)
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX}"))
}
