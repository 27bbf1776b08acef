//! A claim as it is stored in Redis, and the commands that read and write it.

use std::time::Duration;

use redis::{Pipeline, Value};
use sha2::{Digest as _, Sha256};

use super::pipeline::{Lifetimes, pipeline, set};
use crate::{
    event::ReplyId,
    store::{idempotency::Request, owner::Owner},
};

/// How long a claim lasts that no reply was created for.
const CLAIM_TTL: Duration = Duration::from_secs(5);
/// How long `rasta:restoring` lasts unless it is renewed.
const RESTORING_TTL: Duration = Duration::from_secs(2);
/// How long `rasta:settled` lasts unless another claim renews it.
const SETTLED_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const RESTORING: &str = "rasta:restoring";
const SETTLED: &str = "rasta:settled";

/// An idempotency key and the reply that it leads to, as stored. The text of the key is not stored: a
/// client may have put anything in it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key: String,
    value: String,
}

/// Where a stored claim leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// The key is free.
    Nothing,
    /// It is the claim that was asked about.
    This,
    /// To this reply, for the same request.
    Reply(ReplyId),
    /// To the reply of another request.
    OtherRequest,
}

impl Claim {
    /// The claim of `owner`. Another owner's claim has another key.
    pub(super) fn new(id: ReplyId, owner: Owner, request: &Request) -> Self {
        let mut hash = Sha256::new();
        if let Some(owner) = owner.encode() {
            hash.update(owner);
            // No key contains a space.
            hash.update(" ");
        }
        hash.update(request.key.as_str());
        let hash = base16ct::lower::encode_string(&hash.finalize());
        Self {
            key: format!("rasta:key:{hash}"),
            value: format!(
                "{id} {}",
                base16ct::lower::encode_string(&request.fingerprint)
            ),
        }
    }

    /// Compares this claim with what is stored for its key.
    pub(super) fn compare(&self, stored: Option<&Value>) -> Stored {
        let stored = match stored {
            Some(Value::BulkString(stored)) => stored,
            Some(Value::Nil) | None => return Stored::Nothing,
            Some(_) => return Stored::OtherRequest,
        };
        if stored == self.value.as_bytes() {
            return Stored::This;
        }
        let fingerprint = self
            .value
            .split_once(' ')
            .map(|(_, fingerprint)| fingerprint);
        let stored = std::str::from_utf8(stored).ok();
        match stored.and_then(|stored| stored.split_once(' ')) {
            Some((id, same)) if Some(same) == fingerprint => {
                id.parse().map_or(Stored::OtherRequest, Stored::Reply)
            }
            _ => Stored::OtherRequest,
        }
    }
}

/// Reads what a claim's key leads to, and whether claims are complete: the answers are the stored
/// claim, whether a replica is restoring claims, and whether they were ever complete.
pub(super) fn look_up(claim: &Claim) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("GET").arg(&claim.key);
    pipe.cmd("EXISTS").arg(RESTORING);
    pipe.cmd("EXISTS").arg(SETTLED);
    pipe
}

/// Claims a key, unless it is taken. The second answer is what the key leads to.
pub(super) fn claim(claim: &Claim) -> Pipeline {
    let mut pipe = pipeline();
    set_claim(&mut pipe, claim, CLAIM_TTL);
    pipe.cmd("GET").arg(&claim.key);
    set(&mut pipe, SETTLED, "1", SETTLED_TTL);
    pipe
}

/// Marks that this replica is restoring claims, for a short time, and restores these. Each says whether
/// its reply has ended.
pub(super) fn restore(claims: &[(Claim, bool)], lifetimes: &Lifetimes) -> Pipeline {
    let mut pipe = pipeline();
    set(&mut pipe, RESTORING, "1", RESTORING_TTL);
    for (claim, ended) in claims {
        set_claim(&mut pipe, claim, lifetimes.ttl(*ended));
    }
    pipe
}

/// Frees a claim's key.
pub(super) fn release(claim: &Claim) -> Pipeline {
    let mut pipe = pipeline();
    pipe.cmd("UNLINK").arg(&claim.key);
    pipe
}

/// Stores a claim, unless its key is taken.
pub(super) fn set_claim(pipe: &mut Pipeline, claim: &Claim, ttl: Duration) {
    set(pipe, &claim.key, &claim.value, ttl);
    pipe.arg("NX");
}

#[cfg(test)]
mod tests;
