//! The limits of one reply.

use std::time::Duration;

/// How long and how large a reply may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest time from upstream's response head, or from the model's last reasoning, to the
    /// first delta.
    pub first_delta: Duration,
    /// The longest time between two chunks after the first delta.
    pub stall: Duration,
    /// The longest time from the POST to the end.
    pub total: Duration,
    /// The most bytes of text.
    pub bytes: u64,
    /// The most bytes of reasoning that are shown; what exceeds them is left out. `None` shows none.
    pub reasoning_bytes: Option<u64>,
    /// How long a reply runs without readers before it is stopped.
    pub idle_reader: Duration,
    /// The most characters of conversation that are sent upstream.
    pub history_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_delta: Duration::from_secs(600),
            stall: Duration::from_secs(60),
            total: Duration::from_secs(900),
            bytes: 1 << 20,
            reasoning_bytes: None,
            idle_reader: Duration::from_secs(60),
            history_chars: 200_000,
        }
    }
}
