//! Every state of the page, looked at: no two ends look the same. The pictures, on a phone and on a desktop,
//! light and dark, are in `target/page-gallery`, with `index.html` as their contact sheet.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use super::{OPENING, PROMPT};
use crate::support::{
    app::{TestApp, spawn_app, spawn_scenario, spawn_stepped},
    browser::{Page, Reply},
    proxy::{Cut, Effect, Proxy, Way, Which},
};

const LOOKS: [(&str, u32, &str); 4] = [
    ("desktop-light", 1280, "light"),
    ("desktop-dark", 1280, "dark"),
    ("phone-light", 390, "light"),
    ("phone-dark", 390, "dark"),
];

/// The pictures that were taken.
struct Gallery {
    folder: PathBuf,
    states: Vec<String>,
}

impl Gallery {
    fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/page-gallery");
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            states: Vec::new(),
        }
    }

    /// Takes a picture of the page in each look.
    async fn add(&mut self, page: &Page, state: &str) {
        for (look, width, theme) in LOOKS {
            page.resize(width).await;
            page.run(&format!(
                "document.documentElement.dataset.theme = '{theme}'"
            ))
            .await;
            let picture = page.client.screenshot().await.unwrap();
            fs::write(self.folder.join(format!("{state}-{look}.png")), picture).unwrap();
        }
        self.states.push(state.to_owned());
    }

    fn write_contact_sheet(&self) {
        let mut html = String::from(
            "<!DOCTYPE html><meta charset=utf-8><title>Every state</title>\
             <style>img{height:20rem;margin:.25rem;border:1px solid #999}</style>\n",
        );
        for state in &self.states {
            writeln!(html, "<h2>{state}</h2>").unwrap();
            for (look, ..) in LOOKS {
                writeln!(
                    html,
                    "<img src=\"{state}-{look}.png\" alt=\"{state}, {look}\">"
                )
                .unwrap();
            }
        }
        fs::write(self.folder.join("index.html"), html).unwrap();
    }
}

/// What tells an end from the others without its color: shape, line and words.
async fn looks_of_the_end(page: &Page) -> String {
    let script = "
        const reply = document.querySelector('.reply');
        const { borderInlineStartStyle: line, borderInlineStartWidth: width } = getComputedStyle(reply);
        return [reply.querySelector('use').getAttribute('href'), line, width, reply.querySelector('.words').textContent].join(' ')";
    serde_json::from_value(page.run(script).await).unwrap()
}

/// Goes to a server, submits a prompt and waits for its end.
async fn ended(page: &Page, app: &TestApp) -> Reply {
    ask(page, app).await;
    page.reply("the end", Reply::has_ended).await
}

async fn ask(page: &Page, app: &TestApp) {
    let url = format!("http://{}/", app.addr);
    page.client.goto(&url).await.unwrap();
    page.shown_text("#samples").await;
    page.submit(PROMPT).await;
}

#[actix_web::test]
async fn no_two_ends_look_the_same() {
    let mut gallery = Gallery::new();
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    page.shown_text("#samples").await;
    gallery.add(&page, "empty").await;

    let mut looks = BTreeSet::new();
    let mut ends = 0;
    let scenarios: [(&str, &str, &[&str]); 12] = [
        ("complete", "any", &[]),
        ("no-text", "sim-empty", &[]),
        ("tools", "sim-tool-calls", &[]),
        ("length", "sim-length", &[]),
        ("prompt-filtered", "sim-prompt-filtered", &[]),
        ("reply-filtered", "sim-reply-filtered", &[]),
        ("retracted", "sim-async-filtered-late", &[]),
        ("key-refused", "sim-unauthorized", &[]),
        ("rate-limited", "sim-rate-limited", &[]),
        ("cut-off", "sim-truncated", &[]),
        ("too-long", "sim-context-too-long", &[]),
        ("went-silent", "sim-stall", &["--stall-seconds=0.2"]),
    ];
    for (state, deployment, flags) in scenarios {
        let app = crate::support::app::spawn_app_with(crate::support::app::Setup {
            deployment,
            flags,
            ..Default::default()
        })
        .await;
        ended(&page, &app).await;
        gallery.add(&page, state).await;
        // The filter has one look, whichever of its three ways it took.
        if !["retracted"].contains(&state) {
            looks.insert(looks_of_the_end(&page).await);
            ends += 1;
        }
    }

    let app = spawn_scenario("stall", &[]).await;
    ask(&page, &app).await;
    page.reply("first words", Reply::is_being_written).await;
    gallery.add(&page, "writing").await;
    page.click("#stop").await;
    page.reply("the end", Reply::has_ended).await;
    gallery.add(&page, "stopped").await;
    looks.insert(looks_of_the_end(&page).await);
    ends += 1;

    let flags = ["--idle-reader-seconds=0.2", "--max-idle-reader-seconds=0.2"];
    let app = spawn_scenario("stall", &flags).await;
    ask(&page, &app).await;
    page.reply("first words", Reply::is_being_written).await;
    page.client.goto("about:blank").await.unwrap();
    app.all_ended().await;
    page.client
        .goto(&format!("http://{}/", app.addr))
        .await
        .unwrap();
    page.reply("the end", Reply::has_ended).await;
    gallery.add(&page, "paused").await;
    looks.insert(looks_of_the_end(&page).await);
    ends += 1;
    assert_eq!(looks.len(), ends, "{looks:#?}");

    let app = spawn_stepped(&["--ping-seconds=1"]).await;
    let door = Proxy::start(app.addr).await;
    page.client
        .goto(&format!("http://{}/", door.addr()))
        .await
        .unwrap();
    page.shown_text("#samples").await;
    page.submit(PROMPT).await;
    page.reply("a reply", |reply| !reply.id.is_empty()).await;
    gallery.add(&page, "waiting").await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    door.set(Which::All, Effect::CutAfter(Way::Down, 0, Cut::Reset));
    door.cut(Which::All, Cut::Reset);
    page.reply("the loss", |reply| reply.status == "reconnecting")
        .await;
    gallery.add(&page, "reconnecting").await;
    page.run("document.querySelector('.bar .new-chat').click()")
        .await;
    page.shown_text("#samples").await;
    page.submit(PROMPT).await;
    page.reply("the refusal", |reply| reply.status == "unsent")
        .await;
    gallery.add(&page, "not-sent").await;
    gallery.write_contact_sheet();
    page.forget_console().await;
    page.close().await;
}
