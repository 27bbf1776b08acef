//! The page in a real browser: Debian's Chromium, driven through chromedriver. Each test has a
//! browser of its own, so that none sees what another left behind.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, key::Key, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use rasta_stream::{config::Config, server::Server};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    app::{
        Setup, TestApp, chunked, requests, spawn_app, spawn_app_with, spawn_canned, spawn_scenario,
        spawn_stepped,
    },
    client::{self, DEADLINE},
};

/// Nothing tells a test that a page has changed, so it looks again after this time.
const POLL: Duration = Duration::from_millis(20);
/// How long chromedriver and the browser may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The frames of upstream's before the first delta: the verdict on the prompt, and the role.
const OPENING: usize = 2;
/// All frames that are left.
const REST: usize = usize::MAX;

const PROMPT: &str = "Why is the sea salty?";

#[actix_web::test]
async fn the_reply_grows_before_it_ends() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    let first = page.reply("first words", Reply::is_being_written).await;

    app.steps.release(10);
    let second = page
        .reply("more words", |reply| reply.text.len() > first.text.len())
        .await;
    assert_eq!(second.status, "running");
    assert!(second.text.starts_with(&first.text), "{first:?} {second:?}");

    app.steps.release(REST);
    let whole = page.reply("the end", Reply::has_ended).await;
    let snapshot = app.snapshot(&whole.path()).await;
    assert_eq!(whole.status, "completed");
    assert_eq!(whole.words, "Complete.");
    assert_eq!(whole.text, snapshot["text"]);
    assert_eq!(whole.proof.as_deref(), Some("sha256"));
    assert!(whole.text.starts_with(&second.text), "{second:?} {whole:?}");
    assert!(whole.text.len() > second.text.len());
    page.close().await;
}

#[actix_web::test]
async fn a_reload_in_mid_reply_continues_it_without_a_lost_or_doubled_letter() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    let before = page.reply("first words", Reply::is_being_written).await;

    page.client.refresh().await.unwrap();
    page.reply("the same words", |reply| {
        reply.text.starts_with(&before.text)
    })
    .await;
    app.steps.release(10);
    let after = page.reply_caught_up(&app, &before.text).await;
    assert_eq!(after.id, before.id);

    // What is written while nobody looks is there on return.
    page.client.goto("about:blank").await.unwrap();
    app.steps.release(10);
    eventually("words that nobody watches", async || {
        let text = app.snapshot(&after.path()).await["text"].clone();
        if text != after.text {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
    page.client.goto(&page.url).await.unwrap();
    page.reply_caught_up(&app, &after.text).await;

    app.steps.release(REST);
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!((whole.status.as_str(), whole.count), ("completed", 1));
    assert_eq!(whole.id, before.id);
    assert_eq!(whole.text, app.snapshot(&whole.path()).await["text"]);
    assert_eq!(whole.proof.as_deref(), Some("sha256"));
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(asked.len(), 1, "a reload must not pay for a second reply");
    page.close().await;
}

#[actix_web::test]
async fn stop_before_the_first_delta_ends_the_reply_as_stopped() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let waiting = page.reply("a reply", |reply| !reply.id.is_empty()).await;
    assert_eq!(waiting.status, "waiting");
    app.upstream_was_asked().await;

    page.click("#stop").await;
    let stopped = page.reply("the end", Reply::has_ended).await;
    assert_eq!(stopped.status, "stopped");
    assert_eq!(stopped.words, "Stopped by you.");
    assert_eq!(stopped.text, "");
    assert_eq!(app.snapshot(&stopped.path()).await["reason"], "viewer");
    app.upstream_was_left().await;
    page.close().await;
}

#[actix_web::test]
async fn model_output_is_text_and_never_markup() {
    const HOSTILE: &str = "<img src=x onerror=\"document.title='taken'\"><script>document.title=\
        'taken'</script><svg onload=\"document.title='taken'\"></svg> <b>bold</b> &lt;i&gt; \
        [link](javascript:alert(1)) `code` **strong**";
    // Cut where a tag is half open.
    let deltas = HOSTILE.split_inclusive(['<', '=', ' ']);
    let chunks = deltas.map(|text| json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let frames = chunks
        .chain([finish])
        .map(|chunk| format!("data: {chunk}\n\n"));
    let body = frames
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect::<String>();
    let (upstream, _) = spawn_canned(chunked(body.as_bytes())).await;
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://{upstream}")),
        ..Setup::default()
    })
    .await;

    let page = Page::open(app.addr).await;
    let title = page.client.title().await.unwrap();
    page.submit(HOSTILE).await;
    let shown = page.reply("the end", Reply::has_ended).await;
    assert_eq!(shown.status, "completed");
    assert_eq!(shown.text, HOSTILE);
    assert_eq!(page.text("#transcript .prompt .text").await, HOSTILE);
    let elements = "return document.querySelectorAll('#transcript .text *').length";
    assert_eq!(page.run(elements).await, 0, "the texts hold elements");
    assert_eq!(
        page.client.title().await.unwrap(),
        title,
        "a script has run"
    );
    // A reload shows it by another way.
    page.client.refresh().await.unwrap();
    let shown = page.reply("the end", Reply::has_ended).await;
    assert_eq!(shown.text, HOSTILE);
    assert_eq!(page.run(elements).await, 0, "the texts hold elements");
    page.close().await;
}

