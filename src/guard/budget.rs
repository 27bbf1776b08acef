//! How many tokens callers may use in a day, and how often they may ask all replicas together.
//!
//! A POST reserves what its reply may take at most. Once the reply has ended, what it did not use is given
//! back. The sums are the store's: with replication, all replicas share them.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{
    caller::Caller,
    clock::Clock,
    limits::Limits,
    refusal::{Reason, Refusal},
};
use crate::store::{Counter, Store, Unavailable};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How much longer than its time a sum is kept: the clocks of replicas differ.
const MARGIN: Duration = Duration::from_secs(60);

/// What callers have used of their shares.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    clock: Clock,
}

/// Tokens that a reply may use. If this is dropped, they are all given back.
#[derive(Debug)]
pub(super) struct Reservation {
    store: Store,
    /// To which the tokens were added; none once the reply is settled.
    counters: Vec<Counter>,
    tokens: i64,
}

/// Why nothing was reserved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotReserved {
    /// A share is used up.
    Refused(Refusal),
    /// It is not known at the moment what was used.
    Unavailable(Unavailable),
}

/// A share, and what of it a reply takes.
struct Share {
    counter: Counter,
    amount: i64,
    limit: i64,
    refusal: Refusal,
}

impl Budget {
    pub(super) fn new(limits: &Limits, clock: &Clock) -> Self {
        Self {
            limits: limits.clone(),
            clock: clock.clone(),
        }
    }

    /// Reserves tokens for a reply of a caller.
    pub(super) async fn reserve(
        &self,
        store: &Store,
        caller: &Caller,
        tokens: u64,
    ) -> Result<Reservation, NotReserved> {
        let tokens = amount(tokens);
        let of_tokens = self.of_tokens(caller, tokens);
        let counters = of_tokens
            .iter()
            .map(|share| share.counter.clone())
            .collect();
        let mut shares = Vec::from(of_tokens);
        // Without replication, there is no other process whose requests could count here.
        if store.is_shared() {
            shares.push(self.of_requests(caller));
        }
        let amounts = shares
            .iter()
            .map(|share| (share.counter.clone(), share.amount));
        let amounts: Vec<(Counter, i64)> = amounts.collect();
        let sums = store.add(&amounts).await;
        let sums = sums.map_err(NotReserved::Unavailable)?;
        let exceeded = shares
            .iter()
            .zip(sums)
            .find(|(share, sum)| *sum > share.limit);
        if let Some((share, _)) = exceeded {
            let back = amounts
                .into_iter()
                .map(|(counter, amount)| (counter, -amount));
            store.add_later(back.collect());
            return Err(NotReserved::Refused(share.refusal));
        }
        Ok(Reservation {
            store: store.clone(),
            counters,
            tokens,
        })
    }

    /// The caller's share of the day's tokens, and that of all callers.
    fn of_tokens(&self, caller: &Caller, tokens: i64) -> [Share; 2] {
        let (own, all) = (
            amount(self.limits.tokens_per_day_per_caller.get()),
            amount(self.limits.tokens_per_day.get()),
        );
        let name = format!("tokens:{}", digest(caller));
        [
            self.share(&name, DAY, (tokens, own), Reason::Tokens),
            self.share("tokens", DAY, (tokens, all), Reason::TotalTokens),
        ]
    }

    /// The caller's share of the minute's requests to all replicas.
    fn of_requests(&self, caller: &Caller) -> Share {
        let limit = i64::from(self.limits.requests_per_minute.get());
        let name = format!("requests:{}", digest(caller));
        self.share(&name, MINUTE, (1, limit), Reason::Requests)
    }

    /// A share of the time that runs now. Each day begins at midnight in UTC.
    fn share(
        &self,
        name: &str,
        time: Duration,
        (amount, limit): (i64, i64),
        reason: Reason,
    ) -> Share {
        let (now, time) = (self.clock.since_1970().as_secs(), time.as_secs());
        let retry_after = Duration::from_secs(time - now % time);
        Share {
            counter: Counter {
                name: format!("{name}:{}", now / time),
                ttl: retry_after + MARGIN,
            },
            amount,
            limit,
            refusal: Refusal {
                reason,
                retry_after,
            },
        }
    }
}

impl Reservation {
    /// Gives back what the reply has not used, or takes what it has used beyond that.
    pub(super) fn settle(mut self, used: u64) {
        self.give_back_all_but(amount(used));
    }

    fn give_back_all_but(&mut self, used: i64) {
        let counters = std::mem::take(&mut self.counters);
        let rest = used - self.tokens;
        if rest != 0 && !counters.is_empty() {
            let amounts = counters.into_iter().map(|counter| (counter, rest));
            self.store.add_later(amounts.collect());
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back_all_but(0);
    }
}

fn amount(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// Names a caller where other programs may read it.
fn digest(caller: &Caller) -> String {
    let digest = Sha256::new().chain_update("rasta-stream budget\0");
    let digest = digest.chain_update(caller.identity()).finalize();
    base16ct::lower::encode_string(&digest)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    fn budget(per_caller: u64, all: u64) -> (Budget, Store, Clock) {
        let clock = Clock::default();
        let limits = Limits {
            tokens_per_day_per_caller: NonZeroU64::new(per_caller).unwrap(),
            tokens_per_day: NonZeroU64::new(all).unwrap(),
            requests_per_minute: NonZeroU32::MIN,
            ..Limits::default()
        };
        (Budget::new(&limits, &clock), Store::for_tests(), clock)
    }

    fn caller(name: &str) -> Caller {
        Caller::Token(name.into())
    }

    #[tokio::test]
    async fn what_a_reply_does_not_use_is_given_back_and_what_it_uses_is_not() {
        let (budget, store, clock) = budget(100, 1000);
        let reserve = async |tokens| budget.reserve(&store, &caller("ann"), tokens).await;
        let reserved = reserve(100).await.unwrap();
        let refused = reserve(1).await.unwrap_err();
        let NotReserved::Refused(refusal) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refusal.reason, Reason::Tokens);
        assert!(refusal.retry_after <= DAY);
        reserved.settle(40);
        drop(reserve(60).await.unwrap());
        let reserved = reserve(60).await.unwrap();
        // More than was reserved.
        reserved.settle(70);
        assert!(reserve(1).await.is_err());
        clock.advance(refusal.retry_after);
        assert!(reserve(100).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_cannot_use_what_is_left_for_another() {
        let (budget, store, _) = budget(100, 150);
        let reserve = async |name, tokens| budget.reserve(&store, &caller(name), tokens).await;
        let anns = reserve("ann", 100).await.unwrap();
        for _ in 0..10_000 {
            assert!(reserve("ann", 50).await.is_err());
        }
        let bobs = reserve("bob", 50).await.unwrap();
        let refused = reserve("bob", 1).await.unwrap_err();
        assert!(
            matches!(refused, NotReserved::Refused(refusal) if refusal.reason == Reason::TotalTokens),
            "{refused:?}"
        );
        drop(anns);
        assert!(reserve("bob", 50).await.is_ok());
        drop(bobs);
    }
}
