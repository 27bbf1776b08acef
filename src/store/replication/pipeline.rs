//! Pipelines: several commands that are sent together, and how long Redis keeps what they write.

use std::time::Duration;

use redis::Pipeline;

/// How long a log outlives the longest time that its reply can run. Its `end` sets the final time.
const LOG_TTL_MARGIN: Duration = Duration::from_secs(60);

/// How long the data of a reply is kept in Redis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    /// After the `end`.
    pub(super) retention: Duration,
    /// The longest time that a reply can run.
    pub(super) max_reply: Duration,
}

impl Lifetimes {
    /// The time to live of a log and its claim, from now on.
    pub(super) fn ttl(&self, ended: bool) -> Duration {
        if ended {
            self.retention
        } else {
            self.max_reply + self.retention + LOG_TTL_MARGIN
        }
    }
}

/// Commands whose answers, errors included, are examined one by one.
pub(super) fn pipeline() -> Pipeline {
    let mut pipe = redis::pipe();
    pipe.ignore_errors();
    pipe
}

/// Commands that are executed together or not at all.
pub(super) fn transaction() -> Pipeline {
    let mut pipe = pipeline();
    pipe.atomic();
    pipe
}

/// A duration as Redis takes it.
pub(super) fn millis(duration: Duration) -> u64 {
    let millis = u64::try_from(duration.as_millis());
    millis.unwrap_or(u64::MAX).max(1)
}

/// Sets a key to a value for some time.
pub(super) fn set(pipe: &mut Pipeline, key: &str, value: &str, ttl: Duration) {
    pipe.cmd("SET")
        .arg(key)
        .arg(value)
        .arg("PX")
        .arg(millis(ttl));
}
