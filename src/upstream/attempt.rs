//! The outcome of asking one deployment once, as a value.
//!
//! Upstream draws no conclusion from it. The generation decides whether to ask another deployment, to
//! wait and ask again, or to give up.

use tokio::time::Instant;

use super::{circuit::CircuitOpen, fault::Fault, reply::Reply};

/// The outcome of asking one deployment.
#[derive(Debug)]
pub enum Attempt {
    /// It responded: here is the reply.
    Opened(Reply),
    /// It is busy or cannot be reached. A later moment or another deployment may succeed.
    Busy(Busy),
    /// It failed in a way that asking again cannot fix, or that took so long that it should not be
    /// asked again.
    Failed(Fault),
}

/// A deployment that cannot take a request at the moment.
#[derive(Clone, Debug)]
pub struct Busy {
    /// When to ask it again.
    pub until: Instant,
    /// Why it is busy.
    pub fault: Fault,
    /// Whether a request was sent to find that out.
    pub contact: Contact,
}

/// Whether a deployment was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// A request was sent and failed.
    Asked,
    /// Nothing was sent: the circuit is open, after the failure of an earlier request.
    CircuitOpen,
}

/// A deployment that is not asked, since an earlier request failed a moment ago.
impl From<CircuitOpen> for Busy {
    fn from(open: CircuitOpen) -> Self {
        let wait = open.until.saturating_duration_since(Instant::now());
        let mut fault = Fault::new(open.code, "circuit open after an earlier failure");
        fault.error.retry_after_ms = u64::try_from(wait.as_millis()).ok();
        Self {
            until: open.until,
            fault,
            contact: Contact::CircuitOpen,
        }
    }
}
