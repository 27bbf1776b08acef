//! Debian's Chromium, driven through chromedriver, and what it shows of the page. Each test has a browser of
//! its own, so that none sees what another left behind.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    key::Key,
    wd::{Capabilities, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    app::TestApp,
    client::{self, DEADLINE},
    http::{self, Decoder},
};

/// Nothing tells a test that a page has changed, so it looks again after this time.
const POLL: Duration = Duration::from_millis(20);
/// How long chromedriver and the browser may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks until the answer is `Ok`; an `Err` is what there is instead.
pub async fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut seen = None;
    let asking = async {
        loop {
            match probe().await {
                Ok(found) => return found,
                Err(other) => seen = Some(other),
            }
            sleep(POLL).await;
        }
    };
    let found = timeout(DEADLINE, asking).await;
    found.unwrap_or_else(|_| panic!("waited too long for {what}; there is {seen:?}"))
}

/// What the page shows of its newest reply.
#[derive(Clone, Debug, Deserialize)]
pub struct Reply {
    /// How many replies there are.
    pub count: usize,
    pub id: String,
    pub status: String,
    /// How the reply ended, once it has.
    pub outcome: Option<String>,
    pub proof: Option<String>,
    pub text: String,
    pub words: String,
    /// The next step that is offered first.
    pub offer: Option<String>,
    /// Which version it is, as in "2/3", if there are several.
    pub version: Option<String>,
}

impl Reply {
    const READ: &str = "
        const all = document.querySelectorAll('#transcript .reply');
        const reply = all[all.length - 1];
        if (!reply) return null;
        const { reply: id, status, outcome, proof } = reply.dataset;
        const text = (part) => reply.querySelector(part).textContent;
        // What was rendered, as the text that it was: verse has paragraphs and lines.
        const lines = (node) => [...node.childNodes].map((inner) =>
            inner.nodeName === 'BR' ? '\\n' : inner.nodeType === Node.TEXT_NODE ? inner.data : lines(inner)).join('');
        const source = [...reply.querySelector('.text').childNodes].map((block) =>
            block.nodeType === Node.TEXT_NODE ? block.data : lines(block)).join('\\n\\n');
        const offer = reply.querySelector('.action')?.textContent ?? null;
        const version = reply.querySelector('.versions').hidden ? null : text('.version');
        return { count: all.length, id, status, outcome, proof, text: source, words: text('.words'), offer, version };
    ";

    pub fn is_being_written(&self) -> bool {
        self.status == "running" && !self.text.is_empty()
    }

    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    pub fn path(&self) -> String {
        format!("/v1/replies/{}", self.id)
    }
}

/// The page in a browser of its own.
pub struct Page {
    pub client: Client,
    pub url: String,
    driver: Driver,
}

impl Page {
    pub async fn open(addr: SocketAddr) -> Self {
        let driver = Driver::start();
        let client = driver.connect().await;
        let url = format!("http://{addr}/");
        client.goto(&url).await.unwrap();
        Self {
            client,
            url,
            driver,
        }
    }

    /// Makes the window so wide, also narrower than a desktop's can be.
    pub async fn resize(&self, width: u32) {
        let metrics =
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", &metrics)
            .await;
        eventually("the new width", async || {
            let now = self.run("return innerWidth").await;
            if now == width { Ok(()) } else { Err(now) }
        })
        .await;
    }

    /// Gives a command of Chromium's own protocol.
    pub async fn cdp(&self, command: &str, params: &Value) {
        let session = self.client.session_id().await.unwrap().unwrap();
        let path = format!("/session/{session}/goog/cdp/execute");
        let body = json!({"cmd": command, "params": params});
        let answer = self.driver.ask("POST", &path, &body.to_string()).unwrap();
        assert!(!answer.contains("\"error\""), "{command}: {answer}");
    }

    /// Types a prompt and submits it with Enter.
    pub async fn submit(&self, prompt: &str) {
        let field = self.client.find(Locator::Css("#prompt")).await.unwrap();
        let typed = prompt.to_owned() + &Key::Enter;
        field.send_keys(&typed).await.unwrap();
    }

