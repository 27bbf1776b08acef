//! What the kernel is told about each client's connection.

use std::{any::Any, time::Duration};

use actix_web::{dev::Extensions, rt::net::TcpStream};
use log::warn;

use crate::routes::LocalAddress;

/// How long a client may leave sent data unacknowledged. No other write timeout exists: without it,
/// a viewer that never reads would hold its connection forever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How much unsent data the kernel buffers for a client. By default it buffers megabytes for a client
/// that does not read. No process is charged for that memory, and once it runs out, every connection
/// of the machine slows down.
const UNSENT_BYTES_LIMIT: u32 = 64 * 1024;

/// Sets the options of a new connection, and notes the address on which it has arrived. Called by actix.
pub(super) fn configure(io: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = io.downcast_ref::<TcpStream>()
        && let Ok(address) = stream.local_addr()
    {
        data.insert(LocalAddress(address.ip()));
    }
    #[cfg(target_os = "linux")]
    if let Some(stream) = io.downcast_ref::<TcpStream>() {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            warn!(error:% = error; "cannot set TCP_USER_TIMEOUT");
        }
        if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_BYTES_LIMIT) {
            warn!(error:% = error; "cannot set TCP_NOTSENT_LOWAT");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (io, TCP_USER_TIMEOUT, UNSENT_BYTES_LIMIT);
}
