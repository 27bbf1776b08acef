//! What callers may cost: how often they may ask, how many replies they may have running, and how many tokens
//! these may use.
//!
//! A caller's own limit counts before that of all callers, so that a caller who is refused takes nothing
//! from the others.

use std::{num::NonZeroU32, time::Duration};

use log::warn;
use tokio::time::sleep;

use super::{
    budget::{Budget, NotReserved, Reservation},
    caller::{Caller, Network},
    clock::Clock,
    limits::{Limits, positive},
    rates::{RatePerCaller, TooOften, TotalRate},
    refusal::{Reason, Refusal, Refusals},
    running::{NoPlace, Place, Running},
};
use crate::store::{Store, Unavailable};

/// How often a network may send a wrong token, or sign in, within a minute. Stops a client that guesses.
const SIGN_INS_LIMIT: NonZeroU32 = positive(10);

/// When a caller with too many running replies should ask again. One of them may end at any time.
const PLACE_RETRY: Duration = Duration::from_secs(5);

/// How often refusals are logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What callers have cost so far.
#[derive(Debug)]
pub struct Costs {
    requests: RatePerCaller,
    total_requests: TotalRate,
    sign_ins: RatePerCaller,
    running: Running,
    budget: Budget,
    output_tokens: u64,
    refusals: Refusals,
}

/// A reply that may run. If this is dropped, it was not started, and costs nothing.
#[derive(Debug)]
pub struct Admission {
    _place: Place,
    reservation: Reservation,
}

/// Why a reply may not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// A limit is reached.
    Refused(Refusal),
    /// It is not known at the moment what the caller has used.
    Unavailable(Unavailable),
}

impl Admission {
    /// The reply has ended, and has used so many tokens.
    pub fn settle(self, tokens: u64) {
        self.reservation.settle(tokens);
    }
}

impl Costs {
    pub(super) fn new(limits: &Limits, clock: &Clock) -> Self {
        Self {
            requests: RatePerCaller::new(limits.requests_per_minute, clock.clone()),
            total_requests: TotalRate::new(limits.total_requests_per_minute, clock.clone()),
            sign_ins: RatePerCaller::new(SIGN_INS_LIMIT, clock.clone()),
            running: Running::new(
                limits.replies_at_once.get(),
                limits.total_replies_at_once.get(),
            ),
            budget: Budget::new(limits, clock),
            output_tokens: limits.output_tokens.get(),
            refusals: Refusals::default(),
        }
    }

    /// Counts a request for a reply.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the caller, or all callers together, ask too often.
    pub fn count_request(&self, caller: &Caller) -> Result<(), Refusal> {
        self.requests
            .count(caller)
            .map_err(|often| self.too_often(Reason::Requests, often))?;
        self.total_requests
            .count()
            .map_err(|often| self.too_often(Reason::TotalRequests, often))
    }

    /// Counts an attempt to sign in.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there were too many from this network.
    pub fn count_sign_in(&self, network: Network) -> Result<(), Refusal> {
        self.sign_ins
            .count(&Caller::Anonymous(network))
            .map_err(|often| self.too_often(Reason::SignIns, often))
    }

    /// Admits one more reply of a caller, whose request has so many tokens.
    ///
    /// # Errors
    ///
    /// [`NotAdmitted`] if the caller, or all callers together, have too many replies running or have used
    /// their tokens, or if that is not known.
    pub async fn admit(
        &self,
        store: &Store,
        caller: &Caller,
        prompt_tokens: u64,
    ) -> Result<Admission, NotAdmitted> {
        let place = self.running.take(caller).map_err(|none| {
            NotAdmitted::Refused(self.refusals.count(Refusal {
                reason: match none {
                    NoPlace::ForCaller => Reason::Replies,
                    NoPlace::ForAll => Reason::TotalReplies,
                },
                retry_after: PLACE_RETRY,
            }))
        })?;
        let tokens = prompt_tokens.saturating_add(self.output_tokens);
        let reserved = self.budget.reserve(store, caller, tokens).await;
        let reservation = reserved.map_err(|error| match error {
            NotReserved::Refused(refusal) => NotAdmitted::Refused(self.refusals.count(refusal)),
            NotReserved::Unavailable(unavailable) => NotAdmitted::Unavailable(unavailable),
        })?;
        Ok(Admission {
            _place: place,
            reservation,
        })
    }

    /// Logs once a minute how many requests were refused, if any were. A line for each would let a caller
    /// who is refused fill the log.
    pub(super) async fn report(&self) {
        let mut before = [0; Reason::ALL.len()];
        loop {
            sleep(REPORT_INTERVAL).await;
            for (reason, before) in Reason::ALL.into_iter().zip(&mut before) {
                let all = self.refusals.of(reason);
                let new = all - std::mem::replace(before, all);
                if new > 0 {
                    warn!(reason = reason.name(), count = new; "requests refused");
                }
            }
        }
    }

    /// How many requests were refused.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    fn too_often(&self, reason: Reason, TooOften(retry_after): TooOften) -> Refusal {
        self.refusals.count(Refusal {
            reason,
            retry_after,
        })
    }
}
