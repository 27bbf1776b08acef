//! The other end of a connection: host, port, and whether it speaks TLS.

use std::net::IpAddr;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Security {
    /// `http`
    Plain,
    /// `https`
    Tls,
}

impl Security {
    /// The port of a URL that names none.
    pub(in crate::upstream) const fn default_port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Target {
    pub(in crate::upstream) security: Security,
    /// A name or an address; one of IPv6 without its brackets.
    pub(in crate::upstream) host: String,
    pub(in crate::upstream) port: u16,
}

impl Target {
    /// `host` is as in a URL.
    pub(in crate::upstream) fn new(security: Security, host: &str, port: Option<u16>) -> Self {
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        Self {
            security,
            host: bare.unwrap_or(host).to_owned(),
            port: port.unwrap_or(security.default_port()),
        }
    }

    /// `host:port`, with the brackets of an IPv6 address.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// Whether a host, as in a URL, is this machine: what is sent to it crosses no network.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    match address(host) {
        // The unspecified address connects to the loopback interface.
        Some(ip) => ip.is_loopback() || ip.is_unspecified(),
        None => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// Whether a host is on this machine or on its own link, where the metadata services of clouds are.
pub(super) fn is_nearby(host: &str) -> bool {
    is_this_machine(host)
        || address(host).is_some_and(|ip| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        })
}

/// The address, if the host is one, in its plain form: `::ffff:127.0.0.1` is `127.0.0.1`.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_many_names() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "api.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "::1",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "notlocalhost",
            "localhost.example",
            "10.0.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn metadata_services_are_nearby() {
        for host in ["169.254.169.254", "[fe80::1]", "localhost"] {
            assert!(is_nearby(host), "{host}");
        }
        for host in ["login.microsoftonline.com", "169.255.0.1", "[fd00::1]"] {
            assert!(!is_nearby(host), "{host}");
        }
    }

    #[test]
    fn the_brackets_of_an_ipv6_address_are_part_of_the_authority_only() {
        let target = Target::new(Security::Tls, "[2001:db8::1]", None);
        assert_eq!(target.host, "2001:db8::1");
        assert_eq!(target.authority(), "[2001:db8::1]:443");
        let target = Target::new(Security::Plain, "host", None);
        assert_eq!(target.authority(), "host:80");
    }
}