#[actix_web::test]
async fn the_banner_says_that_the_simulator_answers() {
    let (addr, _server) = spawn_with_its_own_simulator().await;
    let page = Page::open(addr).await;
    let banner = page.shown_text("#banner").await;
    assert!(
        banner.contains("The built-in simulator answers"),
        "{banner:?}"
    );
    // At a real model's pace, which nobody steps.
    page.submit(PROMPT).await;
    page.reply("first words", Reply::is_being_written).await;
    page.close().await;
}

#[actix_web::test]
async fn a_failure_is_shown_in_words() {
    let app = spawn_scenario("unauthorized", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let failed = page.reply("the end", Reply::has_ended).await;
    assert_eq!(failed.status, "failed");
    let error = app.snapshot(&failed.path()).await["error"].clone();
    assert_eq!(error["code"], "upstream_auth");
    assert_eq!(
        failed.words,
        format!("Failed: {}", error["message"].as_str().unwrap())
    );
    assert_eq!(failed.offer, None, "trying again would not help");
    assert_eq!(
        page.run("return document.querySelector('#banner').hidden")
            .await,
        true
    );
    page.close().await;
}

#[actix_web::test]
async fn enter_chooses_a_word_while_composing_and_the_button_submits() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    let pressed = page
        .run(
            "const prompt = document.querySelector('#prompt');
            prompt.value = 'Why is the sea salty?';
            const press = (more) => prompt.dispatchEvent(new KeyboardEvent('keydown',
                { key: 'Enter', bubbles: true, cancelable: true, ...more }));
            return [press({ isComposing: true }), press({ keyCode: 229 }), press({ shiftKey: true })];",
        )
        .await;
    assert_eq!(
        pressed,
        json!([true, true, true]),
        "the browser's own meaning was kept"
    );
    assert!(page.newest().await.is_none());
    assert!(requests(&app.simulator.journal().records()).is_empty());
    let button = page.client.find(Locator::Css("#submit")).await.unwrap();
    button.click().await.unwrap();
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!((whole.count, whole.status.as_str()), (1, "completed"));
    page.close().await;
}

#[actix_web::test]
async fn a_long_conversation_is_sent_by_its_newest_messages_that_fit() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    for (exchanges, text) in [(100, "short".to_owned()), (40, "é".repeat(10_000))] {
        let ended = json!({"status": "completed", "finish_reason": "stop"});
        let earlier: Vec<Value> = (0..exchanges)
            .map(
                |n| json!({"prompt": format!("prompt {n}"), "text": text, "id": "x", "end": ended}),
            )
            .collect();
        let script = format!(
            "sessionStorage.setItem('rasta-stream.conversation', JSON.stringify({}))",
            json!(earlier)
        );
        page.run(&script).await;
        page.client.refresh().await.unwrap();
        page.submit(PROMPT).await;
        page.reply("the end", |reply| {
            reply.count == exchanges + 1 && reply.has_ended()
        })
        .await;
    }
    let sent = requests(&app.simulator.journal().records());
    assert_eq!(sent.len(), 2);
    for body in &sent {
        let said = &body["messages"].as_array().unwrap()[1..];
        assert!(
            said.len() > 10 && said.len() <= 64,
            "{} messages",
            said.len()
        );
        assert!(json!(said).to_string().len() < 256 * 1024);
        assert_eq!(said[0]["role"], "user", "no reply without its prompt");
        assert_eq!(said.last().unwrap()["content"], PROMPT);
    }
    assert_eq!(
        sent[0]["messages"][1]["content"], "prompt 69",
        "the newest that fit"
    );
    page.close().await;
}

