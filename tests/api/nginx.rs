//! The nginx configuration that is shipped, run by a real nginx with three replicas behind it. What differs
//! from the shipped files is addresses and where nginx writes, in one list: `replaced`.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
};

use awc::{Client, ClientResponse, Connector, http::Version};
use futures_util::StreamExt as _;
use rasta_stream::simulator::{Options, Pace, Simulator, Steps};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::{
    app::spawn_canned,
    client::{self, Event, blocks, proven, soon},
    program::Serving,
};

/// The frames of upstream's before the first delta: the verdict on the prompt, and the role.
const OPENING: usize = 2;
/// All frames that are left.
const REST: usize = usize::MAX;
const STREAM: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "text/event-stream"),
];
const PROMPT: &str = r#"{"prompt":"river"}"#;

/// A running nginx.
struct Nginx {
    child: Child,
    http: SocketAddr,
    tls: SocketAddr,
    directory: PathBuf,
}

impl Nginx {
    fn start(name: &str, replicas: [SocketAddr; 3]) -> Self {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("tls")).unwrap();
        // Bound here and handed over, so that nobody else can take the port in between.
        let listeners = [(), ()].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        });
        let [http, tls] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap());
        let place = directory.to_str().unwrap();
        let [first, second, third] = replicas.map(|addr| addr.to_string());
        let replaced = [
            ("nginx.conf", "/tmp/", format!("{place}/")),
            ("nginx.conf", "/dev/stdout", format!("{place}/access.log")),
            ("nginx.conf", "listen 8080", format!("listen {http}")),
            ("tls.conf", "listen 8443", format!("listen {tls}")),
            ("replicas.conf", "172.31.213.11:8080", first),
            ("replicas.conf", "172.31.213.12:8080", second),
            ("replicas.conf", "172.31.213.13:8080", third),
        ];
        for file in ["nginx.conf", "replicas.conf", "site.conf", "tls.conf"] {
            let mut text = shipped(&format!("nginx/{file}"));
            for (_, from, to) in replaced.iter().filter(|(of, ..)| *of == file) {
                assert!(text.contains(from), "{file} has no {from}");
                text = text.replace(from, to);
            }
            let folder = if file == "tls.conf" { "tls" } else { "." };
            fs::write(directory.join(folder).join(file), text).unwrap();
        }
        certify(&directory.join("tls"));
        let errors = fs::File::create(directory.join("error.log")).unwrap();
        let [at_stdin, at_stdout] = listeners.map(|listener| Stdio::from(OwnedFd::from(listener)));
        let child = Command::new("nginx")
            .args(["-g", "daemon off;", "-c"])
            .arg(directory.join("nginx.conf"))
            // The descriptors that it shall listen on; meant for an nginx that replaces another.
            .env("NGINX", "0;1;")
            .stdin(at_stdin)
            .stdout(at_stdout)
            .stderr(errors)
            .spawn()
            .expect("nginx is installed: apt-get install nginx-light");
        Self {
            child,
            http,
            tls,
            directory,
        }
    }

    /// A connection over HTTP/2 and TLS, by the certificate that this nginx has.
    fn http_2(&self) -> Client {
        let mut roots = RootCertStore::empty();
        let certificate = self.directory.join("tls/tls.crt");
        roots
            .add(CertificateDer::from_pem_file(certificate).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Client::builder()
            .connector(Connector::new().rustls_0_23(Arc::new(config)))
            .disable_timeout()
            .finish()
    }

    /// Ends nginx; gives what it has logged of requests, and else.
    fn finish(mut self) -> (String, String) {
        self.end();
        let read = |name| fs::read_to_string(self.directory.join(name)).unwrap();
        (read("access.log"), read("error.log"))
    }

    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Killed outright, the first process would leave the others behind.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
        // What is left behind lies in the build directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// Makes a certificate for 127.0.0.1 and its key.
fn certify(directory: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-out", "tls.crt", "-keyout", "tls.key"])
        .current_dir(directory)
        .output()
        .expect("openssl is installed: apt-get install openssl");
    assert!(output.status.success(), "{output:?}");
}

/// A simulator whose every frame waits for its release.
async fn stepped() -> (Simulator, Steps) {
    let steps = Steps::new();
    let options = Options {
        pace: Pace::Stepped(steps.clone()),
        ..Options::default()
    };
    (Simulator::start(options).await.unwrap(), steps)
}

fn replica(name: &str, simulator: &Simulator, more: &[(&str, &str)]) -> Serving {
    let url = simulator.url();
    let mut env = vec![
        ("AZURE_OPENAI_ENDPOINT", url.as_str()),
        ("AZURE_OPENAI_DEPLOYMENT", "any"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("WORKERS", "1"),
    ];
    env.extend(more);
    Serving::start(name, &env)
}

/// An address that refuses connections for as long as the socket is held.
fn dead() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// A replica that takes a request and goes away without an answer.
async fn dying() -> (SocketAddr, &'static std::sync::atomic::AtomicUsize) {
    spawn_canned(Vec::new()).await
}

/// What an `EventSource` does: it reads, and where it is cut off it comes again with its cursor.
struct Source {
    client: Client,
    url: String,
    body: Option<ClientResponse>,
    bytes: Vec<u8>,
    events: Vec<Event>,
    connections: usize,
}

impl Source {
    fn new(client: Client, url: String) -> Self {
        Self {
            client,
            url,
            body: None,
            bytes: Vec::new(),
            events: Vec::new(),
            connections: 0,
        }
    }

    async fn connect(&mut self) {
        let cursor = self.events.last().map_or(0, |event| event.id).to_string();
        let request = self.client.get(&self.url).insert_header(("Last-Event-ID", cursor));
        let response = soon("an answer", request.send()).await.unwrap();
        // Anything else ends an `EventSource` for good.
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "text/event-stream; charset=utf-8"
        );
        self.bytes.clear();
        self.connections += 1;
        self.body = Some(response);
    }

    /// Waits for one more event; false after the last one.
    async fn next(&mut self) -> bool {
        loop {
            if self.events.last().is_some_and(|event| event.name == "end") {
                return false;
            }
            if let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                let block = String::from_utf8(self.bytes.drain(..end + 2).collect()).unwrap();
                // A `retry:` line alone comes where no replica could be reached.
                if block.contains("data: ") {
                    let event = Event::parse(&block);
                    if !event.is_ping() {
                        self.events.push(event);
                        return true;
                    }
                }
                continue;
            }
            let Some(body) = &mut self.body else {
                self.connect().await;
                continue;
            };
            match soon("more events", body.next()).await {
                Some(Ok(bytes)) => self.bytes.extend_from_slice(&bytes),
                Some(Err(_)) | None => self.body = None,
            }
        }
    }

    async fn rest(&mut self) {
        while self.next().await {}
    }
}

