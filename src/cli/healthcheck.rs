//! `rasta-stream healthcheck`: asks the local server whether it is alive. For containers whose image
//! has no shell and no curl.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::Args;

use crate::config::value::{ip_address, port};

/// How long the server may take to accept the connection, and again to answer.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The settings of `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// The address that the server listens on
    #[arg(long, env = "HOST", value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = ip_address)]
    pub host: IpAddr,
    /// The port that the server listens on
    #[arg(long, env = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,
}

/// Asks `/livez` of the server that listens on this address.
///
/// # Errors
///
/// One line with the remedy, if the answer is not a 200.
pub fn run(args: &HealthcheckArgs) -> Result<(), String> {
    let host = match args.host {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let addr = SocketAddr::new(host, args.port);
    match status_line(addr) {
        Ok(line) if &line == b"HTTP/1.1 200" => Ok(()),
        Ok(_) => Err(format!(
            "http://{addr}/livez did not answer 200: set HOST and PORT to the server's address"
        )),
        Err(error) => Err(format!(
            "no answer from http://{addr}/livez ({error}): start the server, or set HOST and PORT to its address"
        )),
    }
}

/// The first 12 bytes of the response: version and status.
fn status_line(addr: SocketAddr) -> io::Result<[u8; 12]> {
    let mut stream = TcpStream::connect_timeout(&addr, HEALTHCHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    Ok(line)
}
