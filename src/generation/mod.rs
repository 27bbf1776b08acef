//! One reply from beginning to end: asks upstream, appends events to the log, and always appends
//! exactly one `end`.
//!
//! ```text
//! Opening ──response head──▶ Thinking ──text──▶ Streaming ──finish reason──▶ Tail ──▶ end
//!    ▲                          │                               └─ content filter ─▶ Retracted ──▶ end
//!    └── refusal inside a 200 ──┘
//! ```
//!
//! [`start()`] runs a generation on a task of its own that belongs to no connection. The reply ends when
//! upstream's response ends, when it is stopped, when it has had no reader for too long, when its time
//! is up, and when the work panics. This module knows nothing of viewers.

mod limits;
mod phase;
mod outcome;
mod run;
mod follow;
mod opening;
mod supervise;
mod start;

pub use self::{
    limits::Limits,
    run::OnEnd,
    start::{Ask, StartError, Started, start},
};

#[cfg(test)]
mod tests;
