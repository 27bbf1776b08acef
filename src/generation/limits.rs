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
    /// The longest `idle_reader` that a request may ask for.
    pub max_idle_reader: Duration,
    /// The most characters of conversation that are sent upstream.
    pub history_chars: usize,
}

impl Limits {
    /// Grants the time without readers that a request asks for, up to the maximum. A request can only
    /// extend it: the limit is there to save the operator's money.
    pub(super) fn with_idle_reader(mut self, wanted: Option<Duration>) -> Self {
        let granted = wanted.unwrap_or_default().min(self.max_idle_reader);
        self.idle_reader = self.idle_reader.max(granted);
        self
    }
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
            max_idle_reader: Duration::from_secs(600),
            history_chars: 200_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_extends_the_time_without_readers_within_the_limit() {
        let limits = Limits {
            idle_reader: Duration::from_secs(60),
            max_idle_reader: Duration::from_secs(600),
            ..Limits::default()
        };
        for (wanted, granted) in [
            (None, 60),
            (Some(1), 60),
            (Some(300), 300),
            (Some(9000), 600),
        ] {
            let wanted_time = wanted.map(Duration::from_secs);
            let limits = limits.clone().with_idle_reader(wanted_time);
            assert_eq!(limits.idle_reader.as_secs(), granted, "{wanted:?}");
        }
    }
}
