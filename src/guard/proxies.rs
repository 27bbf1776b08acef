//! The proxies in front of the server, whose word counts.
//!
//! Each proxy adds to `X-Forwarded-For` the address from which it was asked. Everything before that is
//! the claim of a client. So the list is read from its end, and only as far as the proxies are known.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The networks of the proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(super) const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a proxy has this address.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client: the last one that is no proxy's. `forwarded` are the values of
    /// `X-Forwarded-For` in the order of the request, and `peer` is the other end of the connection.
    pub(super) fn client(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let hops = forwarded.iter().flat_map(|value| value.split(','));
        let mut client = peer.to_canonical();
        for hop in hops.rev() {
            if !self.contain(client) {
                break;
            }
            match address(hop.trim()) {
                Some(address) => client = address.to_canonical(),
                // What follows cannot be assigned to anyone.
                None => break,
            }
        }
        client
    }
}

/// An address, with or without a port, which some proxies add.
fn address(hop: &str) -> Option<IpAddr> {
    let in_brackets = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let alone = in_brackets.unwrap_or(hop).parse().ok();
    alone.or_else(|| hop.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8:aaaa::/48"];
        let proxies = Proxies::new(networks.map(|network| network.parse().unwrap()).into());
        let client = proxies.client(peer.parse().unwrap(), forwarded);
        client.to_string()
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            // The claim of a client that comes directly.
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["1.1.1.1", "203.0.113.9, 10.0.0.2"],
                "203.0.113.9",
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.1", &["[2001:db8::9]"], "2001:db8::9"),
            ("10.0.0.1", &["2001:db8::9"], "2001:db8::9"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9,"], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("2001:db8:aaaa::1", &["203.0.113.9"], "203.0.113.9"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer}, {forwarded:?}");
        }
    }
}
