//! The fault matrix: what is promised to every viewer, under each of sixteen faults, over and over.
//!
//! [`cluster`] is what is hurt, [`fault`] does the hurting, [`viewer`]s follow replies meanwhile as
//! browsers do, and [`history`] judges what they saw. That the strikes on
//! Redis hit is shown in [`strikes`].

mod cluster;
mod fault;
mod history;
mod leftover;
mod matrix;
mod report;
mod rollout;
mod run;
mod strikes;
mod viewer;

use std::{io, net::SocketAddr, time::Duration};

use crate::support::{client, http::Head};

/// How long a response may take before the client gives this connection up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);

/// Sends a request, and reads the whole response if there is one.
///
/// # Errors
///
/// No answer, not in time, or not to the end.
async fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<(Head, Vec<u8>)> {
    client::try_send(addr, method, path, headers, Some(body), RESPONSE_TIMEOUT).await
}