/// Each release of a delta must bring its event before the next one is released.
async fn comes_one_by_one(source: &mut Source, steps: &Steps) {
    assert!(source.next().await);
    assert_eq!(source.events[0].name, "start");
    steps.release(OPENING);
    for _ in 0..10 {
        steps.release(1);
        assert!(source.next().await);
        assert_eq!(source.events.last().unwrap().name, "delta");
    }
    steps.release(REST);
    source.rest().await;
    assert_eq!(proven(&source.events)["status"], "completed");
    assert_eq!(source.connections, 1);
}

async fn start(addr: SocketAddr) -> String {
    let response = client::send(addr, "POST", "/v1/replies", &STREAM[..1], Some(PROMPT)).await;
    assert_eq!(response.status, 201);
    response.header("location").unwrap().to_owned()
}

#[actix_web::test]
async fn events_pass_nginx_one_by_one() {
    let (simulator, steps) = stepped().await;
    let one = replica("nginx-one", &simulator, &[]);
    let nginx = Nginx::start("nginx-http", [one.addr; 3]);
    let path = start(nginx.http).await;
    let url = format!("http://{}{path}/events", nginx.http);
    let mut source = Source::new(Client::builder().disable_timeout().finish(), url);
    comes_one_by_one(&mut source, &steps).await;
    assert_eq!(source.body.unwrap().version(), Version::HTTP_11);
}

#[actix_web::test]
async fn over_http_2_events_pass_nginx_one_by_one() {
    let (simulator, steps) = stepped().await;
    let one = replica("nginx-two", &simulator, &[]);
    let nginx = Nginx::start("nginx-tls", [one.addr; 3]);
    let path = start(nginx.http).await;
    let url = format!("https://{}{path}/events", nginx.tls);
    let mut source = Source::new(nginx.http_2(), url);
    comes_one_by_one(&mut source, &steps).await;
    assert_eq!(source.body.unwrap().version(), Version::HTTP_2);
}

#[actix_web::test]
async fn a_reply_in_the_answer_to_its_post_passes_nginx_with_its_headers() {
    let (simulator, steps) = stepped().await;
    let one = replica("nginx-headers", &simulator, &[]);
    let nginx = Nginx::start("nginx-post", [one.addr; 3]);
    let post = async |addr| client::send(addr, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    let mut behind = post(nginx.http).await;
    let direct = post(one.addr).await;
    let theirs = |response: &client::Response| {
        // These are of one connection, or of one reply.
        let own = ["connection", "keep-alive", "server", "date", "location"];
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| !own.contains(&name.as_str()));
        headers.sort();
        headers
    };
    assert_eq!(theirs(&behind), theirs(&direct));
    assert_eq!(behind.header("x-accel-buffering"), Some("no"));
    assert_eq!(behind.next().await.unwrap().name, "start");
    steps.release(REST);
    while behind.next().await.is_some() {}
}

