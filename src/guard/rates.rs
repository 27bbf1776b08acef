//! How often a caller may ask.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock as _,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::HashMapStateStore},
};
use parking_lot::Mutex;

use super::{caller::Caller, clock::Clock};

/// The most callers whose requests are counted one by one. Stops a client with a million addresses from
/// filling the memory; further anonymous callers share one count.
const CALLERS_LIMIT: usize = 10_000;
/// How often callers that have been quiet for a while are forgotten, if there are too many.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A caller asks too often, and may ask again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooOften(pub(super) Duration);

type Limiter<K, S> = RateLimiter<K, S, Clock, NoOpMiddleware<Instant>>;

/// A rate for each caller. An unused minute is kept, so that all of it can be used at once.
#[derive(Debug)]
pub(super) struct RatePerCaller {
    limiter: Limiter<Caller, HashMapStateStore<Caller>>,
    clock: Clock,
    swept: Mutex<Instant>,
}

/// A rate for all callers together.
#[derive(Debug)]
pub(super) struct TotalRate {
    limiter: Limiter<NotKeyed, InMemoryState>,
    clock: Clock,
}

impl RatePerCaller {
    pub(super) fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        Self {
            limiter: RateLimiter::hashmap_with_clock(Quota::per_minute(per_minute), clock.clone()),
            swept: Mutex::new(clock.now()),
            clock,
        }
    }

    /// Counts a request of a caller.
    pub(super) fn count(&self, caller: &Caller) -> Result<(), TooOften> {
        let counted = if self.is_full() {
            self.limiter.check_key(&caller.in_a_crowd())
        } else {
            self.limiter.check_key(caller)
        };
        counted.map_err(|refused| wait(&refused, &self.clock))
    }

    fn is_full(&self) -> bool {
        if self.limiter.len() < CALLERS_LIMIT {
            return false;
        }
        let now = self.clock.now();
        let mut swept = self.swept.lock();
        if now.duration_since(*swept) >= SWEEP_INTERVAL {
            *swept = now;
            self.limiter.retain_recent();
        }
        self.limiter.len() >= CALLERS_LIMIT
    }
}

impl TotalRate {
    pub(super) fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        Self {
            limiter: RateLimiter::direct_with_clock(Quota::per_minute(per_minute), clock.clone()),
            clock,
        }
    }

    /// Counts a request.
    pub(super) fn count(&self) -> Result<(), TooOften> {
        self.limiter
            .check()
            .map_err(|refused| wait(&refused, &self.clock))
    }
}

fn wait(refused: &NotUntil<Instant>, clock: &Clock) -> TooOften {
    TooOften(refused.wait_time_from(clock.now()))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{super::caller::Network, *};

    fn address(number: u32) -> Caller {
        Caller::Anonymous(Network::of(IpAddr::from(number.to_be_bytes())))
    }

    fn per_caller(per_minute: u32) -> (RatePerCaller, Clock) {
        let clock = Clock::default();
        let rate = RatePerCaller::new(NonZeroU32::new(per_minute).unwrap(), clock.clone());
        (rate, clock)
    }

    #[test]
    fn a_caller_may_use_its_minute_at_once_and_the_next_one_as_it_passes() {
        let (rate, clock) = per_caller(6);
        let allowed = |caller: &Caller| (0..10_000).filter(|_| rate.count(caller).is_ok()).count();
        let (ann, bob) = (Caller::Token("ann".into()), Caller::Token("bob".into()));
        assert_eq!(allowed(&ann), 6);
        // Another caller has a minute of its own.
        assert_eq!(allowed(&bob), 6);
        let TooOften(wait) = rate.count(&ann).unwrap_err();
        assert!(wait <= Duration::from_secs(10), "{wait:?}");
        clock.advance(wait);
        assert_eq!(allowed(&ann), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(allowed(&ann), 6);
    }

    #[test]
    fn a_million_addresses_take_bounded_memory_and_leave_named_callers_their_share() {
        let (rate, clock) = per_caller(2);
        let many = u32::try_from(CALLERS_LIMIT).unwrap();
        for number in 0..many * 2 {
            let _ = rate.count(&address(number));
        }
        assert!(
            rate.limiter.len() <= CALLERS_LIMIT + 1,
            "{}",
            rate.limiter.len()
        );
        assert!(
            rate.count(&address(many * 3)).is_err(),
            "they share one count"
        );
        let ann = Caller::Token("ann".into());
        assert_eq!((0..9).filter(|_| rate.count(&ann).is_ok()).count(), 2);
        // Once they are quiet, they are forgotten.
        clock.advance(Duration::from_secs(120));
        assert!(rate.count(&address(many * 3)).is_ok());
        assert!(rate.limiter.len() < 10, "{}", rate.limiter.len());
    }

    #[test]
    fn all_callers_together_have_a_rate_of_their_own() {
        let clock = Clock::default();
        let rate = TotalRate::new(NonZeroU32::new(3).unwrap(), clock.clone());
        assert_eq!((0..9).filter(|_| rate.count().is_ok()).count(), 3);
        clock.advance(Duration::from_secs(20));
        assert_eq!((0..9).filter(|_| rate.count().is_ok()).count(), 1);
    }
}
