//! Opens a reply: asks the deployments in order until one responds, waits when all are busy, and
//! tells the viewers what they wait for.
//!
//! All of this happens before the first token, so nothing is paid for or shown twice. Upstream returns
//! the outcome of one attempt; this module decides what to do next.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::run::Run;
use crate::{
    chat::ChatRequest,
    event::{ErrorCode, Notice, NoticeCode, ReplyEvent},
    upstream::{Attempt, Busy, Contact, Fault, Reply, Upstream},
};

/// How often a reply waits and asks again; the official clients do it as often.
const RETRY_LIMIT: u32 = 2;
/// The longest that a reply waits for a deployment; the official clients wait as long.
const WAIT_LIMIT: Duration = Duration::from_secs(120);

/// Asks for a reply. Resolves when a deployment has begun to respond.
///
/// If a deployment is busy or unreachable, the next one in order is asked. If all are, the reply waits
/// and asks again, at most [`RETRY_LIMIT`] times and not beyond `deadline`. A notice announces each
/// wait and each change of deployment.
///
/// # Errors
///
/// The first [`Fault`] that a retry cannot fix, or the last one when no retry is left.
pub(super) async fn open(
    upstream: &Upstream,
    request: &ChatRequest,
    deadline: Instant,
    run: &mut Run,
) -> Result<Reply, Fault> {
    let begun = Instant::now();
    let (mut retries, mut announced) = (0, false);
    loop {
        let busy = match ask_each(upstream, request, run).await {
            Attempt::Opened(reply) => return Ok(reply),
            Attempt::Failed(fault) => return Err(fault),
            Attempt::Busy(busy) => busy,
        };
        // To wait for an open circuit does not count as an attempt.
        let asked = busy.contact == Contact::Asked;
        let no_retry_left = asked && retries == RETRY_LIMIT;
        if no_retry_left || busy.until > deadline || busy.until > begun + WAIT_LIMIT {
            return Err(busy.fault);
        }
        retries += u32::from(asked);
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
async fn ask_each(upstream: &Upstream, request: &ChatRequest, run: &mut Run) -> Attempt {
    let mut busy: Option<Busy> = None;
    for deployment in upstream.deployments() {
        let attempt = match deployment.admit() {
            Err(open) => Attempt::Busy(open.into()),
            Ok(permit) => {
                if busy.is_some()
                    && let Err(fault) = run.append(&[other_deployment()])
                {
                    return Attempt::Failed(fault);
                }
                permit.ask(request).await
            }
        };
        match attempt {
            Attempt::Busy(this) => {
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
            Attempt::Failed(Fault::new(code, "no deployment is configured"))
        },
        Attempt::Busy,
    )
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
