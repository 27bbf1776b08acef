//! Signing in, where the server asks for access tokens, and a caller's limits.

use super::PROMPT;
use crate::support::{
    app::{Setup, requests, spawn_app_with, spawn_scenario},
    browser::{Page, Reply},
};

const TOKEN: &str = "correct-horse-battery-staple";

#[actix_web::test]
async fn a_prompt_is_sent_after_signing_in_and_the_token_is_not_kept() {
    let tokens = format!("--access-tokens=ada:{TOKEN}");
    let app = spawn_app_with(Setup {
        flags: &[&tokens],
        ..Setup::default()
    })
    .await;
    let page = Page::open(app.addr).await;
    // The dialog comes by itself.
    page.shown_text("#sign-in").await;
    page.run("document.querySelector('#sign-in').close()").await;
    page.submit(PROMPT).await;
    let refused = page
        .reply("the refusal", |reply| reply.status == "unsent")
        .await;
    assert!(refused.words.contains("sign in"), "{refused:?}");

    page.shown_text("#sign-in").await;
    page.run("document.querySelector('#token').value = 'this-one-is-not-known-here'; document.querySelector('#sign-in form').requestSubmit()")
        .await;
    assert!(
        page.shown_text("#sign-in-problem")
            .await
            .contains("not known")
    );
    page.run(&format!("document.querySelector('#token').value = '{TOKEN}'; document.querySelector('#sign-in form').requestSubmit()"))
        .await;
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!((whole.count, whole.status.as_str()), (1, "completed"));
    assert_eq!(page.text("#account-name").await, "ada");
    let kept = "return JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }) + document.cookie + document.querySelector('#token').value";
    assert!(!page.run(kept).await.as_str().unwrap().contains(TOKEN));

    // A reload is still signed in, until the user signs out.
    page.client.refresh().await.unwrap();
    page.reply("the same reply", Reply::has_ended).await;
    page.run("document.querySelector('#sign-out').click()")
        .await;
    page.shown_text("#sign-in").await;
    page.forget_console().await;
    page.close().await;
}

#[actix_web::test]
async fn a_caller_over_its_limit_is_told_how_long_to_wait_and_the_prompt_stays() {
    let app = spawn_scenario("stall", &["--replies-at-once=1"]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("first words", Reply::is_being_written).await;
    page.run("document.querySelector('.bar .new-chat').click()")
        .await;
    page.shown_text("#welcome .name").await;
    page.submit("And the river?").await;
    let refused = page
        .reply("the refusal", |reply| reply.status == "unsent")
        .await;
    assert!(refused.words.contains("too many requests"), "{refused:?}");
    assert_eq!(refused.offer.as_deref(), Some("Send again"));
    assert!(
        page.text(".reply .wait")
            .await
            .contains("You can try again in")
    );
    assert_eq!(page.text(".prompt .text").await, "And the river?");
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);
    page.forget_console().await;
    page.close().await;
}
