//! Exponential backoff with jitter.

use std::time::Duration;

/// The mean of the first pause; each one after that is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(75);

/// Pauses that grow exponentially, with jitter, so that replicas do not retry in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The pause before the next attempt: none before the first, `limit` at most.
    pub(super) fn next(&mut self, limit: Duration) -> Duration {
        let attempts = self.attempts;
        self.attempts = attempts.saturating_add(1);
        let Some(doublings) = attempts.checked_sub(1) else {
            return Duration::ZERO;
        };
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings.min(16))
            .min(limit);
        pause.mul_f64(0.67 + 0.33 * rand::random::<f64>())
    }

    /// How many attempts there were.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Records a success: the next attempt comes at once.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_begin_anew() {
        let limit = Duration::from_secs(1);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(limit), Duration::ZERO);
        let pauses: Vec<_> = (0..100).map(|_| backoff.next(limit)).collect();
        assert!(pauses[0] >= FIRST_PAUSE.mul_f64(0.66) && pauses[0] <= FIRST_PAUSE);
        assert!(pauses[3] > 4 * pauses[0]);
        assert!(
            pauses[10..]
                .iter()
                .all(|pause| *pause <= limit && 2 * *pause > limit)
        );
        backoff.reset();
        assert_eq!(backoff.next(limit), Duration::ZERO);
    }
}
