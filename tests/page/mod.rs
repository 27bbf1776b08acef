//! The page as a reader meets it, in a real browser.

use std::net::SocketAddr;

use fantoccini::Locator;
use rasta_stream::{config::Config, server::Server};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::{
    app::{
        Setup, chunked, requests, spawn_app, spawn_app_with, spawn_canned, spawn_scenario,
        spawn_stepped,
    },
    browser::{Page, Reply, eventually},
    proxy::Proxy,
    redis::Redis,
    replicas::replicas,
};

/// The upstream frames before the first delta: the filter's results for the prompt, and the role.
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
async fn a_reload_during_a_reply_continues_it_without_a_lost_or_doubled_letter() {
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

    // Text that arrives while the page is hidden is there on return.
    page.client.goto("about:blank").await.unwrap();
    app.steps.release(10);
    eventually("text that arrives on a hidden page", async || {
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
async fn reasoning_is_folded_away_and_survives_a_reload() {
    const REASONING: &str = "They <b>greet</b> me.\nBe kind.";
    let chunk = |choice: Value| format!("data: {}\n\n", json!({"choices": [choice]}));
    let body = [
        chunk(json!({"delta": {"reasoning_content": REASONING}})),
        chunk(json!({"delta": {"content": "Wah gwaan"}, "finish_reason": "stop"})),
    ]
    .concat();
    let (upstream, _) = spawn_canned(chunked(body.as_bytes())).await;
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://{upstream}")),
        flags: &["--reasoning-summary=auto"],
        ..Setup::default()
    })
    .await;

    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    for _ in 0..2 {
        let shown = page.reply("the end", Reply::has_ended).await;
        assert_eq!(shown.text, "Wah gwaan");
        assert_eq!(shown.proof.as_deref(), Some("sha256"));
        assert_eq!(app.snapshot(&shown.path()).await["reasoning"], REASONING);
        assert_eq!(page.text("#transcript .reasoning-text").await, REASONING);
        let open = "return document.querySelector('#transcript .reasoning').open";
        assert_eq!(page.run(open).await, false);
        page.click("#transcript .reasoning summary").await;
        assert_eq!(page.run(open).await, true);
        page.client.refresh().await.unwrap();
    }
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
    // At a real model's pace, without steps.
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
    let words = "The model's service is busy or unreachable; the server tries again.";
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

#[actix_web::test]
async fn a_server_that_exits_costs_a_reader_no_letter_where_another_takes_over() {
    let redis = Redis::start().await;
    let [mut first, second] = replicas(&redis.url(), &[]).await;
    let door = Proxy::start(first.addr).await;
    let page = Page::open(door.addr()).await;
    page.submit(PROMPT).await;
    first.steps.release(OPENING + 10);
    let before = page.reply("first words", Reply::is_being_written).await;

    door.aim(second.addr);
    first.begin_shutdown();
    // It is disconnected, and reconnects to the replica that is behind the proxy by then.
    page.reply("the way between them", |reply| {
        reply.status == "reconnecting"
    })
    .await;
    page.reply("its way back", Reply::is_being_written).await;
    first.steps.release(10);
    let after = page.reply_caught_up(&second, &before.text).await;
    assert!(after.text.starts_with(&before.text), "{before:?} {after:?}");

    first.steps.release(REST);
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!((whole.status.as_str(), whole.count), ("completed", 1));
    assert_eq!(whole.proof.as_deref(), Some("sha256"));
    assert_eq!(whole.text, second.snapshot(&whole.path()).await["text"]);
    first.stopped().await;
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
