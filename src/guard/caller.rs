//! Who asks.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use crate::store::Owner;

/// How many bits of an IPv6 address say who asks. A provider gives each of its customers at least a
/// network of this size, so single addresses in it are free to choose.
const IPV6_NETWORK_BITS: u32 = 64;

/// Who asks, as far as limits and the ownership of replies are concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The holder of an access token, by the token's name.
    Token(Arc<str>),
    /// A user whom the proxy in front has signed in.
    User(Arc<str>),
    /// Any other client, where such may ask.
    Anonymous(Network),
}

/// The network of an anonymous caller: an IPv4 address, or the network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of a client's address.
    #[must_use]
    pub fn of(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V6(ip) => {
                let host_bits = u128::BITS - IPV6_NETWORK_BITS;
                Ipv6Addr::from_bits(ip.to_bits() >> host_bits << host_bits).into()
            }
            v4 => v4,
        })
    }
}

impl Caller {
    /// Who may read the replies that this caller starts. An anonymous caller's network says nothing of
    /// that: it changes when a phone leaves a building.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match self {
            Self::Anonymous(_) => Owner::Anyone,
            Self::Token(_) | Self::User(_) => Owner::one(&self.identity()),
        }
    }

    /// The name by which logs call this caller; none for an anonymous one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token(name) | Self::User(name) => Some(name),
            Self::Anonymous(_) => None,
        }
    }

    /// This caller in a crowd in which anonymous ones cannot be told apart.
    pub(super) fn in_a_crowd(&self) -> Self {
        match self {
            Self::Anonymous(_) => Self::Anonymous(Network(IpAddr::from([0, 0, 0, 0]))),
            named => named.clone(),
        }
    }

    /// What sets this caller apart from all others.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Token(name) => format!("token {name}"),
            Self::User(name) => format!("user {name}"),
            Self::Anonymous(Network(ip)) => format!("network {ip}"),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("anonymous"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_callers_are_told_apart_by_network_and_ipv4_callers_by_address() {
        let network = |ip: &str| Network::of(ip.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }

    #[test]
    fn a_token_and_a_user_of_the_same_name_are_two_callers() {
        let (token, user) = (Caller::Token("ann".into()), Caller::User("ann".into()));
        assert_ne!(token.owner(), user.owner());
        assert_eq!(token.owner(), Caller::Token("ann".into()).owner());
        let anonymous = Caller::Anonymous(Network::of(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(anonymous.owner(), Owner::Anyone);
    }
}
