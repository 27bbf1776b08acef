//! What a reader must not lose: to a dead network, a reload, an absence.

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{requests, spawn_app, spawn_scenario, spawn_stepped},
    browser::{Page, Reply, eventually},
    proxy::{Cut, Effect, Proxy, Way, Which},
};

/// The browser's console has an error for each request that fails; the page has none of its own.
async fn close_after_network_errors(page: Page) {
    page.forget_console().await;
    page.close().await;
}

#[actix_web::test]
async fn a_prompt_that_cannot_be_sent_survives_a_reload_and_is_paid_for_once() {
    let app = spawn_app().await;
    let door = Proxy::start(app.addr).await;
    let page = Page::open(door.addr()).await;
    page.shown_text("#samples").await;
    // The prompt arrives, and its answer does not.
    door.set(Which::Sent("POST /v1/replies"), Effect::Hold(Way::Down));
    page.submit(PROMPT).await;
    app.upstream_was_asked().await;
    door.cut(Which::All, Cut::Reset);
    page.client.refresh().await.unwrap();
    page.reply("the prompt", |reply| reply.count == 1).await;
    assert_eq!(page.text(".prompt .text").await, PROMPT);
    door.lift();
    door.cut(Which::All, Cut::Reset);
    eventually("the reply", async || {
        let reply = page.newest().await.unwrap();
        if reply.has_ended() {
            return Ok(());
        }
        page.run("document.querySelector('.reply[data-status=unsent] .again')?.click()")
            .await;
        Err(reply)
    })
    .await;
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!(whole.proof.as_deref(), Some("sha256"));
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(asked.len(), 1, "the same key finds the reply");
    close_after_network_errors(page).await;
}

#[actix_web::test]
async fn a_dead_connection_never_looks_like_writing() {
    let app = spawn_stepped(&["--ping-seconds=1"]).await;
    let door = Proxy::start(app.addr).await;
    let page = Page::open(door.addr()).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;

    // Nothing arrives any more, and no error is reported.
    door.set_for_present(Which::All, Effect::Hold(Way::Down));
    let lost = page
        .reply("the loss", |reply| reply.status == "reconnecting")
        .await;
    assert!(lost.words.contains("goes on without you"), "{lost:?}");
    page.reply("the way back", Reply::is_being_written).await;

    // A cut, while text is pending.
    app.steps.release(10);
    door.set(Which::All, Effect::CutAfter(Way::Down, 0, Cut::Reset));
    door.cut(Which::All, Cut::Reset);
    page.reply("the loss", |reply| reply.status == "reconnecting")
        .await;
    for _ in 0..20 {
        let still = page.newest().await.unwrap();
        assert_eq!(still.status, "reconnecting", "{still:?}");
    }
    door.lift();
    app.steps.release(REST);
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!(whole.proof.as_deref(), Some("sha256"));
    close_after_network_errors(page).await;
}

#[actix_web::test]
async fn a_reply_that_went_unread_is_called_paused_and_can_be_continued() {
    let flags = ["--idle-reader-seconds=0.2", "--max-idle-reader-seconds=0.2"];
    let app = spawn_scenario("stall", &flags).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let before = page.reply("first words", Reply::is_being_written).await;
    page.client.goto("about:blank").await.unwrap();
    app.all_ended().await;
    page.client.goto(&page.url).await.unwrap();
    let paused = page.reply("the end", Reply::has_ended).await;
    assert_eq!(paused.words, "Paused while you were away");
    assert_eq!(paused.offer.as_deref(), Some("Continue"));
    assert!(paused.text.starts_with(&before.text));
    page.close().await;
}

#[actix_web::test]
async fn the_page_asks_for_patience() {
    let app = spawn_scenario(
        "stall",
        &["--idle-reader-seconds=0.1", "--stall-seconds=600"],
    )
    .await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let before = page.reply("first words", Reply::is_being_written).await;
    page.client.goto("about:blank").await.unwrap();
    // Started later, and stopped for its lack of readers.
    let other = app.start("river").await;
    let other_ended = async {
        while app.log(&other).await.end().is_none() {
            tokio::task::yield_now().await;
        }
    };
    crate::support::client::soon("the other reply to end", other_ended).await;
    page.client.goto(&page.url).await.unwrap();
    let still = page.reply("the same reply", Reply::is_being_written).await;
    assert_eq!(still.id, before.id);
    page.click("#stop").await;
    page.reply("the end", Reply::has_ended).await;
    page.close().await;
}

#[actix_web::test]
async fn a_reply_that_is_no_longer_kept_is_no_failure_and_keeps_what_had_arrived() {
    let app = spawn_stepped(&["--retention-seconds=0.1"]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    let before = page.reply("first words", Reply::is_being_written).await;
    page.client.goto("about:blank").await.unwrap();
    app.steps.release(REST);
    eventually("the reply to be evicted", async || {
        match app.get(&before.path()).await.status {
            404 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    page.client.goto(&page.url).await.unwrap();
    let gone = page.reply("the end", Reply::has_ended).await;
    assert_eq!(gone.outcome.as_deref(), Some("gone"));
    assert_eq!(gone.words, "The rest of this reply is no longer kept.");
    assert_eq!(gone.offer.as_deref(), Some("Continue"));
    assert!(gone.text.starts_with(&before.text) && !gone.text.is_empty());
    close_after_network_errors(page).await;
}

#[actix_web::test]
async fn a_prompt_that_no_model_could_take_is_given_back() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    let long = "a".repeat(250 * 1024);
    let script = format!(
        "const prompt = document.querySelector('#prompt'); prompt.value = '{long}'; prompt.form.requestSubmit();"
    );
    page.run(&script).await;
    let problem = page.shown_text("#problem").await;
    assert!(problem.contains("240 KiB"), "{problem}");
    assert_eq!(
        page.run("return document.querySelector('#prompt').value.length")
            .await,
        250 * 1024
    );
    assert!(page.newest().await.is_none());
    page.press("x").await;
    assert_eq!(
        page.run("return document.querySelector('#problem').hidden")
            .await,
        true
    );
    page.close().await;
}
