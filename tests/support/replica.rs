//! The program itself as a process of its own: killed, stopped, frozen, and started again.
//!
//! Its log is kept from the first line to the last, so that a test can look for what must not stand
//! there.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{client::soon, limits::UNLIMITED};

/// A new directory in the build directory, removed on drop.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the build directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a process ended: by an exit code or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

/// A replica. Dropping it kills it.
pub struct Replica {
    addr: SocketAddr,
    settings: Vec<(String, String)>,
    directory: Scratch,
    log: Arc<Mutex<String>>,
    process: Process,
}

struct Process {
    pid: String,
    ended: watch::Receiver<Option<Ended>>,
    keeper: Option<JoinHandle<()>>,
}

impl Replica {
    /// Starts the program with nothing but these settings, and waits until it listens.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self::begin(settings, 0, Scratch::new("replica"), Arc::default()).await
    }

    async fn begin(
        settings: Vec<(String, String)>,
        port: u16,
        directory: Scratch,
        log: Arc<Mutex<String>>,
    ) -> Self {
        // Measurements want a release build, whatever the tests themselves are.
        let program = std::env::var_os("REPLICA_PROGRAM");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_rasta-stream").into());
        let mut command = Command::new(program);
        command.current_dir(directory.path()).env_clear();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
        command
            .env("STATIC_DIR", page)
            .env("PORT", port.to_string());
        command.envs(UNLIMITED);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = child.id().to_string();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (port_sender, mut port) = watch::channel(None);
        let (ended_sender, ended) = watch::channel(None);
        let kept = Arc::clone(&log);
        let keeper = std::thread::spawn(move || {
            let mut line = Vec::new();
            while lines
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line);
                if let Some(port) = listening_port(&text) {
                    port_sender.send_replace(Some(port));
                }
                kept.lock().push_str(&text);
                line.clear();
            }
            let status = child.wait().unwrap();
            let signal = || Ended::Signal(status.signal().unwrap_or_default());
            ended_sender.send_replace(Some(status.code().map_or_else(signal, Ended::Code)));
        });
        let process = Process {
            pid,
            ended,
            keeper: Some(keeper),
        };
        let port = soon("the program to listen", port.wait_for(Option::is_some)).await;
        let port = *port.unwrap_or_else(|_| panic!("the program ended:\n{}", log.lock()));
        Self {
            addr: ([127, 0, 0, 1], port.unwrap()).into(),
            settings,
            directory,
            log,
            process,
        }
    }

    /// Starts another one like it.
    pub async fn twin(&self) -> Self {
        let settings = self.settings.clone();
        Self::begin(settings, 0, Scratch::new("replica"), Arc::default()).await
    }

    /// Starts it again, where it was and as it was, after it has ended.
    pub async fn restart(self) -> Self {
        assert!(self.process.has_ended(), "it still runs");
        let Self {
            addr,
            settings,
            directory,
            log,
            process: _,
        } = self;
        Self::begin(settings, addr.port(), directory, log).await
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its directory under `/proc`.
    pub fn proc(&self) -> PathBuf {
        Path::new("/proc").join(&self.process.pid)
    }

    /// All that it has logged, over all its lives.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.process.signal("-KILL");
    }

    /// What an orchestrator sends first.
    pub fn terminate(&self) {
        self.process.signal("-TERM");
    }

    /// Lets it stand still, with all its connections open.
    pub fn freeze(&self) {
        self.process.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal("-CONT");
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.process.ended.clone();
        let ended = soon("the program to end", ended.wait_for(Option::is_some)).await;
        ended.unwrap().unwrap()
    }
}

impl Process {
    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn signal(&self, name: &str) {
        // The number of a process that has ended may be another's by now.
        if !self.has_ended() {
            let status = Command::new("kill").args([name, &self.pid]).status();
            assert!(status.unwrap().success(), "kill {name} failed");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            // It may be ending at this moment.
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
        }
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn listening_port(line: &str) -> Option<u16> {
    let rest = line.split("http://localhost:").nth(1)?;
    rest.split('/').next()?.trim().parse().ok()
}

#[actix_web::test]
async fn a_replica_that_is_killed_starts_again_in_its_place() {
    let replica = Replica::start(&[]).await;
    replica.kill();
    assert_eq!(replica.ended().await, Ended::Signal(9));
    let addr = replica.addr();
    let replica = replica.restart().await;
    assert_eq!(replica.addr(), addr);
    let ready = super::client::send(addr, "GET", "/readyz", &[], None).await;
    assert_eq!(ready.status, 200);
    replica.terminate();
    assert_eq!(replica.ended().await, Ended::Code(0));
    assert_eq!(replica.log().matches("http://localhost:").count(), 2);
}

#[actix_web::test]
async fn a_frozen_replica_answers_once_it_goes_on() {
    let replica = Replica::start(&[]).await;
    replica.freeze();
    let asked = super::client::send(replica.addr(), "GET", "/livez", &[], None);
    let asked = tokio::spawn(asked);
    replica.thaw();
    assert_eq!(soon("an answer", asked).await.unwrap().status, 200);
}
