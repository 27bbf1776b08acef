//! Signals, and a standard error that takes nothing: what the program does on its way out.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::support::{
    client::{self, soon},
    program::{Empty, Serving, program},
};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const EVENTS: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "text/event-stream"),
];
const NO_DRAIN: [(&str, &str); 1] = [("DRAIN_SECONDS", "0.1")];

#[actix_web::test]
async fn a_signal_of_another_meaning_cuts_no_stream_and_quit_drains() {
    let serving = Serving::start("signals", &NO_DRAIN);
    let body = Some(r#"{"prompt":"river"}"#);
    let mut reply = client::send(serving.addr, "POST", "/v1/replies", &EVENTS, body).await;
    for signal in ["-HUP", "-USR1", "-USR2", "-ALRM", "-XFSZ"] {
        serving.signal(signal);
        reply.next_stored().await.expect(signal);
    }
    let live = client::send(serving.addr, "GET", "/livez", &[], None).await;
    assert_eq!(live.status, 200);
    serving.signal("-QUIT");
    let events = reply.rest().await;
    let end = events.last().unwrap();
    assert_eq!(end.name, "end", "{end:?}");
    let (code, log) = serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("SIGHUP"), "{log}");
    assert!(log.contains("draining"), "{log}");
}

/// A server whose standard error is a pipe that nothing reads after the first line.
struct Unread {
    child: Child,
    log: BufReader<ChildStderr>,
    addr: std::net::SocketAddr,
    _directory: Empty,
}

impl Unread {
    fn start(name: &str, env: &[(&str, &str)]) -> Self {
        let directory = Empty::new(name);
        let mut command = program(&directory, &[], env);
        command.env("PORT", "0").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A small buffer, so that one line is read and no more.
        let mut log = BufReader::with_capacity(1, child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let port = line.split("http://localhost:").nth(1).unwrap();
        let port: u16 = port.split('/').next().unwrap().parse().unwrap();
        Self {
            child,
            log,
            addr: ([127, 0, 0, 1], port).into(),
            _directory: directory,
        }
    }

    /// More log lines than a pipe holds: two a reply, of 100 bytes and more each.
    async fn fill_the_pipe(&self) {
        const PIPE_BYTES: usize = 64 << 10;
        for _ in 0..PIPE_BYTES / 100 {
            let body = json!({"prompt": "river"}).to_string();
            let reply = client::send(self.addr, "POST", "/v1/replies", &JSON, Some(&body)).await;
            assert!(matches!(reply.status, 201 | 503), "{}", reply.status);
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(status.unwrap().success());
    }

    async fn code(&mut self) -> Option<i32> {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("the program to end", ended).await
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[actix_web::test]
async fn a_standard_error_that_is_full_stops_neither_the_server_nor_its_end() {
    let mut serving = Unread::start("unread", &NO_DRAIN);
    serving.fill_the_pipe().await;
    let live = client::send(serving.addr, "GET", "/livez", &[], None).await;
    assert_eq!(live.status, 200);
    serving.signal("-TERM");
    assert_eq!(serving.code().await, Some(0));
    let mut rest = Vec::new();
    serving.log.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 60_000, "the pipe was not full: {}", rest.len());
}

#[actix_web::test]
async fn a_pipe_in_the_pages_folder_is_not_found_and_blocks_nothing() {
    let folder = Empty::new("fifo");
    std::fs::write(folder.0.join("index.html"), "<title>x</title>").unwrap();
    std::fs::create_dir_all(folder.0.join("sub")).unwrap();
    for name in ["pipe", "sub/index.html"] {
        let made = Command::new("mkfifo").arg(folder.0.join(name)).status();
        assert!(made.unwrap().success());
    }
    let path = folder.0.to_str().unwrap();
    let serving = Serving::start("fifo-server", &[("STATIC_DIR", path), ("WORKERS", "1")]);
    for (path, status) in [("/pipe", 404), ("/sub/", 404), ("/index.html", 200)] {
        let file = client::send(serving.addr, "GET", path, &[], None).await;
        assert_eq!(file.status, status, "{path}");
    }
    serving.signal("-TERM");
    assert_eq!(serving.finish().0, Some(0));
}
