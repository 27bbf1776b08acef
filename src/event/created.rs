//! The time at which a reply was accepted.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// The time at which a reply was accepted, written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created(pub(super) jiff::Timestamp);

impl Created {
    /// The current time of the system clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Milliseconds since then by the system clock; 0 if the clock was set back.
    #[must_use]
    pub fn elapsed_ms(self) -> u64 {
        let elapsed = jiff::Timestamp::now().as_millisecond() - self.0.as_millisecond();
        u64::try_from(elapsed).unwrap_or_default()
    }
}

impl FromStr for Created {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Created {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