#[actix_web::test]
async fn nothing_sticks_out_on_a_phone_while_a_reply_runs() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    // Phones, and both sides of every width at which the style sheet changes its mind.
    for width in [320, 390, 448, 449, 640, 641] {
        page.resize(width).await;
        let widest = page
            .run(
                "const parts = [...document.querySelectorAll('button, textarea, .message')];
                const rights = parts.map((part) => part.getBoundingClientRect().right);
                return Math.max(document.documentElement.scrollWidth, ...rights);",
            )
            .await;
        assert!(
            widest.as_f64().unwrap() <= f64::from(width),
            "{widest} in {width}"
        );
    }
    page.close().await;
}

#[actix_web::test]
async fn the_wait_for_a_retry_is_counted_down_and_told_no_longer_once_words_come() {
    // Refused with retry-after-ms: 1500, twice; then the failure is told.
    let app = spawn_scenario("rate-limited", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let words = "The model's service is busy or cannot be reached; it is asked again.";
    eventually("the countdown", async || {
        let told = page.text(".reply .notice").await;
        if told == format!("{words} In 1 s.") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let failed = page.reply("the end", Reply::has_ended).await;
    assert!(failed.words.contains("at its rate limit"), "{failed:?}");
    assert_eq!(
        page.run("return document.querySelector('.reply .notice').hidden")
            .await,
        true
    );
    page.close().await;
}

#[actix_web::test]
async fn trying_again_sends_the_prompt_without_what_the_failed_reply_had_said() {
    let app = spawn_scenario("truncated", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let failed = page.reply("the end", Reply::has_ended).await;
    assert_eq!(failed.status, "failed");
    assert!(!failed.text.is_empty(), "what had come stays to be read");
    assert_eq!(failed.offer.as_deref(), Some("Try again"));

    page.click(".reply .action").await;
    let again = page
        .reply("the second end", |reply| {
            reply.count == 2 && reply.has_ended()
        })
        .await;
    assert_ne!(again.id, failed.id);
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0]["messages"], asked[1]["messages"]);
    page.close().await;
}

#[actix_web::test]
async fn the_conversation_so_far_is_sent_along() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let first = page.reply("the end", Reply::has_ended).await;
    page.submit("And who put the salt there?").await;
    let second = page
        .reply("the second end", |reply| {
            reply.count == 2 && reply.has_ended()
        })
        .await;
    assert_eq!(second.status, "completed");
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1]["messages"][0]["role"], "system");
    assert_eq!(
        asked[1]["messages"].as_array().unwrap()[1..],
        [
            json!({"role": "user", "content": PROMPT}),
            json!({"role": "assistant", "content": first.text}),
            json!({"role": "user", "content": "And who put the salt there?"}),
        ]
    );
    page.close().await;
}

/// A server without any Azure setting; it ends when the sender is dropped.
async fn spawn_with_its_own_simulator() -> (SocketAddr, oneshot::Sender<()>) {
    let (shutdown, asked) = oneshot::channel::<()>();
    let config = Config::from_flags(["--port=0", "--workers=1"]).unwrap();
    let server = Server::start(config, async {
        // An error is a dropped sender: the test is over.
        let _ = asked.await;
    })
    .await
    .unwrap();
    let addr = server.addr();
    actix_web::rt::spawn(server.run());
    (addr, shutdown)
}

