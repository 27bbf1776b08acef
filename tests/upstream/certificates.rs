//! TLS to upstream: a private CA is trusted if a setting names it, and `check` tells what is wrong with a
//! certificate, each with its remedy.

use std::net::SocketAddr;

use rasta_stream::simulator::{Options, Pace, Simulator};
use tokio::net::TcpListener;

use super::identity::check;
use crate::support::{certificates::Ca, program::refusal, replica::Scratch, tls_front::TlsFront};

async fn simulator() -> (Simulator, SocketAddr) {
    let options = Options {
        pace: Pace::Instant,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let addr = simulator.url().strip_prefix("http://").unwrap().parse();
    (simulator, addr.unwrap())
}

/// The environment of a program whose upstream is at this address.
fn environment(endpoint: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let azure = [
        ("AZURE_OPENAI_ENDPOINT", endpoint),
        ("AZURE_OPENAI_DEPLOYMENT", "d"),
        ("AZURE_OPENAI_API_KEY", "k"),
    ];
    let all = azure.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[actix_web::test]
async fn a_private_ca_is_trusted_by_either_setting() {
    let (_simulator, addr) = simulator().await;
    let directory = Scratch::new("private-ca");
    let ca = Ca::new(directory.path());
    let front = TlsFront::start(&ca.issue("server", "IP:127.0.0.1"), addr).await;
    let endpoint = format!("https://127.0.0.1:{}", front.port());
    for setting in ["AZURE_OPENAI_CA_FILE", "SSL_CERT_FILE"] {
        let env = environment(&endpoint, &[(setting, &ca.file())]);
        let output = check("private-ca", env).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.starts_with("OK: \"d\""),
            "{setting}: {said} {:?}",
            output.stderr
        );
    }
}

#[actix_web::test]
async fn check_tells_each_fault_of_tls_apart() {
    let (_simulator, addr) = simulator().await;
    let directory = Scratch::new("certificate-faults");
    let ca = Ca::new(directory.path());
    let good = TlsFront::start(&ca.issue("good", "IP:127.0.0.1"), addr).await;
    let expired = TlsFront::start(&ca.issue_expired("expired", "IP:127.0.0.1"), addr).await;
    let other = TlsFront::start(&ca.issue("other", "DNS:canary.test"), addr).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let cutting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cutting_port = cutting.local_addr().unwrap().port();
    tokio::spawn(async move { while cutting.accept().await.is_ok() {} });
    let file = ca.file();
    let trusted = ("AZURE_OPENAI_CA_FILE", file.as_str());
    for (port, settings, cause, remedy) in [
        (
            good.port(),
            &[][..],
            "[TLS: the certificate's issuer is unknown]",
            "set AZURE_OPENAI_CA_FILE to a PEM file of your network's CA certificates",
        ),
        (
            expired.port(),
            &[trusted],
            "[TLS: the certificate has expired]",
            "check this machine's clock, or renew the server's certificate",
        ),
        (
            other.port(),
            &[trusted],
            "[TLS: the certificate is for another host name]",
            "check the spelling of AZURE_OPENAI_ENDPOINT",
        ),
        (
            addr.port(),
            &[trusted],
            "[TLS: the server does not speak TLS]",
            "http:// against https:// in AZURE_OPENAI_ENDPOINT",
        ),
        (
            cutting_port,
            &[trusted],
            "[TLS: ",
            "the network drops connections to this host",
        ),
        (
            silent_port,
            &[trusted],
            "[TLS: no handshake within 5 s]",
            "or set HTTPS_PROXY if this network has a proxy",
        ),
    ] {
        let env = environment(&format!("https://127.0.0.1:{port}"), settings);
        let error = refusal(&check("certificate-faults", env).await);
        assert!(error.contains(cause), "{cause}: {error}");
        assert!(error.contains(remedy), "{remedy}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn a_ca_file_that_is_missing_stops_the_program_at_its_start() {
    for args in [&[][..], &["check"]] {
        let env = environment(
            "https://r.openai.azure.com",
            &[("AZURE_OPENAI_CA_FILE", "/no/such/file")],
        );
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let error = refusal(&crate::support::program::run("no-ca", args, &env));
        let begin = "rasta-stream: AZURE_OPENAI_CA_FILE cannot be read (";
        assert!(error.starts_with(begin), "{error}");
    }
}
