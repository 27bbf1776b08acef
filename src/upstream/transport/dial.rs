//! Opens TCP connections: names to addresses, and one address after the other.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

use super::{failure::ConnectFailure, proxies::Proxy, target::Target};
use crate::upstream::diagnosis::Diagnosis;

/// Bounds the resolution of a name with the TCP connection, and again each TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, whatever it consists of.
pub(in crate::upstream) type BoxedIo = Box<dyn Io>;

/// What can be read and written.
pub(in crate::upstream) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Whom a step deals with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    Target,
    Proxy,
}

impl Leg {
    const fn resolution(self) -> &'static str {
        match self {
            Self::Target => "name resolution",
            Self::Proxy => "name resolution of the proxy",
        }
    }

    const fn connection(self) -> &'static str {
        match self {
            Self::Target => "connect",
            Self::Proxy => "connect to the proxy",
        }
    }

    pub(super) const fn tls(self) -> &'static str {
        match self {
            Self::Target => "TLS",
            Self::Proxy => "TLS with the proxy",
        }
    }

    /// The diagnosis, which for a proxy is one and the same.
    pub(super) const fn diagnosis(self, of_target: Diagnosis) -> Diagnosis {
        match self {
            Self::Target => of_target,
            Self::Proxy => Diagnosis::ProxyUnreachable,
        }
    }
}

/// Connects to a target.
pub(super) async fn target(target: &Target) -> Result<BoxedIo, ConnectFailure> {
    dial(target, Leg::Target).await
}

/// Connects to a proxy.
pub(super) async fn proxy(proxy: &Proxy) -> Result<BoxedIo, ConnectFailure> {
    dial(&proxy.address, Leg::Proxy).await
}

async fn dial(target: &Target, leg: Leg) -> Result<BoxedIo, ConnectFailure> {
    let until = Instant::now() + CONNECT_TIMEOUT;
    let unresolved = |reason| {
        let diagnosis = leg.diagnosis(Diagnosis::NameResolution);
        ConnectFailure::new(leg.resolution(), reason, diagnosis)
    };
    let found = timeout(CONNECT_TIMEOUT, lookup_host((&*target.host, target.port)));
    let addresses: Vec<SocketAddr> = match found.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(unresolved(resolver_reason(&error.to_string()))),
        Err(_) => return Err(unresolved("no answer within 5 s")),
    };
    if addresses.is_empty() {
        return Err(unresolved("the name has no address"));
    }
    connect(&addresses, until, leg).await
}

/// Connects to the first address that accepts. The failure is that of the last one.
async fn connect(
    addresses: &[SocketAddr],
    until: Instant,
    leg: Leg,
) -> Result<BoxedIo, ConnectFailure> {
    let silent = || {
        let diagnosis = leg.diagnosis(Diagnosis::Blocked);
        ConnectFailure::new(leg.connection(), "no connection within 5 s", diagnosis)
    };
    let mut failure = silent();
    for (at, address) in addresses.iter().enumerate() {
        // An address that does not answer leaves the others their share of the time.
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Otherwise the rest of a long prompt waits for an acknowledgment. A failure costs time.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => {
                let diagnosis = leg.diagnosis(Diagnosis::Connection);
                ConnectFailure::io(leg.connection(), &error, diagnosis)
            }
            Err(_) => silent(),
        };
    }
    Err(failure)
}

/// The C library's own sentence for why a name has no address, if it is one of those.
fn resolver_reason(text: &str) -> &'static str {
    const SENTENCES: [&str; 7] = [
        // glibc
        "Name or service not known",
        "Temporary failure in name resolution",
        "No address associated with hostname",
        "Non-recoverable failure in name resolution",
        // musl
        "Name does not resolve",
        "Try again",
        // macOS
        "nodename nor servname provided, or not known",
    ];
    let known = SENTENCES.iter().find(|sentence| text.contains(*sentence));
    known.copied().unwrap_or("failed")
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::{super::target::Security, *};

    #[test]
    fn a_resolver_is_quoted_by_known_sentences_only() {
        let lookup = "failed to lookup address information: Name or service not known";
        assert_eq!(resolver_reason(lookup), "Name or service not known");
        assert_eq!(resolver_reason("canary"), "failed");
    }

    /// A server that accepts nothing and refuses nothing, as behind a firewall: its queue is full.
    struct Silent {
        address: SocketAddr,
        _queue: [Socket; 4],
    }

    impl Silent {
        fn new() -> Self {
            let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let listener = socket();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            listener.bind(&any.into()).unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let fill = || {
                let client = socket();
                client.set_nonblocking(true).unwrap();
                // It is not complete at once, which counts as an error.
                let _ = client.connect(&address);
                client
            };
            Self {
                address: address.as_socket().unwrap(),
                _queue: [fill(), fill(), fill(), listener],
            }
        }
    }

    async fn connected(addresses: &[SocketAddr], leg: Leg) -> Result<BoxedIo, ConnectFailure> {
        connect(addresses, Instant::now() + CONNECT_TIMEOUT, leg).await
    }

    #[tokio::test]
    async fn a_silent_or_closed_address_leaves_time_for_the_next_one() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = open.local_addr().map(|addr| (open, addr)).unwrap();
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let silent = Silent::new();
        let addresses = [closed, silent.address, open.1];
        assert!(connected(&addresses, Leg::Target).await.is_ok());
    }

    #[tokio::test]
    async fn silence_alone_is_a_block() {
        let silent = Silent::new();
        for (leg, diagnosis) in [
            (Leg::Target, Diagnosis::Blocked),
            (Leg::Proxy, Diagnosis::ProxyUnreachable),
        ] {
            let soon = Instant::now() + Duration::from_millis(50);
            let Err(failure) = connect(&[silent.address], soon, leg).await else {
                panic!("it accepts nothing");
            };
            let cause = format!("{}: no connection within 5 s", leg.connection());
            assert_eq!(failure.to_string(), cause);
            assert_eq!(failure.diagnosis, diagnosis);
        }
    }

    #[tokio::test]
    async fn a_refused_connection_to_a_proxy_is_the_proxys_failure() {
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let server = Target::new(Security::Plain, "127.0.0.1", Some(closed.port()));
        for (leg, cause, diagnosis) in [
            (
                Leg::Target,
                "connect: Connection refused (os error 111)",
                Diagnosis::Connection,
            ),
            (
                Leg::Proxy,
                "connect to the proxy: Connection refused (os error 111)",
                Diagnosis::ProxyUnreachable,
            ),
        ] {
            let Err(failure) = dial(&server, leg).await else {
                panic!("it is closed");
            };
            assert_eq!(failure.to_string(), cause);
            assert_eq!(failure.diagnosis, diagnosis);
        }
    }
}
