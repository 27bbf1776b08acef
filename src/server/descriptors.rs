//! File descriptors: how many the process may have, and what they are for.
//!
//! A client has one and a running reply has another, its connection to upstream. If either could use
//! them all up, the other would fail in ways that look like something else: a page that is not there,
//! a deployment that does not answer. So each has its share, and what is above it is refused.

use log::warn;

/// For everything else: the log, epoll, Redis, Entra ID, files of the page.
const RESERVED: u64 = 64;
/// Per worker, its epoll and its wakers.
const RESERVED_PER_WORKER: u64 = 8;
/// The most connections of one worker, however many descriptors there are. Each costs memory.
const CONNECTION_LIMIT: usize = 20_000;
/// The connections above a worker's share that it accepts to refuse their requests. More wait in the
/// kernel.
const REFUSED_LIMIT: usize = 16;

/// What the descriptors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptors {
    limit: u64,
    connections_per_worker: usize,
    replies: usize,
    per_reply: u64,
}

impl Descriptors {
    /// Raises the limit as far as this user may, and shares it out. A reply takes `per_reply`.
    pub(super) fn raise(workers: usize, per_reply: u64) -> Self {
        // Where the limit cannot be raised or read, it is what it is.
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
        Self::share(limit, workers, per_reply)
    }

    fn share(limit: u64, workers: usize, per_reply: u64) -> Self {
        let workers = workers as u64;
        let each = RESERVED_PER_WORKER + REFUSED_LIMIT as u64;
        let free = limit.saturating_sub(RESERVED + workers * each);
        let replies = free / (1 + per_reply);
        let connections = (replies / workers).max(1);
        Self {
            limit,
            connections_per_worker: usize::try_from(connections)
                .unwrap_or(usize::MAX)
                .min(CONNECTION_LIMIT),
            replies: usize::try_from(replies.max(1)).unwrap_or(usize::MAX),
            per_reply,
        }
    }

    /// The most connections of one worker that are served.
    pub(super) const fn connections_per_worker(self) -> usize {
        self.connections_per_worker
    }

    /// The most connections of one worker that are accepted.
    pub(super) const fn accepted_per_worker(self) -> usize {
        self.connections_per_worker + REFUSED_LIMIT
    }

    /// The most replies that may run.
    pub(super) const fn replies(self) -> usize {
        self.replies
    }

    /// Warns if they do not suffice for `max_replies` at once.
    pub(super) fn warn_if_few(self, max_replies: usize) {
        if self.replies < max_replies {
            let missing = (max_replies - self.replies) as u64 * (1 + self.per_reply);
            warn!(
                limit = self.limit, replies = self.replies, needed = self.limit + missing;
                "the limit on open files is too low for MAX_REPLIES: raise it (ulimit -n, LimitNOFILE) \
                 or lower MAX_REPLIES"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_replies_share_what_is_left() {
        for (limit, workers, per_reply) in [(256, 1, 1), (256, 2, 1), (1024, 8, 2), (64, 1, 1)] {
            let all = Descriptors::share(limit, workers, per_reply);
            let clients = workers * all.accepted_per_worker();
            let replies = all.replies() as u64 * per_reply;
            let used = clients as u64 + replies + workers as u64 * RESERVED_PER_WORKER;
            assert!(used + RESERVED <= limit || limit == 64, "{all:?}");
            assert!(all.connections_per_worker() >= 1 && all.replies() >= 1);
        }
        let unlimited = Descriptors::share(u64::MAX, 4, 1);
        assert_eq!(unlimited.connections_per_worker(), CONNECTION_LIMIT);
        assert!(unlimited.replies() > 1_000_000);
    }
}
