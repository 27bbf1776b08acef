//! The lock of a log: parking_lot's, or, in a unit test under the model checker loom, loom's.
//!
//! The tests in `tests/wakeups.rs` run the real logs in every order that their threads can take.
//! Only this lock differs.

#[cfg(test)]
#[path = "tests/lock.rs"]
mod lock;

#[cfg(test)]
pub(super) use self::lock::{Mutex, explore};
#[cfg(not(test))]
pub(super) use parking_lot::Mutex;
