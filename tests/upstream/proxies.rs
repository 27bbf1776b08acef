//! Upstream through a real forward proxy: replies stream, stops arrive, tokens take the same way, and each
//! fault of a proxy is told apart. `azure.test` and `login.test` are names that only the proxy knows.

use std::net::SocketAddr;

use rasta_stream::simulator::{Options, Pace, Simulator};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::identity::check;
use crate::support::{
    app::{Setup, TestApp, requests, spawn_app_with},
    certificates::Ca,
    client::{self, proven, soon},
    program::{Serving, refusal},
    replica::Scratch,
    tinyproxy::{NAMES, Tinyproxy},
    tls_front::TlsFront,
};

/// Azure with TLS, and a proxy that knows its name.
struct Network {
    directory: Scratch,
    azure: TlsFront,
    proxy: Tinyproxy,
}

impl Network {
    /// `azure` is where Azure speaks plain HTTP.
    async fn new(azure: SocketAddr) -> Self {
        let directory = Scratch::new("network");
        let names = NAMES.map(|name| format!("DNS:{name}")).join(",") + ",IP:127.0.0.1";
        let issued = Ca::new(directory.path()).issue("server", &names);
        Self {
            azure: TlsFront::start(&issued, azure).await,
            proxy: Tinyproxy::start().await,
            directory,
        }
    }

    fn endpoint(&self) -> String {
        format!("https://azure.test:{}", self.azure.port())
    }