#[actix_web::test]
async fn a_replica_that_refuses_connections_costs_no_request() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica("nginx-live", &simulator, &[]);
    let (held, gone) = dead();
    let (held_too, gone_too) = dead();
    let nginx = Nginx::start("nginx-dead", [gone, gone_too, one.addr]);
    for _ in 0..6 {
        let path = start(nginx.http).await;
        let snapshot = client::send(nginx.http, "GET", &path, &[], None).await;
        assert_eq!(snapshot.status, 200);
        let stopped = client::send(nginx.http, "DELETE", &path, &[], None).await;
        assert_eq!(stopped.status, 202);
    }
    drop((held, held_too));
}

#[actix_web::test]
async fn a_post_that_a_replica_has_taken_is_never_repeated_and_a_get_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica("nginx-taken", &simulator, &[]);
    let path = start(one.addr).await;
    let (first, first_count) = dying().await;
    let (second, second_count) = dying().await;
    let asked = || first_count.load(Ordering::SeqCst) + second_count.load(Ordering::SeqCst);

    let nginx = Nginx::start("nginx-posts", [first, second, first]);
    let post = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    assert_eq!((post.status, asked()), (502, 1));

    let nginx = Nginx::start("nginx-gets", [first, second, one.addr]);
    for _ in 0..3 {
        let get = client::send(nginx.http, "GET", &path, &[], None).await;
        assert_eq!(get.status, 200);
    }
    assert!(asked() > 1, "a GET did meet a replica that died");
}

#[actix_web::test]
async fn a_new_reply_that_a_stopping_replica_refuses_is_started_by_another() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica("nginx-another", &simulator, &[]);
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Content-Type: application/problem+json\r\nContent-Length: 19\r\n\r\n{\"code\":\"draining\"}";
    let (stopping, count) = spawn_canned(refusal.to_vec()).await;
    let nginx = Nginx::start("nginx-stopping", [stopping, one.addr, one.addr]);
    for _ in 0..6 {
        start(nginx.http).await;
    }
    assert!(count.load(Ordering::SeqCst) > 0, "it was asked");

    // If all refuse, the caller learns why and when to come again.
    let nginx = Nginx::start("nginx-all-stop", [stopping; 3]);
    let post = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    assert_eq!((post.status, post.header("retry-after")), (503, Some("1")));
    assert_eq!(post.json().await, json!({"code": "draining"}));
}

#[actix_web::test]
async fn without_any_replica_an_event_source_is_told_to_come_again() {
    let (held, gone) = dead();
    let nginx = Nginx::start("nginx-none", [gone; 3]);
    let path = "/v1/replies/00000000-0000-4000-8000-000000000000";
    let events = format!("{path}/events");
    let answer = client::send(nginx.http, "GET", &events, &[], None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-transform"));
    let text = answer.text().await;
    let retry: u32 = text
        .strip_prefix("retry: ")
        .and_then(|rest| rest.strip_suffix("\n\n"))
        .unwrap()
        .parse()
        .unwrap();
    assert!((1000..=4000).contains(&retry));
    for (method, path, body) in [("GET", path, None), ("POST", "/v1/replies", Some(PROMPT))] {
        let answer = client::send(nginx.http, method, path, &STREAM, body).await;
        assert_eq!(answer.status, 502);
    }
    drop(held);
}

#[actix_web::test]
async fn a_body_above_the_limit_is_refused_by_the_program() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica("nginx-large", &simulator, &[]);
    let nginx = Nginx::start("nginx-limit", [one.addr; 3]);
    let body = " ".repeat(256 * 1024 + 1);
    let answer = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(&body)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json().await["code"], "too_large");
}

#[actix_web::test]
async fn nginx_logs_neither_a_whole_id_nor_a_query() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica("nginx-logs", &simulator, &[]);
    let (held, gone) = dead();
    let nginx = Nginx::start("nginx-log", [gone, one.addr, gone]);
    let path = start(nginx.http).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    for path in [
        path.clone(),
        format!("{path}?secret=canary"),
        format!("{path}/canary?secret=canary"),
        format!("/?{path}"),
    ] {
        client::send(nginx.http, "GET", &path, &[], None).await.text().await;
    }
    client::send(nginx.http, "DELETE", &path, &[], None).await;
    let (access, errors) = nginx.finish();
    assert_eq!(access.lines().count(), 6, "{access}");
    assert!(access.contains(&format!(" GET /v1/replies/{}* ", &id[..8])), "{access}");
    assert!(access.contains(&gone.to_string()), "who failed is told: {access}");
    for log in [access, errors] {
        assert!(!log.contains(&id[..9]), "{log}");
        assert!(!log.contains("secret"), "{log}");
    }
    drop(held);
}
