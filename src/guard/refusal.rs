//! Why a caller's request is refused although the caller may ask, and how often that happens.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Why a request is refused. Each has a time after which it may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit that is reached.
    pub reason: Reason,
    /// When to ask again.
    pub retry_after: Duration,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller has sent too many requests.
    Requests,
    /// All callers together have.
    TotalRequests,
    /// Too many replies of the caller are running.
    Replies,
    /// Too many replies of all callers are.
    TotalReplies,
    /// The caller has used its tokens of the day.
    Tokens,
    /// All callers together have.
    TotalTokens,
    /// Too many wrong tokens came from the caller's network.
    SignIns,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::TotalRequests,
        Self::Replies,
        Self::TotalReplies,
        Self::Tokens,
        Self::TotalTokens,
        Self::SignIns,
    ];

    /// Its name in figures and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::TotalRequests => "total_requests",
            Self::Replies => "replies",
            Self::TotalReplies => "total_replies",
            Self::Tokens => "tokens",
            Self::TotalTokens => "total_tokens",
            Self::SignIns => "sign_ins",
        }
    }
}

/// The number of refusals since the start, by reason.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
    /// How many requests were refused for this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0
            .get(reason as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts a refusal.
    pub(super) fn count(&self, refusal: Refusal) -> Refusal {
        if let Some(count) = self.0.get(refusal.reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        refusal
    }
}
