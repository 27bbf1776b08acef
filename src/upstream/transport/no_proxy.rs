//! `NO_PROXY`: the hosts that are reached without a proxy, as curl documents the list.

use std::net::IpAddr;

use ipnet::IpNet;

use super::target::address;

/// The hosts that are reached without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

/// Hosts, and the port if only that one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// The name itself and every name below it; in lower case.
    Domain(String),
    Addresses(IpNet),
}

impl NoProxy {
    /// Reads a list that is separated by commas or spaces. An entry is `*`, a name with or without a
    /// leading dot, an address, or a network such as `10.0.0.0/8`; a name or an address may have a port.
    /// What is none of these matches nothing.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).map(str::trim);
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Whether a host, without brackets, is in the list. Names are not resolved for that.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let address = address(host);
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|its| its == port)
                && match &entry.hosts {
                    Hosts::All => true,
                    Hosts::Addresses(net) => address.is_some_and(|address| net.contains(&address)),
                    Hosts::Domain(domain) => {
                        let above = name.strip_suffix(domain.as_str());
                        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
                    }
                }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let whole = Hosts::parse(text).map(|hosts| Self { hosts, port: None });
        // An IPv6 address without brackets has colons and no port.
        whole.or_else(|| {
            let (host, port) = text.rsplit_once(':')?;
            Some(Self {
                hosts: Hosts::parse(host)?,
                port: Some(port.parse().ok()?),
            })
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(address) = address(text) {
            return Some(Self::Addresses(address.into()));
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Some(Self::Addresses(plain(net)));
        }
        let name = text.trim_start_matches('*').trim_matches('.');
        let is_name = !name.is_empty() && !name.contains([':', '/', '[', ']', '*']);
        is_name.then(|| Self::Domain(name.to_ascii_lowercase()))
    }
}

/// A network of IPv4 addresses that are written as IPv6, in the form that its hosts have.
fn plain(net: IpNet) -> IpNet {
    match (net.network().to_canonical(), net.prefix_len()) {
        (IpAddr::V4(network), length @ 96..=128) if matches!(net, IpNet::V6(_)) => {
            IpNet::new(network.into(), length - 96).unwrap_or(net)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_entry_matches_what_curl_says() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*", &["any.host:1", "10.0.0.1:1"], &[]),
            (
                "example.com",
                &["example.com:1", "a.b.EXAMPLE.com:1", "example.com.:1"],
                &["notexample.com:1", "example.com.evil:1", "example.org:1"],
            ),
            (
                ".example.com",
                &["example.com:1", "a.example.com:1"],
                &["notexample.com:1"],
            ),
            ("*.example.com", &["a.example.com:1"], &["badexample.com:1"]),
            ("EXAMPLE.com.", &["example.com:1"], &[]),
            (
                "example.com:8443",
                &["example.com:8443", "a.example.com:8443"],
                &["example.com:443"],
            ),
            ("10.1.2.3", &["10.1.2.3:1"], &["10.1.2.30:1", "a10.1.2.3:1"]),
            ("10.1.2.3:80", &["10.1.2.3:80"], &["10.1.2.3:443"]),
            (
                "10.0.0.0/8",
                &["10.255.0.1:1", "::ffff:10.0.0.1:1"],
                &["11.0.0.1:1", "10.host:1"],
            ),
            ("0.0.0.0/0", &["192.0.2.1:1"], &["2001:db8::1:1", "host:1"]),
            (
                "2001:db8::/32",
                &["2001:db8:1::1:443"],
                &["2001:db9::1:443"],
            ),
            ("2001:db8::1", &["2001:db8::1:443"], &["2001:db8::2:443"]),
            (
                "[2001:db8::1]:8443",
                &["2001:db8::1:8443"],
                &["2001:db8::1:443"],
            ),
            ("::ffff:10.0.0.0/104", &["10.1.1.1:1"], &["11.1.1.1:1"]),
            (
                "first.example, second.example third.example",
                &["first.example:1", "second.example:1", "third.example:1"],
                &["fourth.example:1"],
            ),
            // No entries, and none that matches everything by accident.
            (", ,", &[], &["host:1"]),
            (".", &[], &["host:1"]),
            ("10.0.0.0/33", &[], &["10.0.0.1:1"]),
            ("host:port", &[], &["host:1"]),
            ("http://host", &[], &["host:80"]),
        ];
        for (list, inside, outside) in cases {
            let no_proxy = NoProxy::parse(list);
            let has = |host: &str| {
                let (host, port) = host.rsplit_once(':').unwrap();
                no_proxy.has(host, port.parse().unwrap())
            };
            for host in *inside {
                assert!(has(host), "{host} is in {list:?}");
            }
            for host in *outside {
                assert!(!has(host), "{host} is not in {list:?}");
            }
        }
    }
}
