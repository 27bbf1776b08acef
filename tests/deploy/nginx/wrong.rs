//! nginx set up wrongly, in each of the ways that users suffer from, and the page that names the fault.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::end;
use crate::support::{
    app::{Setup, TestApp, spawn_app_with},
    browser::{Page, eventually},
    replica::Scratch,
};

/// An nginx in front of one server.
struct Wrong {
    child: Child,
    http: SocketAddr,
    _directory: Scratch,
}

impl Wrong {
    fn start(app: &TestApp, lines: &str) -> Self {
        let directory = Scratch::new("nginx-wrong");
        let path = directory.path();
        let place = path.display();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let http = listener.local_addr().unwrap();
        let upstream = app.addr;
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};"))
            .concat();
        let text = format!(
            "pid {place}/pid; error_log {place}/error.log; events {{}}
            http {{ {temporary} access_log off; server {{ listen {http}; location / {{
                proxy_pass http://{upstream}; proxy_set_header Connection ''; proxy_set_header Host $http_host; {lines} }} }} }}"
        );
        fs::write(path.join("nginx.conf"), text).unwrap();
        let child = Command::new("nginx")
            .args(["-g", "daemon off;", "-c"])
            .arg(path.join("nginx.conf"))
            // The descriptor to listen on. nginx has this for a process that replaces another.
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed: apt-get install nginx-light");
        Self {
            child,
            http,
            _directory: directory,
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

#[actix_web::test]
async fn the_stream_doctor_names_each_fault_of_a_proxy() {
    let app = spawn_app_with(Setup {
        flags: &["--ping-seconds", "2"],
        ..Setup::default()
    })
    .await;
    for (lines, verdict, kinds) in [
        ("proxy_http_version 1.1;", "well", json!(["six"])),
        (
            // Compression collects what the buffers hand it, and hands nothing on before the end.
            "proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_proxied any; gzip_min_length 0; gzip_types *;",
            "faults",
            json!(["buffered", "compressed", "six"]),
        ),
        (
            "proxy_http_version 1.1; gzip on; gzip_proxied any; gzip_min_length 0; gzip_types text/event-stream;",
            "faults",
            json!(["compressed", "six"]),
        ),
        (
            "proxy_http_version 1.1; proxy_read_timeout 1s;",
            "faults",
            json!(["cut", "six"]),
        ),
        (
            "proxy_http_version 1.1; proxy_hide_header Cache-Control;",
            "faults",
            json!(["headers", "six"]),
        ),
    ] {
        let nginx = Wrong::start(&app, lines);
        let page = Page::open(nginx.http).await;
        page.run("document.querySelector('#doctor').click()").await;
        let found = eventually("a verdict", async || {
            let found = page
                .run("return [document.querySelector('#doctor-dialog').dataset.verdict ?? null,
                    [...document.querySelectorAll('#remedies li')].map((item) => item.dataset.kind)]")
                .await;
            if found[0] == Value::Null { Err(found) } else { Ok(found) }
        })
        .await;
        assert_eq!(found, json!([verdict, kinds]), "{lines}");
        let said = page.shown_text("#doctor-dialog").await;
        assert!(said.contains("HTTP/1.1"), "{said}");
        if lines.contains("proxy_read_timeout") {
            // The browser reports the cut.
            page.forget_console().await;
        }
        page.close().await;
    }
}
