//! A real `redis-server` of a test's own: on a free loopback port, without persistence, ended on drop.
//!
//! A command is sent over a connection of its own by a client of this file, so that what a test does
//! to the server's connections never meets the program's client library.

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader},
    net::TcpStream,
};

use super::{certificates::make_certificates, client::soon, replica::Scratch};

/// How a [`Redis`] differs from the plain one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// A user besides the default one, by name, password and ACL rules; the default one is then off.
    pub user: Option<(&'a str, &'a str, &'a str)>,
    /// Whether there is a second port that speaks TLS, with a certificate of a CA of its own.
    pub tls: bool,
    /// Further arguments, as `redis-server` takes them.
    pub more: &'a [&'a str],
}

/// A running `redis-server`.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    tls_port: Option<u16>,
    login: Option<(String, String)>,
    args: Vec<String>,
    directory: Scratch,
}

/// What Redis answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Answer>),
    Error(String),
}

impl Redis {
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup<'_>) -> Self {
        let directory = Scratch::new("redis");
        let mut args: Vec<String> = setup.more.iter().map(|&arg| arg.to_owned()).collect();
        if let Some((name, password, rules)) = setup.user {
            let rules = rules.split(' ').map(str::to_owned);
            args.extend(["--user", "default", "off"].map(str::to_owned));
            args.extend(["--user", name, "on", &format!(">{password}")].map(str::to_owned));
            args.extend(rules);
        }
        if setup.tls {
            make_certificates(directory.path());
            let files = [
                ("--tls-ca-cert-file", "ca.pem"),
                ("--tls-cert-file", "server.pem"),
                ("--tls-key-file", "server.key"),
            ];
            args.extend(files.iter().flat_map(|(flag, file)| {
                let file = directory.path().join(file);
                [(*flag).to_owned(), file.to_str().unwrap().to_owned()]
            }));
            args.extend(["--tls-auth-clients", "no"].map(str::to_owned));
        }
        let login = setup
            .user
            .map(|(name, password, _)| (name.to_owned(), password.to_owned()));
        // Another process may take a port between the choice and the bind: then another is chosen.
        for _ in 0..10 {
            let (port, tls_port) = (free_port(), setup.tls.then(free_port));
            if let Some(child) = launch(directory.path(), port, tls_port, &args).await {
                return Self {
                    child: Some(child),
                    port,
                    tls_port,
                    login,
                    args,
                    directory,
                };
            }
        }
        panic!("redis-server did not start: what it said is above");
    }

    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The setting for a program that comes directly.
    pub fn url(&self) -> String {
        self.url_at(self.addr())
    }

    /// The setting for a program that comes through something else.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        match &self.login {
            Some((name, password)) => format!("redis://{name}:{password}@{addr}"),
            None => format!("redis://{addr}"),
        }
    }

    /// The setting for TLS, and the file of the CA.
    pub fn tls(&self) -> (String, PathBuf) {
        let port = self.tls_port.expect("started without TLS");
        let login = self.login.as_ref();
        let login = login.map_or(String::new(), |(name, password)| {
            format!("{name}:{password}@")
        });
        let url = format!("rediss://{login}localhost:{port}");
        (url, self.directory.path().join("ca.pem"))
    }

    /// Ends it as a power cut would: with all that it holds.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same port, empty.
    pub async fn restart(&mut self) {
        self.kill();
        let started = launch(self.directory.path(), self.port, self.tls_port, &self.args).await;
        self.child = Some(started.expect("redis-server takes its own port again"));
    }

    /// Sends a command; an error that Redis answers fails the test.
    pub async fn command(&self, words: &[&str]) -> Answer {
        let answer = self.try_command(words).await.unwrap();
        assert!(!matches!(answer, Answer::Error(_)), "{words:?}: {answer:?}");
        answer
    }

    /// Sends a command on a new connection.
    ///
    /// # Errors
    ///
    /// No server answers.
    pub async fn try_command(&self, words: &[&str]) -> std::io::Result<Answer> {
        let exchange = async {
            let mut connection = Connection::open(self.addr()).await?;
            if let Some((name, password)) = &self.login {
                connection.say(&["AUTH", name, password]).await?;
            }
            connection.say(words).await
        };
        soon("an answer of Redis", exchange).await
    }

    /// Makes it a copy of another one, and waits until it is.
    pub async fn follow(&self, other: &Self) {
        let port = other.port.to_string();
        self.command(&["REPLICAOF", "127.0.0.1", &port]).await;
        let linked = async {
            while !self
                .info("replication")
                .await
                .contains("master_link_status:up")
            {
                tokio::task::yield_now().await;
            }
        };
        soon("the copy to be in step", linked).await;
    }

    /// Makes a copy a server of its own, with what it holds by then.
    pub async fn promote(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]).await;
    }

    pub async fn info(&self, section: &str) -> String {
        match self.command(&["INFO", section]).await {
            Answer::Text(text) => text,
            other => panic!("INFO answered {other:?}"),
        }
    }
}

