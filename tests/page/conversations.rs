//! The conversations that the browser keeps, and their list.

use super::PROMPT;
use crate::support::{
    app::{TestApp, spawn_app},
    browser::{Page, Reply, eventually},
};

const OTHER: &str = "How does a seed know when to grow?";

/// A page, wide enough for the list, with two conversations; the second one is shown.
async fn with_two() -> (TestApp, Page) {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.resize(1280).await;
    for prompt in [PROMPT, OTHER] {
        page.click(".drawer .new-chat").await;
        page.shown_text("#welcome .name").await;
        page.submit(prompt).await;
        page.reply("the end", Reply::has_ended).await;
    }
    (app, page)
}

/// The titles in the list, waited for until there are as many.
async fn titles(page: &Page, count: usize) -> Vec<String> {
    let script =
        "return [...document.querySelectorAll('#conversations a')].map((a) => a.textContent)";
    eventually("the list", async || {
        let titles: Vec<String> = serde_json::from_value(page.run(script).await).unwrap();
        if titles.len() == count {
            Ok(titles)
        } else {
            Err(titles)
        }
    })
    .await
}

/// Opens the buttons of the first conversation, and presses one.
async fn choose(page: &Page, button: usize) {
    page.click("#conversations li:first-child .options").await;
    let selector = format!("#conversations .item-tools button:nth-child({button})");
    page.shown_text(&selector).await;
    page.click(&selector).await;
}

#[actix_web::test]
async fn conversations_are_listed_newest_first_and_opened_by_a_click() {
    let (_app, page) = with_two().await;
    assert_eq!(titles(&page, 2).await, [OTHER, PROMPT]);
    page.click("#conversations li:last-child a").await;
    eventually("the first conversation", async || {
        match page.text(".prompt .text").await {
            text if text == PROMPT => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // The address names it, and the way back leads to the other one.
    page.client.back().await.unwrap();
    eventually("the other conversation", async || {
        match page.text(".prompt .text").await {
            text if text == OTHER => Ok(()),
            other => Err(other),
        }
    })
    .await;
    page.close().await;
}

#[actix_web::test]
async fn a_conversation_is_renamed_and_keeps_its_name() {
    let (_app, page) = with_two().await;
    choose(&page, 1).await;
    page.shown_text(".rename").await;
    page.run("document.querySelector('.rename input').value = 'About seeds'; document.querySelector('.rename button').click()")
        .await;
    eventually("the new title", async || {
        let titles = titles(&page, 2).await;
        if titles[0] == "About seeds" {
            Ok(())
        } else {
            Err(titles)
        }
    })
    .await;
    page.client.refresh().await.unwrap();
    assert_eq!(titles(&page, 2).await, ["About seeds", PROMPT]);
    page.close().await;
}

#[actix_web::test]
async fn a_deleted_conversation_comes_back_with_undo_and_only_then() {
    let (_app, page) = with_two().await;
    choose(&page, 4).await;
    assert_eq!(titles(&page, 1).await, [PROMPT]);
    assert!(page.shown_text("#toast").await.contains(OTHER));
    page.click("#undo").await;
    titles(&page, 2).await;

    choose(&page, 4).await;
    titles(&page, 1).await;
    page.client.refresh().await.unwrap();
    // Leaving the page is no undo.
    assert_eq!(titles(&page, 1).await, [PROMPT]);
    page.close().await;
}

#[actix_web::test]
async fn the_search_looks_into_titles_prompts_and_replies() {
    let (_app, page) = with_two().await;
    for (wanted, found) in [
        ("SALTY", vec![PROMPT]),
        ("nowhere at all", vec![]),
        ("", vec![OTHER, PROMPT]),
    ] {
        let script = format!(
            "const search = document.querySelector('#search'); search.value = '{wanted}'; search.dispatchEvent(new Event('input'))"
        );
        page.run(&script).await;
        assert_eq!(titles(&page, found.len()).await, found, "{wanted}");
    }
    page.close().await;
}

#[actix_web::test]
async fn a_conversation_too_many_asks_before_the_oldest_one_is_deleted() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.resize(1280).await;
    page.shown_text("#samples").await;
    let script = "
        const open = indexedDB.open('rasta-stream');
        open.onsuccess = () => {
            const transaction = open.result.transaction('conversations', 'readwrite');
            for (let n = 0; n < 500; n++) transaction.objectStore('conversations').put(
                { id: n.toString(16).padStart(32, '0'), title: `Title ${n}`, first: '', created: n, updated: n, chosen: {} });
            transaction.oncomplete = () => { open.result.close(); done(null); };
        };";
    page.run_async(script).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    assert_eq!(titles(&page, 501).await[500], "Title 0");
    page.click(".drawer .new-chat").await;
    let asked = page.shown_text("#ask-words").await;
    assert!(
        asked.contains("500") && asked.contains("Title 0"),
        "{asked}"
    );
    page.click("#ask button[value=no]").await;
    page.newest()
        .await
        .expect("the conversation is still shown");

    page.click(".drawer .new-chat").await;
    page.shown_text("#ask-words").await;
    page.click("#ask button[value=yes]").await;
    assert_eq!(titles(&page, 500).await[499], "Title 1");
    page.close().await;
}
