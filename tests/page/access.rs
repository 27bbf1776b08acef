//! The page with a keyboard, and as axe sees it: WCAG 2.2, A and AA.

use std::process::Command;

use serde_json::json;

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{spawn_app, spawn_scenario, spawn_stepped},
    browser::{Page, Reply},
};

/// The source of axe. `tools.sh` installs it from npm.
fn axe() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("{root}/tests/page/tools.sh");
    let status = Command::new(&script).status().unwrap();
    assert!(status.success(), "{script} cannot install axe");
    let file = format!("{root}/target/page-tools/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fails on what axe finds, in light and dark and on a phone.
async fn is_accessible(page: &Page, what: &str) {
    let axe = axe();
    for (theme, width) in [("light", 1280), ("dark", 1280), ("light", 320)] {
        page.resize(width).await;
        let script = format!(
            "{axe};
            document.documentElement.dataset.theme = '{theme}';
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
            axe.run(document, {{ runOnly: tags }}).then(({{ violations }}) => done(violations.map(
                ({{ id, nodes }}) => [id, nodes.map((node) => node.html + node.failureSummary)])));"
        );
        let found = page.run_async(&script).await;
        assert_eq!(found, json!([]), "{what}, {theme}, {width} px");
    }
}

#[actix_web::test]
async fn axe_finds_nothing_before_during_and_after_a_reply() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.shown_text("#samples").await;
    is_accessible(&page, "empty").await;
    page.submit(PROMPT).await;
    page.reply("a reply", |reply| !reply.id.is_empty()).await;
    is_accessible(&page, "waiting").await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    is_accessible(&page, "writing").await;
    app.steps.release(REST);
    page.reply("the end", Reply::has_ended).await;
    is_accessible(&page, "complete").await;
    page.run("document.querySelector('.details').open = true")
        .await;
    is_accessible(&page, "figures").await;
    page.run("document.querySelector('.again').click()").await;
    page.reply("the second end", |reply| {
        reply.version.is_some() && reply.has_ended()
    })
    .await;
    is_accessible(&page, "versions").await;
    page.run("document.querySelector('.prompt .edit').click()")
        .await;
    is_accessible(&page, "editing").await;
    page.close().await;
}

#[actix_web::test]
async fn axe_finds_nothing_in_the_other_ends_and_in_the_dialogs() {
    for scenario in [
        "length",
        "unauthorized",
        "reply-filtered",
        "rate-limited",
        "empty",
        "markdown",
    ] {
        let app = spawn_scenario(scenario, &[]).await;
        let page = Page::open(app.addr).await;
        page.submit(PROMPT).await;
        page.reply("the end", Reply::has_ended).await;
        is_accessible(&page, scenario).await;
        page.close().await;
    }
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    page.resize(320).await;
    page.run("document.querySelector('.open-drawer').click()")
        .await;
    page.shown_text("#conversations a").await;
    page.click("#conversations .options").await;
    page.shown_text(".item-tools").await;
    is_accessible(&page, "the list").await;
    page.run("document.querySelector('#drawer').hidePopover?.(); document.querySelector('#help').click()")
        .await;
    page.shown_text("#help-dialog").await;
    is_accessible(&page, "the keys").await;
    page.close().await;
}