impl Redis {
    /// How often it was sent a command since it started, or since `CONFIG RESETSTAT`.
    pub async fn calls(&self, command: &str) -> u64 {
        let stats = self.info("commandstats").await;
        let prefix = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&prefix));
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port on which no process listens at this moment.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts the process and waits until it serves; `None` if it ended instead.
async fn launch(
    directory: &Path,
    port: u16,
    tls_port: Option<u16>,
    args: &[String],
) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    // A copy gets its master's data at once, not after five seconds of waiting for a second copy.
    command.args([
        "--repl-diskless-sync-delay",
        "0",
        "--enable-debug-command",
        "yes",
    ]);
    command.args(
        tls_port
            .map(|port| format!("--tls-port={port}"))
            .iter()
            .flat_map(|flag| flag.split('=')),
    );
    command.arg("--dir").arg(directory).args(args);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("redis-server cannot be started ({error}): install Debian's package redis-server")
    });
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let ready = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let mut said = String::new();
        while log.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.contains("Ready to accept connections") {
                // Read on for as long as it lives, or it would block on a full pipe one day.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return true;
            }
            said.push_str(&line);
            line.clear();
        }
        println!("{said}");
        false
    });
    if soon("redis-server to be ready", ready).await.unwrap() {
        return Some(child);
    }
    child.wait().unwrap();
    None
}

/// A connection to any server of the Redis protocol, in its second version.
pub struct Connection(AsyncReader<TcpStream>);

impl Connection {
    /// # Errors
    ///
    /// No process listens there.
    pub async fn open(addr: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(AsyncReader::new(TcpStream::connect(addr).await?)))
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn say(&mut self, words: &[&str]) -> std::io::Result<Answer> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.0.write_all(&bytes).await?;
        self.hear().await
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn hear(&mut self) -> std::io::Result<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        Ok(match (kind, rest) {
            ("+", text) => Answer::Text(text.to_owned()),
            ("-", text) => Answer::Error(text.to_owned()),
            (":", number) => Answer::Number(number.parse().unwrap()),
            ("$" | "*", "-1") => Answer::Nothing,
            ("$", length) => {
                let mut bytes = vec![0; length.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Answer::Text(String::from_utf8(bytes).unwrap())
            }
            ("*", length) => {
                let mut list = Vec::new();
                for _ in 0..length.parse::<usize>().unwrap() {
                    list.push(Box::pin(self.hear()).await?);
                }
                Answer::List(list)
            }
            _ => panic!("no answer of Redis': {line:?}"),
        })
    }
}

#[actix_web::test]
async fn a_server_of_its_own_answers_and_is_empty_after_a_restart() {
    let mut redis = Redis::start().await;
    redis.command(&["SET", "key", "värde"]).await;
    let key = redis.command(&["GET", "key"]).await;
    assert_eq!(key, Answer::Text("värde".to_owned()));
    redis.kill();
    assert!(redis.try_command(&["PING"]).await.is_err());
    redis.restart().await;
    assert_eq!(redis.command(&["GET", "key"]).await, Answer::Nothing);
    assert_eq!(redis.command(&["DBSIZE"]).await, Answer::Number(0));
}

#[actix_web::test]
async fn a_copy_that_is_promoted_holds_what_it_had() {
    let (first, second) = (Redis::start().await, Redis::start().await);
    first.command(&["RPUSH", "list", "a", "b"]).await;
    second.follow(&first).await;
    second.promote().await;
    first.command(&["RPUSH", "list", "c"]).await;
    let list = second.command(&["LRANGE", "list", "0", "-1"]).await;
    let letters = ["a", "b"].map(|letter| Answer::Text(letter.to_owned()));
    assert_eq!(list, Answer::List(letters.to_vec()));
}

#[actix_web::test]
async fn a_user_may_do_what_its_rules_say_and_the_default_one_nothing() {
    let redis = Redis::start_with(Setup {
        user: Some(("rasta", "secret", "~rasta:* &rasta:* +@all -@dangerous")),
        ..Setup::default()
    })
    .await;
    redis.command(&["SET", "rasta:key", "1"]).await;
    let other = redis.try_command(&["SET", "other", "1"]).await.unwrap();
    assert!(matches!(other, Answer::Error(text) if text.starts_with("NOPERM")));
    assert!(redis.url().starts_with("redis://rasta:secret@127.0.0.1:"));
    let mut stranger = Connection::open(redis.addr()).await.unwrap();
    let refused = stranger.say(&["PING"]).await.unwrap();
    assert!(matches!(refused, Answer::Error(text) if text.starts_with("NOAUTH")));
}

#[actix_web::test]
async fn tls_is_spoken_with_a_certificate_of_its_own_ca() {
    let redis = Redis::start_with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let (url, ca) = redis.tls();
    let ask = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("redis-cli");
        command.args(["-u", &url, "--cacert"]).arg(&ca).arg("PING");
        command.output().unwrap()
    });
    let output = soon("redis-cli", ask).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "PONG",
        "{output:?}"
    );
}
