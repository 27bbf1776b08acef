//! A circuit breaker: whether a deployment may be asked just now.
//!
//! The circuit opens when a deployment is busy or unreachable, for as long as the deployment asked
//! for, else for a time that doubles with each failure. Once that time is over one request is let
//! through on trial, and its outcome closes the circuit or opens it again. This module sends nothing.

use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::time::Instant;

use crate::event::ErrorCode;

/// How long the circuit stays open after the first failure, if upstream names no time. The official
/// clients wait as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest that it stays open if upstream names no time.
const BACKOFF_LIMIT: Duration = Duration::from_secs(8);
/// The longest that it stays open if upstream names a time. Stops a "retry after 86400 seconds",
/// which has been seen for a quota of minutes, from taking a deployment out for a day.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60);
/// How long other requests wait for the one on trial.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The circuit of one deployment. All workers share it.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<CircuitOpen>,
}

/// An open circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    /// When the next request is let through.
    pub until: Instant,
    /// The failure that opened it.
    pub code: ErrorCode,
}

impl Circuit {
    /// Lets one request through.
    ///
    /// # Errors
    ///
    /// [`CircuitOpen`], if the circuit is open, or another request is on trial.
    pub(super) fn admit(&self) -> Result<(), CircuitOpen> {
        let mut state = self.0.lock();
        let now = Instant::now();
        match &mut state.open {
            Some(open) if open.until > now => Err(*open),
            Some(open) => {
                open.until = now + TRIAL_TIMEOUT;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Records the head of a response: other requests need not wait any longer. Returns what the
    /// circuit was open for, if it was open.
    ///
    /// The response may still be a refusal, so earlier failures count until it [succeeds](Self::succeed).
    pub(super) fn close(&self) -> Option<CircuitOpen> {
        self.0.lock().open.take()
    }

    /// Records an answer: the next backoff is the first one again.
    pub(super) fn succeed(&self) {
        self.0.lock().failures = 0;
    }

    /// Records a failure; `retry_after` is the time that upstream asked for.
    pub(super) fn open(&self, code: ErrorCode, retry_after: Option<Duration>) -> CircuitOpen {
        let mut state = self.0.lock();
        let doubled = FIRST_BACKOFF
            .saturating_mul(1 << state.failures.min(8))
            .min(BACKOFF_LIMIT);
        state.failures += 1;
        // Jitter: those who wait must not all come back in the same moment.
        let pause = retry_after.map_or_else(
            || doubled.mul_f64(rand::rng().random_range(0.75..=1.0)),
            |asked| asked.min(RETRY_AFTER_LIMIT),
        );
        let open = CircuitOpen {
            until: Instant::now() + pause,
            code,
        };
        state.open = Some(open);
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: ErrorCode = ErrorCode::RateLimited;

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_lets_one_request_through_on_trial() {
        let circuit = Circuit::default();
        assert!(circuit.admit().is_ok());
        let open = circuit.open(BUSY, Some(Duration::from_secs(5)));
        assert_eq!(circuit.admit(), Err(open));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(circuit.admit().is_ok(), "one is on trial");
        assert!(circuit.admit().is_err(), "the others wait for it");
        assert_eq!(circuit.close().map(|open| open.code), Some(BUSY));
        assert!(circuit.admit().is_ok() && circuit.admit().is_ok());
        assert_eq!(circuit.close(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_never_reports_keeps_the_circuit_open_for_a_moment_only() {
        let circuit = Circuit::default();
        circuit.open(BUSY, Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(circuit.admit().is_ok());
        tokio::time::advance(TRIAL_TIMEOUT).await;
        assert!(circuit.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_circuit_never_stays_open_for_a_day() {
        let circuit = Circuit::default();
        circuit.open(BUSY, Some(Duration::from_secs(86_400)));
        tokio::time::advance(RETRY_AFTER_LIMIT).await;
        assert!(circuit.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_backoff_doubles_up_to_a_bound_and_starts_again_after_a_success() {
        let circuit = Circuit::default();
        let backoff = || circuit.open(BUSY, None).until - Instant::now();
        for longest in [500, 1000, 2000, 4000, 8000, 8000, 8000] {
            let backoff = backoff().as_millis();
            assert!(
                (longest * 3 / 4..=longest).contains(&backoff),
                "{backoff} of {longest}"
            );
        }
        circuit.close();
        assert!(backoff() > FIRST_BACKOFF, "a head is no success yet");
        circuit.close();
        circuit.succeed();
        assert!(backoff() <= FIRST_BACKOFF);
    }
}
