//! The settings of what callers may cost, and their defaults.

use std::num::NonZeroU32;

use clap::Args;

use crate::guard::Limits;

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
}

impl CostSettings {
    pub(super) const fn limits(&self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            replies_at_once: self.replies_at_once,
            total_requests_per_minute: self.total_requests_per_minute,
            total_replies_at_once: self.total_replies_at_once,
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
