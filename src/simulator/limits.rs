//! Limits: how many requests and tokens a deployment admits in a minute, counted as Azure counts.
//!
//! Asked once for each request that has passed the front door. It knows nothing of requests, only
//! what one costs; [`Refusal`](super::refusal::Refusal) has the words for who comes too often.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::http::Head;

/// How long the counts run before they begin again.
const WINDOW: Duration = Duration::from_secs(60);

/// What each deployment admits in a minute; what is `None` has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests, refused ones included.
    pub requests_per_minute: Option<u64>,
    /// Tokens of admitted requests, as estimated from the length of the prompt and the
    /// request's own limit for the reply.
    pub tokens_per_minute: Option<u64>,
}

/// The counts of all deployments.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    limits: Limits,
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    requests: u64,
    tokens: u64,
}

/// Which limit a request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Requests,
    Tokens,
}

/// Where a deployment stands once a request has been counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) over: Option<Over>,
    /// Until the counts begin again.
    pub(super) reset: Duration,
    limits: Limits,
    requests: u64,
    tokens: u64,
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            windows: Mutex::default(),
        }
    }

    /// Counts a request, and tells where its deployment then stands; `None` without any limit.
    pub(super) fn count(&self, deployment: &str, tokens: u64) -> Option<Standing> {
        let limits = self.limits;
        if limits == Limits::default() {
            return None;
        }
        let now = Instant::now();
        let mut windows = self.windows.lock();
        // Any name may be a deployment's, so those that have rolled over make room.
        windows.retain(|_, window| now < window.since + WINDOW);
        let window = windows.entry(deployment.to_owned()).or_insert(Window {
            since: now,
            requests: 0,
            tokens: 0,
        });
        window.requests = window.requests.saturating_add(1);
        let wanted = window.tokens.saturating_add(tokens);
        let is_over = |limit: Option<u64>, count| limit.is_some_and(|limit| count > limit);
        let over = if is_over(limits.requests_per_minute, window.requests) {
            Some(Over::Requests)
        } else if is_over(limits.tokens_per_minute, wanted) {
            Some(Over::Tokens)
        } else {
            window.tokens = wanted;
            None
        };
        Some(Standing {
            over,
            reset: window.since + WINDOW - now,
            limits,
            requests: window.requests,
            tokens: window.tokens,
        })
    }
}

impl Standing {
    /// Writes the figures into a head, in the place of any that stand there.
    pub(super) fn tell(&self, head: Head) -> Head {
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

    /// Whole seconds, as Azure tells them; never fewer than there are.
    pub(super) fn reset_seconds(&self) -> u64 {
        self.reset_ms().div_ceil(1000)
    }

    /// Whole milliseconds; never fewer than there are.
    pub(super) fn reset_ms(&self) -> u64 {
        u64::try_from(self.reset.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}
