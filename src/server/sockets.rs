//! What the kernel is told about each client's connection.

use std::time::Duration;

use actix_web::rt::net::TcpStream;
use log::warn;

/// How long a client may leave sent data unacknowledged. No other write timeout exists: without it,
/// a viewer that never reads would hold its connection forever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How much unsent data the kernel buffers for a client. By default it buffers megabytes for a client
/// that does not read. No process is charged for that memory, and once it runs out, every connection
/// of the machine slows down.
const UNSENT_BYTES_LIMIT: u32 = 64 * 1024;

/// Sets the options of a new connection.
pub(super) fn configure(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        warn!(error:% = error; "cannot set TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            warn!(error:% = error; "cannot set TCP_USER_TIMEOUT");
        }
        if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_BYTES_LIMIT) {
            warn!(error:% = error; "cannot set TCP_NOTSENT_LOWAT");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (TCP_USER_TIMEOUT, UNSENT_BYTES_LIMIT);
}
