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

mod app;
mod browser;
mod client;
mod proxy;
mod redis;
mod replica;

mod conformance;
mod contract;
mod documents;
mod drain;
mod failures;
mod faults;
mod fuzz;
mod identity;
mod layering;
mod lifetime;
mod nginx;
mod page;
mod program;
mod resume;
mod retries;
mod shared;
mod sockets;
mod storms;
mod streaming;