/// Asks until the answer is `Ok`; an `Err` is what there is instead.
async fn eventually<T, E: std::fmt::Debug>(
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
struct Reply {
    /// How many replies there are.
    count: usize,
    id: String,
    status: String,
    /// How the reply ended, once it has.
    outcome: Option<String>,
    proof: Option<String>,
    text: String,
    words: String,
    /// What the button offers.
    offer: Option<String>,
}

impl Reply {
    const READ: &str = "
        const all = document.querySelectorAll('#transcript .reply');
        const reply = all[all.length - 1];
        if (!reply) return null;
        const { reply: id, status, outcome, proof } = reply.dataset;
        const text = (part) => reply.querySelector(part).textContent;
        const offer = reply.querySelector('.action').hidden ? null : text('.action');
        return { count: all.length, id, status, outcome, proof, text: text('.text'), words: text('.words'), offer };
    ";

    fn is_being_written(&self) -> bool {
        self.status == "running" && !self.text.is_empty()
    }

    fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    fn path(&self) -> String {
        format!("/v1/replies/{}", self.id)
    }
}

/// The page in a browser of its own.
struct Page {
    client: Client,
    url: String,
    driver: Driver,
}

impl Page {
    async fn open(addr: SocketAddr) -> Self {
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
    async fn resize(&self, width: u32) {
        let session = self.client.session_id().await.unwrap().unwrap();
        let command = json!({
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false},
        });
        let path = format!("/session/{session}/goog/cdp/execute");
        self.driver
            .ask("POST", &path, &command.to_string())
            .unwrap();
        eventually("the new width", async || {
            let now = self.run("return innerWidth").await;
            if now == width { Ok(()) } else { Err(now) }
        })
        .await;
    }

    /// Types a prompt and submits it with Enter.
    async fn submit(&self, prompt: &str) {
        let field = self.client.find(Locator::Css("#prompt")).await.unwrap();
        let typed = prompt.to_owned() + &Key::Enter;
        field.send_keys(&typed).await.unwrap();
    }

    async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
    }

    async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    async fn text(&self, selector: &str) -> String {
        let script = format!(
            "return document.querySelector({}).textContent",
            json!(selector)
        );
        serde_json::from_value(self.run(&script).await).unwrap()
    }

    /// Waits until an element is shown; gives its text as a reader sees it.
    async fn shown_text(&self, selector: &str) -> String {
        eventually(selector, async || {
            let element = self.client.find(Locator::Css(selector)).await.unwrap();
            if element.is_displayed().await.unwrap() {
                Ok(element.text().await.unwrap())
            } else {
                Err("an element that is not shown")
            }
        })
        .await
    }

    async fn newest(&self) -> Option<Reply> {
        serde_json::from_value(self.run(Reply::READ).await).unwrap()
    }

    /// Waits until the newest reply is as it should be.
    async fn reply(&self, what: &str, is_so: impl Fn(&Reply) -> bool) -> Reply {
        eventually(what, async || match self.newest().await {
            Some(reply) if is_so(&reply) => Ok(reply),
            other => Err(other),
        })
        .await
    }

    /// Waits until the newest reply has grown beyond `before`, and is neither less nor more than
    /// what the server has of it.
    async fn reply_caught_up(&self, app: &TestApp, before: &str) -> Reply {
        eventually("the page to catch up", async || {
            let Some(reply) = self.newest().await else {
                return Err(None);
            };
            let text = app.snapshot(&reply.path()).await["text"].clone();
            if reply.text == text && reply.text.len() > before.len() {
                Ok(reply)
            } else {
                Err(Some((reply, text)))
            }
        })
        .await
    }

    /// Ends the browser, in whose console there must be neither an error nor a breach of the
    /// content security policy.
    async fn close(self) {
        let session = self.client.session_id().await.unwrap().unwrap();
        let path = format!("/session/{session}/se/log");
        let answer = self
            .driver
            .ask("POST", &path, r#"{"type":"browser"}"#)
            .unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["value"], json!([]), "the browser's console");
        self.client.close().await.unwrap();
    }
}

/// A chromedriver, and the browser that it has started. Dropping it ends both, also after a panic.
struct Driver {
    child: Child,
    addr: SocketAddr,
    profile: PathBuf,
}

impl Driver {
    fn start() -> Self {
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
        let port = told.recv_timeout(DEADLINE);
        driver
            .addr
            .set_port(port.expect("chromedriver did not say on which port it listens"));
        driver
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
        let (addr, length) = (self.addr, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {addr}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        // It keeps the connection, whatever it is asked.
        let mut answer = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while answer.read_line(&mut line)? > 2 {
            if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(':') {
                length = value.trim().parse().unwrap_or_default();
            }
            line.clear();
        }
        let mut body = String::new();
        answer.take(length).read_to_string(&mut body)?;
        Ok(body)
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
