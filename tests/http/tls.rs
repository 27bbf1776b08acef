//! HTTPS and HTTP/2 without a proxy, with certificates of a private CA.

use std::{fs, process::Command, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use rasta_stream::event::StopReason;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{
    app::{Setup, TestApp, spawn_app_with},
    certificates::Ca,
    client::soon,
    program::{Empty, Serving, refusal, run},
};

const PROMPT: &str = r#"{"prompt":"river"}"#;

struct Files {
    directory: Empty,
    certificate: String,
    key: String,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = Empty::new(name);
        let issued = Ca::new(&directory.0).issue("server", "DNS:localhost,IP:127.0.0.1");
        Self {
            certificate: issued.certificate.to_str().unwrap().to_owned(),
            key: issued.key.to_str().unwrap().to_owned(),
            directory,
        }
    }

    fn env(&self) -> [(&'static str, &str); 2] {
        [
            ("TLS_CERT_FILE", &self.certificate),
            ("TLS_KEY_FILE", &self.key),
        ]
    }

    async fn app(&self, deployment: &str, flags: &[&str]) -> TestApp {
        let (certificate, key) = (&self.certificate, &self.key);
        let tls = [
            format!("--tls-cert-file={certificate}"),
            format!("--tls-key-file={key}"),
        ];
        let mut all: Vec<&str> = tls.iter().map(String::as_str).collect();
        all.extend(flags);
        spawn_app_with(Setup {
            deployment,
            flags: &all,
            ..Setup::default()
        })
        .await
    }

    /// An HTTP/2 connection of its own.
    async fn connect(&self, app: &TestApp) -> SendRequest<Bytes> {
        let pem = fs::read(self.directory.0.join("ca.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(app.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// Asks for a reply as events.
async fn ask(client: &mut SendRequest<Bytes>, app: &TestApp) -> ResponseFuture {
    let request = http::Request::post(format!("https://localhost:{}/v1/replies", app.addr.port()))
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .body(())
        .unwrap();
    let mut ready = soon("room for a stream", client.clone().ready())
        .await
        .unwrap();
    let (response, mut body) = ready.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(PROMPT.as_bytes()), true)
        .unwrap();
    *client = ready;
    response
}

fn curl(files: &Files, serving: &Serving, args: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--cacert", "ca.pem"])
        .args(args)
        .arg(format!("https://localhost:{}/", serving.addr.port()))
        .current_dir(&files.directory.0)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn https_is_served_with_both_versions_of_http_and_to_the_healthcheck() {
    let files = Files::new("tls");
    let serving = Serving::start("tls-server", &files.env());
    let version = ["--output", "page", "--write-out", "%{http_version}"];
    for (flag, expected) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut args = version.to_vec();
        args.push(flag);
        assert_eq!(curl(&files, &serving, &args), (true, expected.to_owned()));
    }
    let (_, head) = curl(&files, &serving, &["--head"]);
    assert!(
        !head.to_lowercase().contains("strict-transport-security"),
        "{head}"
    );
    let port = serving.addr.port().to_string();
    let env = [files.env()[0], ("PORT", &port)];
    assert!(run("tls-healthy", &["healthcheck"], &env).status.success());
    // Plain HTTP is no TLS.
    assert!(
        !run("tls-unhealthy", &["healthcheck"], &env[1..])
            .status
            .success()
    );
}

#[test]
fn browsers_are_told_to_use_only_https_when_that_is_asked_for() {
    let files = Files::new("hsts");
    let mut env = files.env().to_vec();
    env.push(("HSTS_SECONDS", "3600"));
    let serving = Serving::start("hsts-server", &env);
    let (_, head) = curl(&files, &serving, &["--head"]);
    assert!(
        head.contains("strict-transport-security: max-age=3600"),
        "{head}"
    );
}

#[test]
fn a_new_certificate_is_used_on_hang_up_and_a_bad_one_is_not() {
    let (old, new) = (Files::new("old-tls"), Files::new("new-tls"));
    let serving = Serving::start("reload-server", &old.env());
    assert!(curl(&old, &serving, &[]).0);
    let reloaded = |used: &Files| {
        serving.signal("-HUP");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !curl(used, &serving, &[]).0 {
            assert!(std::time::Instant::now() < deadline, "it is not used");
        }
    };
    // A pair of which only one file is new cannot be used.
    fs::copy(&new.certificate, &old.certificate).unwrap();
    reloaded(&old);
    fs::copy(&new.key, &old.key).unwrap();
    reloaded(&new);
    assert!(!curl(&old, &serving, &[]).0, "the old one is still used");
    serving.signal("-TERM");
    let (code, log) = serving.finish();
    assert_eq!(code, Some(0));
    assert!(
        log.contains("the previous certificate stays in use"),
        "{log}"
    );
    assert!(log.contains("certificate reloaded"), "{log}");
}

#[test]
fn files_that_are_no_pair_are_refused_at_the_start() {
    let (one, other) = (Files::new("pair"), Files::new("other-pair"));
    let certificate = ("TLS_CERT_FILE", one.certificate.as_str());
    for (env, words) in [
        (vec![certificate], "TLS_KEY_FILE is missing"),
        (
            vec![certificate, ("TLS_KEY_FILE", &other.key)],
            "cannot be used together",
        ),
        (
            vec![certificate, ("TLS_KEY_FILE", &one.certificate)],
            "TLS_KEY_FILE has no private key",
        ),
        (
            vec![certificate, ("TLS_KEY_FILE", "nowhere")],
            "TLS_KEY_FILE cannot be read",
        ),
        (
            vec![("TLS_CERT_FILE", &one.key), one.env()[1]],
            "TLS_CERT_FILE has no certificate",
        ),
    ] {
        let error = refusal(&run("tls-refused", &[], &env));
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("BEGIN EC"), "{error}");
    }
}

#[actix_web::test]
async fn two_hundred_streams_share_one_connection_and_more_than_its_limit_are_refused() {
    let files = Files::new("h2-streams");
    let app = files.app("sim-silent", &[]).await;
    let mut client = files.connect(&app).await;
    let mut open = Vec::new();
    for _ in 0..256 {
        let response = soon("a response", ask(&mut client, &app).await)
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        open.push(response.into_body());
    }
    assert_eq!(app.store.running(), 256);
    for body in &mut open {
        let first = soon("an event", body.data()).await.unwrap().unwrap();
        assert!(first.starts_with(b"retry: "), "{first:?}");
    }
    let refused = soon("a refusal", ask(&mut client, &app).await)
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
}

#[actix_web::test]
async fn a_viewer_that_leaves_its_stream_is_noticed_within_a_ping() {
    let files = Files::new("h2-leaves");
    let flags = ["--idle-reader-seconds=0.2", "--ping-seconds=0.5"];
    let app = files.app("sim-silent", &flags).await;
    let mut client = files.connect(&app).await;
    let response = soon("a response", ask(&mut client, &app).await)
        .await
        .unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let other = soon("a response", ask(&mut client, &app).await)
        .await
        .unwrap();
    // The connection stays, with another stream on it.
    drop(response);
    let log = app.log(&location).await;
    // A reader of ours would count as one.
    let ended = async {
        while log.end().is_none() {
            tokio::task::yield_now().await;
        }
    };
    soon("the end", ended).await;
    assert_eq!(log.end().unwrap().reason, Some(StopReason::Unread));
    assert_eq!(app.store.running(), 1);
    drop(other);
}
