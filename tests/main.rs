//! Everything over real sockets: the server, the simulator, and clients of our own. One binary,
//! since linking it is what takes the time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test stops at what it did not expect, and nobody uses it from outside"
)]

mod support;

mod cli;
mod deploy;
mod http;
mod meta;
mod page;
mod replication;
mod soak;
mod upstream;
