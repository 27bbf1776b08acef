//! The harness: what starts the server and its surroundings, and what looks at them. No suite is here, only
//! the harness's own tests.

pub mod app;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod http;
pub mod limits;
pub mod program;
pub mod proxy;
pub mod redis;
pub mod replica;
pub mod replicas;
pub mod tinyproxy;
pub mod tls_front;
