//! Rate limits: the requests and tokens that a deployment accepts in a minute, counted as Azure does.
//!
//! The gateway counts each valid request once. This module knows nothing of requests, only what one
//! costs. [`Refusal`](super::refusal::Refusal) has the text of a 429.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::http::Head;

/// The length of a window; each starts its counts at 0.
const WINDOW_INTERVAL: Duration = Duration::from_secs(60);

/// What each deployment accepts in a minute; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests, refused ones included.
    pub requests_per_minute: Option<u64>,
    /// Tokens of accepted requests, estimated from the length of the prompt and the request's own
    /// token limit.
    pub tokens_per_minute: Option<u64>,
}

/// Counts the requests and tokens of all deployments.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    limits: Limits,
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    started: Instant,
    requests: u64,
    tokens: u64,
}

/// The limit that a request exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Requests,
    Tokens,
}

/// A deployment's counts after a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowUsage {
    pub(super) exceeded: Option<Exceeded>,
    /// Time until the counts return to 0.
    pub(super) reset: Duration,
    limits: Limits,
    requests: u64,
    tokens: u64,
}

impl RateLimiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            windows: Mutex::default(),
        }
    }

    /// Counts a request and returns its deployment's counts; `None` if there are no limits.
    pub(super) fn count(&self, deployment: &str, tokens: u64) -> Option<WindowUsage> {
        let limits = self.limits;
        if limits == Limits::default() {
            return None;
        }
        let now = Instant::now();
        let mut windows = self.windows.lock();
        // Clients choose the names of deployments, so old windows must not accumulate.
        windows.retain(|_, window| now < window.started + WINDOW_INTERVAL);
        let window = windows.entry(deployment.to_owned()).or_insert(Window {
            started: now,
            requests: 0,
            tokens: 0,
        });
        window.requests = window.requests.saturating_add(1);
        let total_tokens = window.tokens.saturating_add(tokens);
        let exceeds = |limit: Option<u64>, count| limit.is_some_and(|limit| count > limit);
        let exceeded = if exceeds(limits.requests_per_minute, window.requests) {
            Some(Exceeded::Requests)
        } else if exceeds(limits.tokens_per_minute, total_tokens) {
            Some(Exceeded::Tokens)
        } else {
            window.tokens = total_tokens;
            None
        };
        Some(WindowUsage {
            exceeded,
            reset: window.started + WINDOW_INTERVAL - now,
            limits,
            requests: window.requests,
            tokens: window.tokens,
        })
    }
}

impl WindowUsage {
    /// Sets the rate limit headers.
    pub(super) fn write_headers(&self, head: Head) -> Head {
        const REQUESTS: [&str; 3] = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        const TOKENS: [&str; 3] = [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        let reset = self.reset_seconds();
        let kinds = [
            (REQUESTS, self.limits.requests_per_minute, self.requests),
            (TOKENS, self.limits.tokens_per_minute, self.tokens),
        ];
        kinds.into_iter().fold(head, |head, (names, limit, count)| {
            let [limit_name, remaining_name, reset_name] = names;
            match limit {
                Some(limit) => head
                    .with(limit_name, limit.to_string())
                    .with(remaining_name, limit.saturating_sub(count).to_string())
                    .with(reset_name, reset.to_string()),
                None => names.into_iter().fold(head, Head::without),
            }
        })
    }

    /// Seconds until the reset, rounded up.
    pub(super) fn reset_seconds(&self) -> u64 {
        self.reset_ms().div_ceil(1000)
    }

    /// Milliseconds until the reset, rounded up.
    pub(super) fn reset_ms(&self) -> u64 {
        u64::try_from(self.reset.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}
