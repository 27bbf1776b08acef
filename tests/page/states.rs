//! How the page shows each state of a reply and of the server.

use std::net::SocketAddr;

use rasta_stream::{config::Config, server::Server};
use tokio::sync::oneshot;

use super::PROMPT;
use crate::support::{
    app::{spawn_scenario, spawn_stepped},
    browser::{Page, Reply, eventually},
};

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
    assert_eq!(stopped.words, "Stopped by you");
    assert_eq!(stopped.text, "");
    assert_eq!(app.snapshot(&stopped.path()).await["reason"], "viewer");
    app.upstream_was_left().await;
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
    assert!(failed.words.contains("its key was refused"), "{failed:?}");
    assert_eq!(
        failed.offer.as_deref(),
        Some("Edit"),
        "trying again would not help"
    );
    assert_eq!(
        page.run("return document.querySelector('#banner').hidden")
            .await,
        true
    );
    page.close().await;
}

#[actix_web::test]
async fn the_wait_for_a_retry_is_counted_down_and_told_no_longer_once_words_come() {
    // Refused with retry-after-ms: 1500, twice; then the failure is told.
    let app = spawn_scenario("rate-limited", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("a reply", |_| true).await;
    eventually("the countdown", async || {
        let told = page.text(".reply .notice").await;
        if told == "The model is busy. Trying again in 1 s…" {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let failed = page.reply("the end", Reply::has_ended).await;
    assert!(failed.words.contains("Too many requests"), "{failed:?}");
    assert_eq!(
        page.run("return document.querySelector('.reply .notice').hidden")
            .await,
        true
    );
    page.close().await;
}

#[actix_web::test]
async fn the_banner_says_that_the_simulator_answers() {
    let (addr, _server) = spawn_with_its_own_simulator().await;
    let page = Page::open(addr).await;
    let banner = page.shown_text("#banner").await;
    assert!(banner.contains("built-in simulator"), "{banner:?}");
    // At a real model's pace, without steps.
    page.submit(PROMPT).await;
    page.reply("first words", Reply::is_being_written).await;
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
