//! The names under which the server may be asked.
//!
//! A page of any site can let its own name lead to this server's address (DNS rebinding). For the browser,
//! page and server then have the same origin, so the page may read replies. The name in `Host` is still that
//! of the page, and is refused here. An address in `Host` cannot lead elsewhere, but only the address of
//! the connection is this server's for certain.

use std::net::IpAddr;

use url::Host;

/// The name or address of a server, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Host);

/// The names that are accepted.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<HostName>);

impl HostName {
    /// Parses `NAME`, `ADDRESS` or `[ADDRESS]`, each with or without `:PORT`; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (text, ""),
        };
        let decimal = port.bytes().all(|byte| byte.is_ascii_digit());
        let name = name.strip_suffix('.').unwrap_or(name);
        let host = Host::parse(name).ok().filter(|_| decimal)?;
        (!name.is_empty()).then_some(Self(host))
    }

    fn address(&self) -> Option<IpAddr> {
        match self.0 {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(IpAddr::from(ip).to_canonical()),
        }
    }

    /// `localhost`, its subdomains, and the addresses of the loopback interface. No DNS server is asked
    /// for them.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.0 {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(_) | Host::Ipv6(_) => self.address().is_some_and(|ip| ip.is_loopback()),
        }
    }
}

impl Hosts {
    pub(super) const fn new(names: Vec<HostName>) -> Self {
        Self(names)
    }

    /// Whether the server may be asked under this name, on a connection to its address `local`.
    #[must_use]
    pub fn admits(&self, name: &HostName, local: Option<IpAddr>) -> bool {
        let address = name.address();
        name.is_loopback()
            || address.is_some() && address == local.map(|ip| ip.to_canonical())
            || self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(host: &str) -> bool {
        let names = ["chat.example.com", "192.0.2.9", "[2001:db8::9]"];
        let hosts = Hosts::new(names.map(|name| HostName::parse(name).unwrap()).into());
        let local = "192.0.2.7".parse().unwrap();
        HostName::parse(host).is_some_and(|name| hosts.admits(&name, Some(local)))
    }

    #[test]
    fn names_of_loopback_the_own_address_and_listed_names_are_admitted() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "app.localhost:1",
            "localhost.",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "192.0.2.7:80",
            "chat.example.com",
            "CHAT.example.com.:443",
            "192.0.2.9:8443",
            "[2001:db8::9]:1",
        ] {
            assert!(admits(host), "for {host}");
        }
    }

    #[test]
    fn any_other_name_is_not() {
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "chat.example.com.evil.example",
            "a.chat.example.com",
            "169.254.169.254",
            "0.0.0.0",
            "[::]",
            "[2001:db8::7]",
            "localhost:80:80",
            "localhost:8o",
            "localhost/",
            "user@localhost",
            "local host",
            "localhost, evil.example",
        ] {
            assert!(!admits(host), "for {host}");
        }
    }
}
