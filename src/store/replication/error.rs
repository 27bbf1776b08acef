//! Errors of Redis by what can cure them.

use std::fmt;

/// The cause where Redis does not answer.
pub(super) const NO_ANSWER: &str = "no answer in time";

/// Why a command failed, in a few words without secrets. Redis may have executed a part of it.
///
/// An error that concerns one key or one command only (`WRONGTYPE`, `ERR`) is no `RedisError`: it
/// stands among the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RedisError {
    /// No answer, or Redis is starting: another connection or some time can cure it.
    Unreachable(String),
    /// Redis refuses, and will do so until an administrator changes something.
    Refused(String),
}

/// Classifies an error code of Redis.
pub(super) fn of_code(code: &str) -> RedisError {
    let remedy = match code {
        "NOPERM" => "give the user the rights that deploy/users.acl lists",
        "NOAUTH" | "WRONGPASS" => "check the user and the password in REDIS_URL",
        "READONLY" => "REDIS_URL must lead to the primary",
        "OOM" => "raise maxmemory, or lower RETENTION_SECONDS or MAX_REPLIES",
        "MISCONF" => "Redis cannot save to its disk: see its log",
        "NOREPLICAS" => "Redis has fewer replicas than min-replicas-to-write",
        "CLUSTER" | "CLUSTERDOWN" | "MOVED" | "ASK" | "CROSSSLOT" => {
            "a cluster is not supported: REDIS_URL must lead to a single primary"
        }
        "EXECABORT" => "a command in a transaction was refused",
        _ => return unreachable(code),
    };
    RedisError::Refused(format!("{code}: {remedy}"))
}

/// An error that another connection can cure.
pub(super) fn unreachable(cause: &str) -> RedisError {
    RedisError::Unreachable(cause.to_owned())
}

impl From<&redis::RedisError> for RedisError {
    /// Leaves out whatever a server may have put into an error's text.
    fn from(error: &redis::RedisError) -> Self {
        match error.code() {
            Some(code) => of_code(code),
            None if error.is_timeout() => unreachable(NO_ANSWER),
            None => unreachable(error.category()),
        }
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreachable(cause) | Self::Refused(cause)) = self;
        f.write_str(cause)
    }
}
