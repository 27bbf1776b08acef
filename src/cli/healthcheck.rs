//! `rasta-stream healthcheck`: asks the local server whether it is alive. For containers whose image
//! has no shell and no curl.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::any_certificate;
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
    /// The certificate of the server; if it is set, the server is asked over TLS
    #[arg(long, env = "TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,
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
    let is_tls = args.tls_cert_file.is_some();
    let scheme = if is_tls { "https" } else { "http" };
    match status_line(addr, is_tls) {
        Ok(line) if &line == b"HTTP/1.1 200" => Ok(()),
        Ok(_) => Err(format!(
            "{scheme}://{addr}/livez did not answer 200: set HOST and PORT to the server's address"
        )),
        Err(error) => Err(format!(
            "no answer from {scheme}://{addr}/livez ({error}): start the server, or set HOST and PORT to its address"
        )),
    }
}

/// The first 12 bytes of the response: version and status.
fn status_line(addr: SocketAddr, is_tls: bool) -> io::Result<[u8; 12]> {
    let mut stream = TcpStream::connect_timeout(&addr, HEALTHCHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
    if !is_tls {
        return ask(&mut stream);
    }
    let config = any_certificate::client().map_err(io::Error::other)?;
    let name = ServerName::from(addr.ip());
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    ask(&mut StreamOwned::new(session, stream))
}

fn ask(stream: &mut (impl Read + Write)) -> io::Result<[u8; 12]> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    Ok(line)
}
