//! One server as a client sees it: the HTTP contract, resuming, the pace of events, a reply's lifetime, and
//! the drain.

mod connections;
mod contract;
mod doctor;
mod drain;
mod identity;
mod formats;
mod hostile;
mod lifetime;
mod openai;
mod page;
mod resume;
mod sockets;
mod streaming;
mod tls;
