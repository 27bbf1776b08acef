//! One reply from beginning to end: asks upstream, writes what comes to the log, and always writes
//! exactly one `end`.
//!
//! ```text
//! Opening ──response head──▶ Thinking ──text──▶ Streaming ──finish reason──▶ Tail ──▶ end
//!                                                              └─ content filter ─▶ Retracted ──▶ end
//! ```
//!
//! [`start`] puts a generation on a task of its own that belongs to no connection. The reply ends
//! when upstream's answer ends, when somebody stops it, when nobody reads it, when its time is up,
//! and when the work panics. This module knows nothing of viewers.

mod limits;
mod phase;
mod outcome;
mod run;
mod opening;
mod follow;
mod supervise;
mod start;

pub use self::{
    limits::Limits,
    start::{StartError, Started, start},
};

#[cfg(test)]
mod tests;
