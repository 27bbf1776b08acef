//! What a reader can do with prompts and replies.

use fantoccini::key::Key;
use serde_json::json;

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{requests, spawn_app, spawn_scenario, spawn_stepped},
    browser::{Page, Reply, eventually},
};

#[actix_web::test]
async fn a_draft_survives_a_reload() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.press("half a thou").await;
    page.client.refresh().await.unwrap();
    eventually("the draft", async || {
        match page
            .run("return document.querySelector('#prompt').value")
            .await
        {
            draft if draft == "half a thou" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    page.close().await;
}

#[actix_web::test]
async fn another_version_of_a_reply_leaves_the_first_one_available() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let first = page.reply("the end", Reply::has_ended).await;
    assert_eq!(
        (first.offer.as_deref(), &first.version),
        (Some("Regenerate"), &None)
    );

    page.click(".reply .again").await;
    let second = page
        .reply("the second end", |reply| {
            reply.id != first.id && reply.has_ended()
        })
        .await;
    assert_eq!((second.count, second.version.as_deref()), (1, Some("2/2")));
    page.click(".reply .previous").await;
    let shown = page.reply("the first", |reply| reply.id == first.id).await;
    assert_eq!(
        (shown.text, shown.version.as_deref()),
        (first.text.clone(), Some("1/2"))
    );
    // The chosen version is the one that is sent along, and the one that a reload shows.
    page.client.refresh().await.unwrap();
    page.reply("the first", |reply| reply.id == first.id).await;
    page.submit("And then?").await;
    page.reply("the third end", |reply| {
        reply.count == 2 && reply.has_ended()
    })
    .await;
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(
        asked[2]["messages"][2]["content"],
        shown_text(&app, &first).await
    );
    page.close().await;
}

async fn shown_text(app: &crate::support::app::TestApp, reply: &Reply) -> serde_json::Value {
    app.snapshot(&reply.path()).await["text"].clone()
}

#[actix_web::test]
async fn an_edited_prompt_takes_the_old_ones_place_and_the_old_one_stays_available() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    for (count, prompt) in [(1, PROMPT), (2, "And then?")] {
        page.submit(prompt).await;
        page.reply("the end", |reply| reply.count == count && reply.has_ended())
            .await;
    }
    page.run("document.querySelector('.prompt .edit').click()")
        .await;
    page.press(" Tell me all.").await;
    page.press(&Key::Enter).await;
    let edited = page
        .reply("the new end", |reply| reply.count == 1 && reply.has_ended())
        .await;
    assert_eq!(edited.version.as_deref(), Some("2/2"));
    let asked = requests(&app.simulator.journal().records());
    let prompt = format!("{PROMPT} Tell me all.");
    assert_eq!(
        asked[2]["messages"].as_array().unwrap()[1..],
        [json!({"role": "user", "content": prompt})]
    );

    page.click(".reply .previous").await;
    page.reply("what followed the old one", |reply| reply.count == 2)
        .await;
    page.close().await;
}

#[actix_web::test]
async fn a_reply_that_was_cut_off_is_continued_in_place() {
    let app = spawn_scenario("length", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let cut = page.reply("the end", Reply::has_ended).await;
    assert_eq!(
        (cut.outcome.as_deref(), cut.offer.as_deref()),
        (Some("length"), Some("Continue"))
    );
    page.click(".reply .continue").await;
    let longer = page
        .reply("the second end", |reply| {
            reply.id != cut.id && reply.has_ended()
        })
        .await;
    assert_eq!((longer.count, &longer.version), (1, &None));
    let rest = app.snapshot(&longer.path()).await["text"].clone();
    assert_eq!(
        longer.text,
        format!("{}{}", cut.text, rest.as_str().unwrap())
    );
    assert_eq!(longer.proof.as_deref(), Some("sha256"));
    let asked = requests(&app.simulator.journal().records());
    let messages = asked[1]["messages"].as_array().unwrap();
    assert_eq!(
        messages[2],
        json!({"role": "assistant", "content": cut.text})
    );
    assert!(
        messages[3]["content"]
            .as_str()
            .unwrap()
            .contains("exactly where it was cut off")
    );
    assert_eq!(
        page.run("return document.querySelectorAll('.prompt').length")
            .await,
        1
    );
    page.close().await;
}

#[actix_web::test]
async fn escape_stops_a_reply_and_the_prompt_can_be_repeated_with_the_arrow() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    // What is typed meanwhile is not sent, and the page says so.
    page.submit("Too early").await;
    assert!(page.text("#hint").await.contains("still being written"));
    page.press(&Key::Escape).await;
    let stopped = page.reply("the end", Reply::has_ended).await;
    assert_eq!(
        (stopped.count, stopped.words.as_str()),
        (1, "Stopped by you")
    );
    assert_eq!(stopped.offer.as_deref(), Some("Continue"));
    app.steps.release(REST);

    let prompt = "return document.querySelector('#prompt').value";
    assert_eq!(page.run(prompt).await, "Too early");
    page.run("document.querySelector('#prompt').value = ''")
        .await;
    page.press(&Key::Up).await;
    assert_eq!(page.run(prompt).await, PROMPT);
    page.close().await;
}

#[actix_web::test]
async fn the_text_of_a_reply_is_copied_without_what_is_around_it() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let whole = page.reply("the end", Reply::has_ended).await;
    // The clipboard itself needs a permission that a driven browser does not give.
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        .await;
    page.click(".reply .copy").await;
    assert_eq!(page.run("return window.copied").await, whole.text);
    assert_eq!(page.text(".reply .copy").await, "Copied");
    page.close().await;
}

#[actix_web::test]
async fn the_keys_are_listed_on_a_question_mark_and_one_begins_a_conversation() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    page.run("document.querySelector('#scroller').focus()")
        .await;
    page.press("?").await;
    let listed = page.shown_text("#help-dialog").await;
    assert!(
        listed.contains("New chat") && listed.contains("Esc"),
        "{listed}"
    );
    page.press(&Key::Escape).await;
    // In the prompt, it is a question mark.
    page.run("document.querySelector('#prompt').focus()").await;
    page.press("?").await;
    assert_eq!(
        page.run("return document.querySelector('#help-dialog').open")
            .await,
        false
    );
    let keys = format!("{}k", char::from(Key::Control));
    page.press(&keys).await;
    page.shown_text("#welcome .name").await;
    assert_eq!(page.run("return document.activeElement.id").await, "prompt");
    page.close().await;
}
