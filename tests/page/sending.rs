//! What the page sends, and what it sends again.

use fantoccini::Locator;
use serde_json::{Value, json};

use super::PROMPT;
use crate::support::{
    app::{requests, spawn_app, spawn_scenario},
    browser::{Page, Reply},
};

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
        let id = format!("{exchanges:032x}");
        seed(&page, &id, exchanges, &text).await;
        page.client
            .goto(&format!("{}#c={id}", page.url))
            .await
            .unwrap();
        page.client.refresh().await.unwrap();
        page.reply("the conversation", |reply| reply.count == exchanges)
            .await;
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
            reply.id != failed.id && reply.has_ended()
        })
        .await;
    assert_eq!((again.count, again.version.as_deref()), (1, Some("2/2")));
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

/// Puts a conversation of ended exchanges into the browser's database.
async fn seed(page: &Page, id: &str, exchanges: usize, text: &str) {
    let meta = json!({"id": id, "title": "", "first": "prompt 0", "created": 1, "updated": 1, "chosen": {}});
    let exchange = |n: usize| {
        json!({
            "key": format!("{id}-{n}"),
            "parent": n.checked_sub(1).map(|before| format!("{id}-{before}")),
            "conversation": id, "created": n, "prompt": format!("prompt {n}"), "before": "",
            "text": text, "id": "x", "end": {"status": "completed", "finish_reason": "stop"},
        })
    };
    let exchanges: Vec<Value> = (0..exchanges).map(exchange).collect();
    let script = format!(
        "const open = indexedDB.open('rasta-stream');
        open.onsuccess = () => {{
            const database = open.result;
            const transaction = database.transaction(['conversations', 'exchanges'], 'readwrite');
            transaction.objectStore('conversations').put({meta});
            for (const exchange of {}) transaction.objectStore('exchanges').put(exchange);
            transaction.oncomplete = () => {{ database.close(); done(null); }};
        }};",
        json!(exchanges)
    );
    page.run_async(&script).await;
}
