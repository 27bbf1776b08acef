//! The nginx configuration that is shipped, run by a real nginx with three replicas behind it. What differs
//! from the shipped files is addresses and where nginx writes, in one list: `replaced`.

mod passing;
mod several;
mod source;
mod wrong;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use awc::{Client, Connector};
use rasta_stream::simulator::{Options, Pace, Simulator, Steps};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::support::{
    certificates::make_certificates,
    client,
    replica::{Replica, Scratch},
};

/// The upstream frames before the first delta: the filter's results for the prompt, and the role.
const OPENING: usize = 2;
/// All frames that are left.
const REST: usize = usize::MAX;
const STREAM: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "text/event-stream"),
];
const PROMPT: &str = r#"{"prompt":"river"}"#;

/// How long nginx gets to end before it is asked again. Asked without a pause it does nothing else.
const ASKED_AGAIN: Duration = Duration::from_millis(50);

/// A running nginx.
struct Nginx {
    child: Child,
    http: SocketAddr,
    tls: SocketAddr,
    directory: Scratch,
}

impl Nginx {
    fn start(replicas: [SocketAddr; 3]) -> Self {
        let directory = Scratch::new("nginx");
        let path = directory.path();
        fs::create_dir(path.join("tls")).unwrap();
        // Bound here and passed on, so that no other process can take the port in between.
        let listeners = [(), ()].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        });
        let [http, tls] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap());
        let place = path.to_str().unwrap();
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
            fs::write(path.join(folder).join(file), text).unwrap();
        }
        make_certificates(path);
        for (from, to) in [("server.pem", "tls.crt"), ("server.key", "tls.key")] {
            fs::rename(path.join(from), path.join("tls").join(to)).unwrap();
        }
        let errors = fs::File::create(path.join("error.log")).unwrap();
        let [at_stdin, at_stdout] = listeners.map(|listener| Stdio::from(OwnedFd::from(listener)));
        let child = Command::new("nginx")
            .args(["-g", "daemon off;", "-c"])
            .arg(path.join("nginx.conf"))
            // The descriptors to listen on. nginx has this for a process that replaces another.
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

    /// A client that speaks HTTP/2 over TLS, and trusts the CA of this nginx alone.
    fn http_2(&self) -> Client {
        let mut roots = RootCertStore::empty();
        let certificate = self.directory.path().join("ca.pem");
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
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap();
        (read("access.log"), read("error.log"))
    }

    fn end(&mut self) {
        end(&mut self.child);
    }
}

/// Ends the first process of an nginx, and with it the others.
fn end(child: &mut Child) {
    let pid = child.id().to_string();
    // Killed outright, the first process would leave the others behind; and it misses a signal that
    // comes while it starts.
    while matches!(child.try_wait(), Ok(None)) {
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        std::thread::sleep(ASKED_AGAIN);
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
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

async fn replica(simulator: &Simulator, more: &[(&str, &str)]) -> Replica {
    let url = simulator.url();
    let mut env = vec![
        ("AZURE_OPENAI_ENDPOINT", url.as_str()),
        ("AZURE_OPENAI_DEPLOYMENT", "any"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("WORKERS", "1"),
    ];
    env.extend(more);
    Replica::start(&env).await
}

/// Starts a reply; gives its path.
async fn start(addr: SocketAddr) -> String {
    let response = client::send(addr, "POST", "/v1/replies", &STREAM[..1], Some(PROMPT)).await;
    assert_eq!(response.status, 201);
    response.header("location").unwrap().to_owned()
}
