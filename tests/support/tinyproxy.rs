//! A real forward proxy, Debian's tinyproxy, that knows names of its own: on a free loopback port, ended on
//! drop.

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::{redis::free_port, replica::Scratch};

/// The names that the proxy knows, all of which are this machine.
pub const NAMES: [&str; 3] = ["azure.test", "login.test", "proxy.test"];

/// A running proxy.
pub struct Tinyproxy {
    child: Child,
    addr: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    directory: Scratch,
}

impl Tinyproxy {
    /// A proxy that demands a user name and a password, `user` and `canary-word`.
    pub async fn start() -> Self {
        Self::start_with("BasicAuth user canary-word\n").await
    }

    /// A proxy that lets no request pass.
    pub async fn that_refuses() -> Self {
        Self::start_with("FilterDefaultDeny Yes\nFilter \"filter\"\n").await
    }

    async fn start_with(rules: &str) -> Self {
        let directory = Scratch::new("tinyproxy");
        let hosts = NAMES.map(|name| format!("127.0.0.1 {name}\n")).concat();
        std::fs::write(directory.path().join("hosts"), hosts).unwrap();
        std::fs::write(directory.path().join("filter"), "").unwrap();
        // Another process may take a port between the choice and the bind: then another is chosen.
        for _ in 0..10 {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let port = addr.port();
            let config = format!("Listen 127.0.0.1\nPort {port}\nLogLevel Connect\n{rules}");
            std::fs::write(directory.path().join("config"), config).unwrap();
            let mut command = Command::new("tinyproxy");
            command
                .args(["-d", "-c", "config"])
                .current_dir(directory.path());
            command.envs(resolver(&directory)).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap_or_else(|error| {
                panic!("tinyproxy cannot be started ({error}): install Debian's package tinyproxy")
            });
            let log = Arc::new(Mutex::new(Vec::new()));
            let (output, lines) = (child.stdout.take().unwrap(), Arc::clone(&log));
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    lines.lock().push(line);
                }
            });
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(addr).is_ok() {
                    return Self {
                        child,
                        addr,
                        log,
                        directory,
                    };
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        panic!("tinyproxy did not start");
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The setting, with the right credentials.
    pub fn url(&self) -> String {
        format!("http://user:canary-word@{}", self.addr)
    }

    /// The environment of a program that is to know the names, too.
    pub fn names(&self) -> [(String, String); 2] {
        resolver(&self.directory)
    }

    /// The request lines that have come in.
    pub fn requests(&self) -> Vec<String> {
        let log = self.log.lock();
        let lines = log.iter().filter(|line| line.contains("Request (file"));
        let lines = lines.filter_map(|line| line.split_once("): ").map(|(_, line)| line));
        lines.map(str::to_owned).collect()
    }

    /// Ends it, with all tunnels.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What makes a process look names up in a file of the directory first.
fn resolver(directory: &Scratch) -> [(String, String); 2] {
    let hosts = directory.path().join("hosts").to_str().unwrap().to_owned();
    [
        ("LD_PRELOAD".to_owned(), "libnss_wrapper.so".to_owned()),
        ("NSS_WRAPPER_HOSTS".to_owned(), hosts),
    ]
}
