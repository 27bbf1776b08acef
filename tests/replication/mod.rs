//! Several replicas over one real Redis: whichever of them is asked, the answer is the same.

mod access;
mod conformance;
mod drain;
mod faults;
mod following;
mod idempotency;
mod long_log;
mod outages;
mod planted;
mod refusals;