    /// Clicks an element once there is one; it may be replaced while it is looked for.
    pub async fn click(&self, selector: &str) {
        eventually(selector, async || {
            let element = self.client.find(Locator::Css(selector)).await;
            match element {
                Ok(element) => element.click().await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Runs a script that ends by calling `done`; gives what it passed.
    pub async fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.client
            .execute_async(&script, Vec::new())
            .await
            .unwrap()
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Opens another tab of the same browser, and goes there.
    pub async fn open_tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.client.switch_to_window(tab.clone()).await.unwrap();
        self.client.goto(url).await.unwrap();
        tab
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub async fn text(&self, selector: &str) -> String {
        let script = format!(
            "return document.querySelector({}).textContent",
            json!(selector)
        );
        serde_json::from_value(self.run(&script).await).unwrap()
    }

    /// Waits until an element is shown; gives its text as a reader sees it.
    pub async fn shown_text(&self, selector: &str) -> String {
        eventually(selector, async || {
            // It may not exist yet, or be replaced while it is looked at.
            match self.client.find(Locator::Css(selector)).await {
                Err(_) => Err("no such element"),
                Ok(element) => match element.is_displayed().await {
                    Ok(true) => element.text().await.map_err(|_| "an element that is gone"),
                    _ => Err("an element that is not shown"),
                },
            }
        })
        .await
    }

    pub async fn newest(&self) -> Option<Reply> {
        serde_json::from_value(self.run(Reply::READ).await).unwrap()
    }

    /// Waits until the newest reply is as it should be.
    pub async fn reply(&self, what: &str, is_so: impl Fn(&Reply) -> bool) -> Reply {
        eventually(what, async || match self.newest().await {
            Some(reply) if is_so(&reply) => Ok(reply),
            other => Err(other),
        })
        .await
    }

    /// Waits until the newest reply has grown beyond `before`, and is neither less nor more than
    /// what the server has of it.
    pub async fn reply_caught_up(&self, app: &TestApp, before: &str) -> Reply {
        eventually("the page to catch up", async || {
            let Some(reply) = self.newest().await else {
                return Err(None);
            };
            let text = app.snapshot(&reply.path()).await["text"].clone();
            // The end of a line is shown once the next one begins.
            if text.as_str().map(str::trim_end) == Some(&reply.text)
                && reply.text.len() > before.len()
            {
                Ok(reply)
            } else {
                Err(Some((reply, text)))
            }
        })
        .await
    }

    /// Empties the console. The browser reports each request that fails there; the page did nothing wrong.
    pub async fn forget_console(&self) {
        self.console().await;
    }

    async fn console(&self) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let path = format!("/session/{session}/se/log");
        let answer = self
            .driver
            .ask("POST", &path, r#"{"type":"browser"}"#)
            .unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        answer["value"].take()
    }

    /// Ends the browser, in whose console there must be neither an error nor a breach of the
    /// content security policy.
    pub async fn close(self) {
        assert_eq!(self.console().await, json!([]), "the browser's console");
        self.client.close().await.unwrap();
    }
}

/// A chromedriver, and the browser that it has started. Dropping it ends both, also after a panic.
struct Driver {
    child: Child,
    addr: SocketAddr,
    profile: PathBuf,
}

/// How often a driver is started before the test fails.
const START_ATTEMPTS: usize = 3;

impl Driver {
    /// A driver on a port of its own choice. It exits if another process takes that port first, so
    /// that several attempts are made.
    fn start() -> Self {
        (0..START_ATTEMPTS)
            .find_map(|_| Self::try_start())
            .expect("chromedriver does not say on which port it listens")
    }

    /// `None` if the driver exits before it listens.
    fn try_start() -> Option<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "chromedriver cannot be started ({error}): this test needs Debian's packages \
                     chromium and chromium-driver"
                )
            });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        // Reads to the end, or the driver could not go on writing.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let port = line.split("started successfully on port ").nth(1);
                if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                    let _ = tell.send(port);
                }
            }
        });
        let profile = std::env::temp_dir().join(format!("rasta-page-{}", uuid::Uuid::new_v4()));
        // From here on a panic ends the driver.
        let mut driver = Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            profile,
        };
        match told.recv_timeout(DEADLINE) {
            Ok(port) => driver.addr.set_port(port),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("chromedriver does not start"),
        }
        Some(driver)
    }

    async fn connect(&self) -> Client {
        let profile = format!("--user-data-dir={}", self.profile.display());
        let options = json!({
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", profile,
            ],
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let connecting = async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&format!("http://{}", self.addr))
                .await
        };
        client::soon("a browser", connecting)
            .await
            .unwrap_or_else(|error| panic!("chromedriver cannot start Chromium: {error}"))
    }

    /// Sends a command for which fantoccini has no name; gives the body of the answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.addr, END_TIMEOUT)?;
        stream.set_read_timeout(Some(END_TIMEOUT))?;
        let headers = [("Content-Type", "application/json")];
        let host = self.addr.to_string();
        stream.write_all(&http::request(method, path, &host, &headers, Some(body)))?;
        // It keeps the connection, whatever it is asked.
        let (mut answer, mut piece) = (Decoder::new(method), [0; 4096]);
        while !answer.is_complete() {
            match stream.read(&mut piece)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => answer.push(&piece[..read])?,
            }
        }
        String::from_utf8(answer.body).map_err(std::io::Error::other)
    }

    /// Asks the driver to end its browser and itself.
    fn shut_down(&mut self) -> std::io::Result<()> {
        self.ask("GET", "/shutdown", "")?;
        let deadline = Instant::now() + END_TIMEOUT;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Whatever fails here, the driver ends; and a second panic would end the test run.
        let _ = self.shut_down();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
