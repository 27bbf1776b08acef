//! Opens a reply: asks the deployments in order until one answers, waits when all are busy, and tells
//! the viewers what they wait for.
//!
//! A response with status 200 can still be a refusal, so an attempt lasts until the first event of its
//! response. No event is shown twice, therefore. Upstream returns the outcome of one request; this
//! module decides what to do next.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{
    follow::{Broken, Following},
    limits::Limits,
    run::Run,
};
use crate::{
    chat::ChatRequest,
    event::{ErrorCode, Notice, NoticeCode, ReplyEvent},
    metrics,
    upstream::{Attempt, Busy, Contact, Deployment, Fault, Upstream},
};

/// How often a reply waits and asks again; the official clients do it as often.
const RETRY_LIMIT: u32 = 2;
/// The longest that a reply waits for a deployment; the official clients wait as long.
const WAIT_LIMIT: Duration = Duration::from_secs(120);

/// What came of asking one deployment, or each of them once.
enum Asked {
    /// The first events of this response are in the log.
    Answered(Box<Following>),
    Busy(Busy),
    Failed(Fault),
}

impl Asked {
    /// In a word.
    fn outcome(&self) -> String {
        match self {
            Self::Answered(_) => "answered".to_owned(),
            Self::Busy(busy) if busy.contact == Contact::CircuitOpen => "circuit_open".to_owned(),
            Self::Busy(Busy { fault, .. }) | Self::Failed(fault) => fault.error.code.to_string(),
        }
    }
}

/// Asks for a reply. Resolves once the first events of a response are in the log.
///
/// If a deployment is busy or unreachable, the next one in order is asked. If all are, the reply waits
/// and asks again, at most [`RETRY_LIMIT`] times and not beyond its time limit. A notice announces each
/// wait and each change of deployment.
///
/// # Errors
///
/// The first [`Fault`] that a retry cannot fix, or the last one when no retry is left.
pub(super) async fn open(
    upstream: &Upstream,
    request: &ChatRequest,
    run: &mut Run,
    limits: &Limits,
) -> Result<Box<Following>, Fault> {
    let (begun, deadline) = (Instant::now(), run.accepted + limits.total);
    let (mut retries, mut announced) = (0, false);
    loop {
        let busy = match ask_each(upstream, request, run, limits).await {
            Asked::Answered(following) => return Ok(following),
            Asked::Failed(fault) => return Err(fault),
            Asked::Busy(busy) => busy,
        };
        // To wait for an open circuit does not count as an attempt.
        let asked = busy.contact == Contact::Asked;
        let no_retry_left = asked && retries == RETRY_LIMIT;
        if no_retry_left || busy.until > deadline || busy.until > begun + WAIT_LIMIT {
            return Err(busy.fault);
        }
        retries += u32::from(asked);
        metrics::retried();
        // While the circuit waits for another reply's trial request, there is nothing new to announce.
        if asked || !announced {
            let wait = busy.until.saturating_duration_since(Instant::now());
            run.append(&[retrying(wait, retries + 1)])?;
        }
        announced = true;
        sleep_until(busy.until).await;
    }
}

/// Asks each deployment once, in order, until one is not busy.
async fn ask_each(
    upstream: &Upstream,
    request: &ChatRequest,
    run: &mut Run,
    limits: &Limits,
) -> Asked {
    let mut busy: Option<Busy> = None;
    for deployment in upstream.deployments() {
        let attempt = match deployment.admit() {
            Err(open) => Attempt::Busy(open.into()),
            Ok(permit) => {
                if busy.is_some()
                    && let Err(fault) = run.append(&[other_deployment()])
                {
                    return Asked::Failed(fault);
                }
                permit.ask(request).await
            }
        };
        let asked = match attempt {
            Attempt::Opened(reply) => {
                // Boxed, because it is moved from here to where it is followed to its end.
                let following = Box::new(Following::new(reply, run, limits));
                answer(deployment, following, run, limits).await
            }
            Attempt::Busy(busy) => Asked::Busy(busy),
            Attempt::Failed(fault) => Asked::Failed(fault),
        };
        metrics::attempted(deployment.name(), &asked.outcome());
        match asked {
            Asked::Busy(this) => {
                busy = Some(match busy {
                    Some(earlier) => sooner(earlier, this),
                    None => this,
                });
            }
            decided => return decided,
        }
    }
    busy.map_or_else(
        || {
            let code = ErrorCode::Internal;
            Asked::Failed(Fault::new(code, "no deployment is configured"))
        },
        Asked::Busy,
    )
}

/// Waits for the first events of a response, which may be a refusal in the form of one.
async fn answer(
    deployment: &Deployment,
    mut following: Box<Following>,
    run: &mut Run,
    limits: &Limits,
) -> Asked {
    match following.first_events(run, limits).await {
        Ok(()) => {
            deployment.answered();
            Asked::Answered(following)
        }
        Err(Broken::Unseen(fault)) if fault.is_retryable() => {
            run.reopen();
            Asked::Busy(deployment.busy(fault))
        }
        Err(Broken::Unseen(fault) | Broken::Seen(fault)) => Asked::Failed(fault),
    }
}

/// The one of two busy deployments that can be asked again first. If either was asked, the result
/// counts as asked.
fn sooner(earlier: Busy, later: Busy) -> Busy {
    let contact = if earlier.contact == Contact::Asked {
        Contact::Asked
    } else {
        later.contact
    };
    let first = if earlier.until <= later.until {
        earlier
    } else {
        later
    };
    Busy { contact, ..first }
}

fn retrying(wait: Duration, attempt: u32) -> ReplyEvent {
    let message = "The model's service is busy or unreachable; the server tries again.".to_owned();
    ReplyEvent::Notice(Notice {
        retry_after_ms: u64::try_from(wait.as_millis()).ok(),
        attempt: Some(attempt),
        ..Notice::new(NoticeCode::Retrying, message)
    })
}

fn other_deployment() -> ReplyEvent {
    let message = "One deployment is busy or unreachable; the server tries another one.".to_owned();
    ReplyEvent::Notice(Notice::new(NoticeCode::OtherDeployment, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployment_that_can_be_asked_first_decides_and_one_request_counts() {
        let now = Instant::now();
        let busy = |seconds, code, contact| Busy {
            until: now + Duration::from_secs(seconds),
            fault: Fault::new(code, "busy"),
            contact,
        };
        let asked = busy(9, ErrorCode::RateLimited, Contact::Asked);
        let resting = busy(2, ErrorCode::UpstreamUnavailable, Contact::CircuitOpen);
        for (one, other) in [(&asked, &resting), (&resting, &asked)] {
            let sooner = sooner(one.clone(), other.clone());
            assert_eq!(sooner.until, now + Duration::from_secs(2));
            assert_eq!(sooner.fault.error.code, ErrorCode::UpstreamUnavailable);
            assert_eq!(sooner.contact, Contact::Asked);
        }
        let both_rest = sooner(resting.clone(), resting);
        assert_eq!(both_rest.contact, Contact::CircuitOpen);
    }
}
