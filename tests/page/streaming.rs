//! A reply on the page while it is written, through reloads and servers that exit.

use serde_json::{Value, json};

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{Setup, chunked, requests, spawn_app_with, spawn_canned, spawn_stepped},
    browser::{Page, Reply, eventually},
    proxy::Proxy,
    redis::Redis,
    replicas::replicas,
};

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
    assert_eq!(whole.words, "Complete");
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
    page.submit(HOSTILE).await;
    let shown = page.reply("the end", Reply::has_ended).await;
    assert_eq!(shown.status, "completed");
    assert!(shown.text.contains("<img src=x onerror="), "{}", shown.text);
    assert_eq!(page.text("#transcript .prompt .text").await, HOSTILE);
    // Only Markdown's own, without attributes that load or run anything.
    let elements = "return [...document.querySelectorAll('#transcript .text *')].map(({ localName, attributes }) =>
        [localName, ...[...attributes].map(({ name }) => name)].join(' '))";
    let rendered = json!(["p", "a", "code dir", "strong"]);
    assert_eq!(page.run(elements).await, rendered);
    let title = page.client.title().await.unwrap();
    assert_ne!(title, "taken", "a script has run");
    // A reload shows it by another way.
    page.client.refresh().await.unwrap();
    let shown = page.reply("the end", Reply::has_ended).await;
    assert!(shown.text.contains("<img src=x onerror="));
    assert_eq!(page.run(elements).await, rendered);
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
