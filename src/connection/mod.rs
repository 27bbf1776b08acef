//! The connections of clients: how long each may be silent, and how many there may be.
//!
//! actix has a deadline for the head of a connection's first request only. Here every later one has
//! the same, an idle connection is closed after a while, and the oldest idle one makes room for a
//! new one. A [`Connection`] wraps the bytes, an [`Activity`] says what it is busy with, and a
//! [`Pool`] counts them. [`Certificates`] are for those with TLS. This module does not know what the
//! bytes or the requests are.

mod activity;
mod certificates;
mod io;
mod pool;

#[cfg(test)]
mod tests;

pub use self::{
    activity::{Activity, KEEP_ALIVE_TIMEOUT, Protocol, REQUEST_HEAD_TIMEOUT, RequestGuard},
    certificates::{CertificateError, Certificates, TlsFiles},
    io::Connection,
    pool::Pool,
};
