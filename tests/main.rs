//! Everything over real sockets: the server, the simulator, and clients of our own. One binary,
//! since linking it is what takes the time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test stops at an unexpected result, and no other crate uses it"
)]

mod support;

mod cli;
mod deploy;
mod guard;
mod http;
mod meta;
mod page;
mod replication;
mod soak;
mod upstream;
