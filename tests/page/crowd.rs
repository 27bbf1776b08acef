//! Several tabs of one browser. Over HTTP/1.1 they share six connections to a host.

use fantoccini::{key::Key, wd::WindowHandle};

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{requests, spawn_app, spawn_scenario, spawn_stepped},
    browser::{Page, Reply},
};

/// More than the connections that there are.
const TABS: usize = 7;

async fn turn_to(page: &Page, tab: &WindowHandle) {
    page.client.switch_to_window(tab.clone()).await.unwrap();
}

#[actix_web::test]
async fn seven_running_replies_leave_room_for_a_stop_and_for_another_page() {
    // Some words, then silence: the reply keeps running.
    let app = spawn_scenario("stall", &["--stall-seconds=600"]).await;
    let page = Page::open(app.addr).await;
    let empty = format!("{}#new", page.url);
    let mut tabs = Vec::new();
    for _ in 0..TABS {
        tabs.push(page.open_tab(&empty).await);
        page.submit(PROMPT).await;
        page.reply("first words", Reply::is_being_written).await;
    }
    // Each of them can be stopped, the first one and the last.
    for tab in [&tabs[2], &tabs[TABS - 1], &tabs[0]] {
        turn_to(&page, tab).await;
        page.click("#stop").await;
        let stopped = page.reply("the end", Reply::has_ended).await;
        assert_eq!(stopped.words, "Stopped by you");
    }
    // A further page is loaded, and its reply is written.
    page.open_tab(&empty).await;
    page.submit(PROMPT).await;
    page.reply("first words", Reply::is_being_written).await;
    assert_eq!(app.store.running(), TABS - 3 + 1);
    page.close().await;
}

#[actix_web::test]
async fn a_second_tab_shows_the_same_conversation_while_it_is_written() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    let first = page.client.window().await.unwrap();
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    let before = page.reply("first words", Reply::is_being_written).await;

    page.open_tab(&page.url).await;
    let beside = page.reply_caught_up(&app, "").await;
    assert_eq!(beside.id, before.id);
    app.steps.release(REST);
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!(whole.proof.as_deref(), Some("sha256"));

    turn_to(&page, &first).await;
    let same = page.reply("the end", Reply::has_ended).await;
    assert_eq!(same.text, whole.text);
    // What one tab asks, the other shows.
    page.submit("And who put the salt there?").await;
    let second = page
        .reply("the second end", |reply| {
            reply.count == 2 && reply.has_ended()
        })
        .await;
    let other = page.client.windows().await.unwrap();
    let other = other.into_iter().find(|tab| *tab != first).unwrap();
    turn_to(&page, &other).await;
    let shown = page
        .reply("the other tab's reply", |reply| {
            reply.count == 2 && reply.has_ended()
        })
        .await;
    assert_eq!(shown.text, second.text);
    let asked = requests(&app.simulator.journal().records());
    assert_eq!(asked.len(), 2, "no tab pays for another's prompt again");
    page.close().await;
}

#[actix_web::test]
async fn a_reply_goes_on_while_another_conversation_is_shown() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.resize(1280).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    page.run("document.querySelector('.drawer .new-chat').click()")
        .await;
    page.shown_text("#welcome .name").await;
    let list = page.shown_text("#conversations").await;
    assert!(list.contains(PROMPT), "{list:?}");
    let dots = "return document.querySelectorAll('#conversations .dot').length";
    assert_eq!(page.run(dots).await, 1, "the list shows that a reply runs");

    app.steps.release(REST);
    page.run("document.querySelector('#conversations a').click()")
        .await;
    let whole = page.reply("the end", Reply::has_ended).await;
    assert_eq!(whole.text, app.snapshot(&whole.path()).await["text"]);
    page.close().await;
}

#[actix_web::test]
async fn without_a_name_in_the_address_the_newest_conversation_is_shown() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let first = page.reply("the end", Reply::has_ended).await;
    page.open_tab(&page.url).await;
    let shown = page.reply("the same reply", Reply::has_ended).await;
    assert_eq!(shown.text, first.text);
    page.close().await;
}

#[actix_web::test]
async fn a_link_shows_a_reply_in_another_browser_and_lets_it_do_nothing() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    let before = page.reply("first words", Reply::is_being_written).await;

    let other = Page::open(app.addr).await;
    let link = format!("{}#watch={}", other.url, before.id);
    other.client.goto("about:blank").await.unwrap();
    other.client.goto(&link).await.unwrap();
    let watched = other.reply_caught_up(&app, "").await;
    assert!(watched.text.starts_with(&before.text));
    let shown = "return [...document.querySelectorAll('#prompt-form, .prompt, .offers button')].filter((part) => part.checkVisibility()).length";
    assert_eq!(
        other.run(shown).await,
        0,
        "what could send or change anything"
    );
    other.press(&Key::Escape).await;
    app.steps.release(REST);
    for page in [&page, &other] {
        let whole = page.reply("the end", Reply::has_ended).await;
        assert_eq!(whole.proof.as_deref(), Some("sha256"));
    }
    assert_eq!(other.run(shown).await, 0);
    // It is no conversation of this browser.
    other.client.goto("about:blank").await.unwrap();
    other.client.goto(&other.url).await.unwrap();
    other.shown_text("#welcome .name").await;
    assert_eq!(requests(&app.simulator.journal().records()).len(), 1);
    other.close().await;
    page.close().await;
}
