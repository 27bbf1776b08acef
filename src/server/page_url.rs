//! The URL that a person opens in a browser, from the address that the server listens on.

use std::net::{IpAddr, SocketAddr};

/// `SCHEME://localhost:PORT/` wherever the machine's own browser reaches the server by it.
pub(super) fn page_url(scheme: &str, addr: SocketAddr) -> String {
    let host = match addr.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    format!("{scheme}://{host}:{}/", addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unspecified_addresses_are_localhost() {
        for (addr, url) in [
            ("127.0.0.1:8080", "http://localhost:8080/"),
            ("0.0.0.0:80", "http://localhost:80/"),
            ("[::]:80", "http://localhost:80/"),
            ("192.0.2.7:80", "http://192.0.2.7:80/"),
            ("[2001:db8::7]:80", "http://[2001:db8::7]:80/"),
        ] {
            assert_eq!(page_url("http", addr.parse().unwrap()), url);
        }
    }
}
