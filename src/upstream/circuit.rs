//! Whether a deployment is worth asking just now.
//!
//! A deployment that refused for load or could not be reached is left alone for as long as it asked,
//! or for a time that doubles with each failure. After that one request is let through to try; what
//! becomes of it opens or closes the circuit. This module sends nothing.

use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::time::Instant;

use crate::event::ErrorCode;

/// The pause after the first failure that names none. As the official clients have it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that is of our own making.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The longest pause that upstream may ask for. Stops a "retry after 86400 seconds", which has been
/// seen for a quota of minutes, from taking a deployment out for a day.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// How long others wait for the one request that tries.
const TRIAL: Duration = Duration::from_secs(1);

/// One deployment's circuit. Shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

/// An open circuit: ask again at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) until: Instant,
    /// Why it is open.
    pub(super) code: ErrorCode,
}

impl Circuit {
    /// Lets a request through, or says until when not to ask.
    pub(super) fn admit(&self) -> Result<(), Open> {
        let mut state = self.0.lock();
        let now = Instant::now();
        match &mut state.open {
            Some(open) if open.until > now => Err(*open),
            Some(open) => {
                open.until = now + TRIAL;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A request was answered.
    pub(super) fn close(&self) {
        *self.0.lock() = State::default();
    }

    /// A request failed; `asked` is the pause that upstream asked for.
    pub(super) fn open(&self, code: ErrorCode, asked: Option<Duration>) -> Open {
        let mut state = self.0.lock();
        let doubled = FIRST_PAUSE
            .saturating_mul(1 << state.failures.min(8))
            .min(LONGEST_PAUSE);
        state.failures += 1;
        // Not all who wait may come back in one moment.
        let pause = asked.map_or_else(
            || doubled.mul_f64(rand::rng().random_range(0.75..=1.0)),
            |asked| asked.min(LONGEST_ASKED),
        );
        let open = Open {
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
    async fn an_open_circuit_lets_one_request_try_when_its_time_is_over() {
        let circuit = Circuit::default();
        assert!(circuit.admit().is_ok());
        let open = circuit.open(BUSY, Some(Duration::from_secs(5)));
        assert_eq!(circuit.admit(), Err(open));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(circuit.admit().is_ok(), "one tries");
        assert!(circuit.admit().is_err(), "the others wait for it");
        circuit.close();
        assert!(circuit.admit().is_ok() && circuit.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_tries_and_never_reports_holds_nobody_up_for_long() {
        let circuit = Circuit::default();
        circuit.open(BUSY, Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(circuit.admit().is_ok());
        tokio::time::advance(TRIAL).await;
        assert!(circuit.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_deployment_is_left_alone_for_a_day() {
        let circuit = Circuit::default();
        circuit.open(BUSY, Some(Duration::from_secs(86_400)));
        tokio::time::advance(LONGEST_ASKED).await;
        assert!(circuit.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let circuit = Circuit::default();
        let pause = || circuit.open(BUSY, None).until - Instant::now();
        for longest in [500, 1000, 2000, 4000, 8000, 8000, 8000] {
            let pause = pause().as_millis();
            assert!(
                (longest * 3 / 4..=longest).contains(&pause),
                "{pause} of {longest}"
            );
        }
        circuit.close();
        assert!(pause() <= FIRST_PAUSE);
    }
}