    fn ca(&self) -> String {
        self.directory
            .path()
            .join("ca.pem")
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// The environment of a program in this network.
    fn environment(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let (endpoint, ca, proxy) = (self.endpoint(), self.ca(), self.proxy.url());
        let own = [
            ("AZURE_OPENAI_ENDPOINT", endpoint.as_str()),
            ("AZURE_OPENAI_DEPLOYMENT", "d"),
            ("AZURE_OPENAI_API_KEY", "k"),
            ("AZURE_OPENAI_CA_FILE", &ca),
            ("HTTPS_PROXY", &proxy),
        ];
        let kept = own
            .iter()
            .filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        kept.chain(more)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn connects(&self) -> Vec<String> {
        let requests = self.proxy.requests().into_iter();
        let connects = requests.filter(|line| line.starts_with("CONNECT"));
        connects.collect()
    }
}

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

fn addr(simulator: &Simulator) -> SocketAddr {
    simulator
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

async fn simulator(key: Option<&str>) -> Simulator {
    let options = Options {
        key: key.map(str::to_owned),
        pace: Pace::Instant,
        journal: true,
        ..Options::default()
    };
    Simulator::start(options).await.unwrap()
}

/// A server in this network. Upstream waits for its steps.
async fn app(network: &Network) -> TestApp {
    let app = spawn_app_with(Setup {
        pace: None,
        endpoint: Some(network.endpoint()),
        flags: &[
            &format!("--https-proxy={}", network.proxy.url()),
            &format!("--azure-openai-ca-file={}", network.ca()),
        ],
        ..Setup::default()
    })
    .await;
    network.azure.aim(addr(&app.simulator));
    app
}

#[actix_web::test]
async fn each_delta_comes_through_a_tunnel_before_the_next_is_sent() {
    let network = Network::new(NOWHERE).await;
    let app = app(&network).await;
    let mut viewer = app.stream("river").await;
    assert_eq!(viewer.next_stored().await.unwrap().name, "start");
    // The filter results of the prompt and the role: frames without text.
    app.steps.release(2);
    for _ in 0..10 {
        app.steps.release(1);
        assert_eq!(viewer.next_stored().await.unwrap().name, "delta");
    }
    app.steps.release(10_000);
    let rest = viewer.rest().await;
    assert_eq!(rest.last().unwrap().data["status"], "completed");
    let connect = format!("CONNECT azure.test:{} HTTP/1.1", network.azure.port());
    assert_eq!(network.connects(), [connect]);
    let (_, path, headers) = app.first_request();
    assert!(path.starts_with("/openai/"), "{path}");
    let names = headers.iter().map(|(name, _)| name.to_lowercase());
    assert!(!names.into_iter().any(|name| name.starts_with("proxy-")));
}

#[actix_web::test]
async fn a_stop_closes_the_tunnel() {
    let network = Network::new(NOWHERE).await;
    let app = app(&network).await;
    let path = app.start("river").await;
    app.steps.release(5);
    app.upstream_was_asked().await;
    assert_eq!(app.delete(&path).await.status, 202);
    app.upstream_was_left().await;
}

#[actix_web::test]
async fn a_proxy_that_ends_cuts_the_reply() {
    let mut network = Network::new(NOWHERE).await;
    let app = app(&network).await;
    let mut viewer = app.stream("river").await;
    app.steps.release(5);
    while viewer.next_stored().await.unwrap().name != "delta" {}
    network.proxy.kill();
    let rest = viewer.rest().await;
    assert_eq!(
        rest.last().unwrap().data["error"]["code"],
        "upstream_truncated"
    );
    // And the next one finds no proxy.
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_unavailable");
}

#[actix_web::test]
async fn plain_http_is_forwarded_by_its_proxy() {
    let proxy = Tinyproxy::start().await;
    let simulator = simulator(None).await;
    let port = addr(&simulator).port();
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://azure.test:{port}")),
        flags: &[
            &format!("--http-proxy={}", proxy.url()),
            "--https-proxy=http://127.0.0.1:1",
            "--allow-plain-http=true",
        ],
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    let requests = proxy.requests();
    let begin = format!("POST http://azure.test:{port}/openai/");
    assert!(requests[0].starts_with(&begin), "{requests:?}");
}

#[actix_web::test]
async fn this_machine_is_reached_without_a_proxy() {
    let nothing = "http://127.0.0.1:1";
    let app = spawn_app_with(Setup {
        flags: &["--http-proxy", nothing, "--https-proxy", nothing],
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
}

#[actix_web::test]
async fn a_proxy_may_speak_tls_itself() {
    let simulator = simulator(None).await;
    let network = Network::new(addr(&simulator)).await;
    let issued = Ca::new(network.directory.path()).issue("proxy", "DNS:azure.test,IP:127.0.0.1");
    let azure = TlsFront::start(&issued, addr(&simulator)).await;
    let secure = TlsFront::start(&issued, network.proxy.addr()).await;
    let proxy = format!("https://user:canary-word@127.0.0.1:{}", secure.port());
    let endpoint = format!("https://azure.test:{}", azure.port());
    let env = network.environment(&[
        ("AZURE_OPENAI_ENDPOINT", &endpoint),
        ("HTTPS_PROXY", &proxy),
    ]);
    let output = check("proxy-tls", env).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("OK: \"d\""), "{said}");
    assert_eq!(network.connects().len(), 1);
}

#[actix_web::test]
async fn what_no_proxy_lists_is_reached_directly() {
    let simulator = simulator(None).await;
    let network = Network::new(addr(&simulator)).await;
    let listed = format!(".azure.test:{}", network.azure.port());
    for (no_proxy, connects) in [
        ("login.test,azure.test:1", 1),
        (listed.as_str(), 0),
        ("*", 0),
        ("other.test azure.test", 0),
    ] {
        let before = network.connects().len();
        let mut env = network.environment(&[("NO_PROXY", no_proxy)]);
        env.extend(network.proxy.names());
        let output = check("no-proxy", env).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("OK: \"d\""), "{no_proxy}: {said}");
        assert_eq!(network.connects().len() - before, connects, "{no_proxy}");
    }
}

/// Entra ID itself: a token for an application that has a secret.
async fn entra(token: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let body =
        json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}).to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("client_secret=canary-secret") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            // The program may have ended.
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    addr
}

#[actix_web::test]
async fn tokens_of_entra_take_the_same_way() {
    let simulator = simulator(Some("canary-token")).await;
    let network = Network::new(addr(&simulator)).await;
    let directory = Scratch::new("entra");
    let ca = Ca::new(directory.path());
    let issued = ca.issue("login", "DNS:login.test");
    let login = TlsFront::start(&issued, entra("canary-token").await).await;
    // Both authorities in one file.
    let both = directory.path().join("both.pem");
    let text = [network.ca(), ca.file()].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&both, text.concat()).unwrap();
    let authority = format!("https://login.test:{}", login.port());
    let env = network.environment(&[
        ("AZURE_OPENAI_API_KEY", ""),
        ("AZURE_OPENAI_CA_FILE", both.to_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", &authority),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "canary-secret"),
    ]);
    let output = check("proxy-entra", env).await;
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        said.starts_with("OK: \"d\""),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let expected = [login.port(), network.azure.port()]
        .into_iter()
        .zip(["login", "azure"])
        .map(|(port, name)| format!("CONNECT {name}.test:{port} HTTP/1.1"));
    assert_eq!(network.connects(), expected.collect::<Vec<_>>());
    assert_eq!(requests(&simulator.journal().records()).len(), 1);
}

#[actix_web::test]
async fn a_proxy_that_refuses_entra_is_told_with_its_remedy() {
    let network = Network::new(NOWHERE).await;
    let refusing = Tinyproxy::that_refuses().await;
    let env = network.environment(&[
        ("AZURE_OPENAI_API_KEY", ""),
        ("HTTPS_PROXY", &format!("http://{}", refusing.addr())),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "canary-secret"),
    ]);
    let error = refusal(&check("proxy-entra-refused", env).await);
    let because = "the client secret (AZURE_CLIENT_SECRET) failed (CONNECT through the proxy: status=403): \
        the proxy's rules do not permit this host: have the proxy allow CONNECT to it";
    assert!(error.contains(because), "{error}");
    assert!(!error.contains("canary"), "{error}");
}

