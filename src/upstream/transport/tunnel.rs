//! Asks a proxy for a tunnel to a target: `CONNECT`.
//!
//! Of the proxy's response only the status is used. Its text is the proxy's own and is dropped.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    dial::BoxedIo,
    failure::ConnectFailure,
    head::{self, Parsed},
    proxies::Proxy,
    target::Target,
};
use crate::upstream::{cause::Cause, diagnosis::Diagnosis};

/// How long a proxy may take to reach the target.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest response head of a proxy. Stops a wrong server from filling the memory.
const MAX_TUNNEL_HEAD_BYTES: usize = 16 * 1024;

const STAGE: &str = "CONNECT through the proxy";

/// Opens a tunnel on a connection to a proxy.
///
/// # Errors
///
/// The proxy refuses, fails, or does not speak HTTP.
pub(super) async fn open(
    io: &mut BoxedIo,
    target: &Target,
    proxy: &Proxy,
) -> Result<(), ConnectFailure> {
    match timeout(TUNNEL_TIMEOUT, ask(io, target, proxy)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed("no response within 15 s", Diagnosis::ProxyGateway)),
    }
}

async fn ask(io: &mut BoxedIo, target: &Target, proxy: &Proxy) -> Result<(), ConnectFailure> {
    let authority = target.authority();
    let request = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
        proxy.authorization_line()
    );
    let cut = |error| ConnectFailure::io(STAGE, &error, Diagnosis::ProxyProtocol);
    io.write_all(request.as_bytes()).await.map_err(cut)?;
    io.flush().await.map_err(cut)?;
    let mut received = Vec::new();
    loop {
        if received.len() >= MAX_TUNNEL_HEAD_BYTES {
            let reason = "its response head is too long";
            return Err(failed(reason, Diagnosis::ProxyProtocol));
        }
        // One byte at a time, since what follows the head belongs to the tunnel.
        let byte = match io.read_u8().await {
            Ok(byte) => byte,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let reason = "the proxy closed the connection";
                return Err(failed(reason, Diagnosis::ProxyProtocol));
            }
            Err(error) => return Err(cut(error)),
        };
        received.push(byte);
        if byte != b'\n' {
            continue;
        }
        match head::parse(&received) {
            Parsed::Partial => {}
            Parsed::Head {
                status: 200..=299, ..
            } => return Ok(()),
            Parsed::Head {
                status: 100..=199, ..
            } => received.clear(),
            Parsed::Head { status, .. } => return Err(refused(status)),
            Parsed::Malformed => {
                let reason = "the proxy does not speak HTTP";
                return Err(failed(reason, Diagnosis::ProxyProtocol));
            }
        }
    }
}

const fn failed(reason: &'static str, diagnosis: Diagnosis) -> ConnectFailure {
    ConnectFailure::new(STAGE, reason, diagnosis)
}

fn refused(status: u16) -> ConnectFailure {
    ConnectFailure {
        cause: Cause::Proxy { status },
        diagnosis: match status {
            // tinyproxy says 401 to a wrong password.
            401 | 407 => Diagnosis::ProxyCredentials,
            // What it is called if it fails on the way to the target.
            500..=599 => Diagnosis::ProxyGateway,
            _ => Diagnosis::ProxyRefusal,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::{super::target::Security, *};

    async fn opened(proxy: &str, response: &[u8]) -> (Result<(), ConnectFailure>, String) {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(64 * 1024);
        theirs.write_all(response).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut io: BoxedIo = Box::new(ours);
        let target = Target::new(Security::Tls, "r.openai.azure.com", None);
        let outcome = open(&mut io, &target, &Proxy::parse(proxy).unwrap()).await;
        let mut left = String::new();
        io.read_to_string(&mut left).await.unwrap();
        drop(io);
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.unwrap();
        (outcome, request + &left)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_by_name_and_with_the_credentials() {
        let response = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\n\
            Via: proxy\r\n\r\nSERVER";
        let (outcome, text) = opened("http://user:word@proxy:1", response).await;
        outcome.unwrap();
        // What follows the head stays in the connection.
        assert_eq!(
            text,
            "CONNECT r.openai.azure.com:443 HTTP/1.1\r\nHost: r.openai.azure.com:443\r\n\
             Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\nSERVER"
        );
    }

    #[tokio::test]
    async fn each_refusal_has_its_diagnosis() {
        let endless = vec![b'x'; MAX_TUNNEL_HEAD_BYTES + 1];
        for (response, cause, diagnosis) in [
            (
                &b"HTTP/1.1 407 Canary\r\nProxy-Authenticate: Basic\r\n\r\n"[..],
                "CONNECT through the proxy: status=407",
                Diagnosis::ProxyCredentials,
            ),
            (
                b"HTTP/1.1 403 Canary\r\n\r\n",
                "CONNECT through the proxy: status=403",
                Diagnosis::ProxyRefusal,
            ),
            (
                b"HTTP/1.1 302 Canary\r\nLocation: /login\r\n\r\n",
                "CONNECT through the proxy: status=302",
                Diagnosis::ProxyRefusal,
            ),
            (
                b"HTTP/1.1 503 Canary\r\n\r\n",
                "CONNECT through the proxy: status=503",
                Diagnosis::ProxyGateway,
            ),
            (
                b"SSH-2.0-Canary\r\n",
                "CONNECT through the proxy: the proxy does not speak HTTP",
                Diagnosis::ProxyProtocol,
            ),
            (
                b"HTTP/1.1 200 Canary\r\n",
                "CONNECT through the proxy: the proxy closed the connection",
                Diagnosis::ProxyProtocol,
            ),
            (
                &endless,
                "CONNECT through the proxy: its response head is too long",
                Diagnosis::ProxyProtocol,
            ),
        ] {
            let (outcome, _) = opened("proxy:1", response).await;
            let failure = outcome.unwrap_err();
            assert_eq!(failure.to_string(), cause);
            assert_eq!(failure.diagnosis, diagnosis, "{cause}");
        }
    }
}