#[actix_web::test]
async fn a_proxy_that_forwards_demands_its_credentials() {
    let network = Network::new(NOWHERE).await;
    let env = network.environment(&[
        ("AZURE_OPENAI_ENDPOINT", "http://azure.test:1"),
        ("HTTP_PROXY", &format!("http://{}", network.proxy.addr())),
        ("ALLOW_PLAIN_HTTP", "true"),
    ]);
    let error = refusal(&check("proxy-plain", env).await);
    let remedy = "the proxy demands a user name and a password";
    assert!(
        error.contains(remedy) && error.contains("[status=407"),
        "{error}"
    );
}

#[actix_web::test]
async fn check_tells_each_fault_of_a_proxy_apart() {
    let simulator = simulator(None).await;
    let network = Network::new(addr(&simulator)).await;
    let refusing = Tinyproxy::that_refuses().await;
    let [wrong, none] =
        ["user:canary-other@", ""].map(|login| format!("http://{login}{}", network.proxy.addr()));
    let refusing = format!("http://{}", refusing.addr());
    let no_proxy = format!("http://127.0.0.1:{}", network.azure.port());
    let (right, endpoint) = (network.proxy.url(), network.endpoint());
    let unknown = "https://canary.test";
    for (endpoint, proxy, cause, remedy) in [
        (
            endpoint.as_str(),
            wrong.as_str(),
            "[CONNECT through the proxy: status=401]",
            "set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
        ),
        (
            &endpoint,
            &none,
            "[CONNECT through the proxy: status=407]",
            "the proxy demands a user name and a password",
        ),
        (
            &endpoint,
            &refusing,
            "[CONNECT through the proxy: status=403]",
            "have the proxy allow CONNECT to it, or add the host to NO_PROXY",
        ),
        (
            unknown,
            &right,
            "[CONNECT through the proxy: status=500]",
            "the proxy does not reach the host: check the spelling of its name",
        ),
        (
            &endpoint,
            "http://user:canary-word@127.0.0.1:1",
            "[connect to the proxy: Connection refused (os error 111)]",
            "the proxy cannot be reached: check HTTPS_PROXY",
        ),
        (
            &endpoint,
            "http://no-such-proxy.invalid:3128",
            "[name resolution of the proxy: ",
            "the proxy cannot be reached: check HTTPS_PROXY",
        ),
        (
            &endpoint,
            &no_proxy,
            "[CONNECT through the proxy: ",
            "no HTTP proxy responds at the proxy's address",
        ),
    ] {
        let env =
            network.environment(&[("AZURE_OPENAI_ENDPOINT", endpoint), ("HTTPS_PROXY", proxy)]);
        let error = refusal(&check("proxy-faults", env).await);
        assert!(error.contains(cause), "{cause}: {error}");
        assert!(error.contains(remedy), "{remedy}: {error}");
        let shown = error.replace("\"d\" at https://canary.test:", "");
        assert!(!shown.contains("canary"), "{error}");
    }
}

#[actix_web::test]
async fn no_log_shows_the_password_of_a_proxy() {
    // As it is sent, too.
    let encoded = ["dXNlcjpjYW5hcnktd29yZA", "dXNlcjpjYW5hcnktb3RoZXI"];
    let simulator = simulator(None).await;
    let network = Network::new(addr(&simulator)).await;
    for login in ["user:canary-word", "user:canary-other"] {
        let proxy = format!("http://{login}@{}", network.proxy.addr());
        let env = network.environment(&[("HTTPS_PROXY", &proxy), ("RUST_LOG", "trace")]);
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let serving = Serving::start("proxy-log", &env);
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream"),
        ];
        let body = Some(r#"{"prompt":"river"}"#);
        let response = client::send(serving.addr, "POST", "/v1/replies", &headers, body);
        let mut response = soon("the response", response).await;
        let end = proven(&response.rest().await).clone();
        let completed = login == "user:canary-word";
        assert_eq!(end["status"] == "completed", completed, "{end}");
        serving.signal("-TERM");
        let (_, log) = serving.finish();
        let cause = "CONNECT through the proxy: status=401";
        assert_eq!(log.contains(cause), !completed, "{log}");
        assert!(!log.contains("canary"), "{log}");
        assert!(!encoded.iter().any(|text| log.contains(text)), "{log}");
        let address = format!("http://{}", network.proxy.addr());
        assert!(log.contains(&address), "the log names the proxy: {log}");
    }
}
