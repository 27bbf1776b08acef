//! Markdown on the page: what a reader sees, selects and copies, and that hostile text does nothing.

use std::process::Command;

use serde_json::{Value, json};

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{Setup, TestApp, spawn_app, spawn_app_with, spawn_scenario},
    browser::{Page, Reply, eventually},
};

/// The rendered reply.
const RENDERED: &str = "return document.querySelector('.reply .text').innerHTML";

/// Upstream replies in Markdown, step by step.
async fn spawn_stepped_markdown() -> TestApp {
    spawn_app_with(Setup {
        pace: None,
        deployment: "sim-markdown",
        ..Setup::default()
    })
    .await
}

#[actix_web::test]
async fn each_construct_is_rendered_and_a_reload_renders_the_same() {
    let app = spawn_scenario("markdown", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    let counts = page
        .run(
            "const count = (what) => document.querySelectorAll(`.reply .text ${what}`).length;
            return ['h3', 'h4', 'strong', 'em', 'del', 'ol > li', 'ul > li', 'li li', '.task input',
                'blockquote br', 'pre code', 'table td', '.align-end', 'hr', 'a', '.math', 'img', 'b'].map(count)",
        )
        .await;
    assert_eq!(
        counts,
        json!([1, 1, 2, 2, 1, 2, 4, 2, 2, 1, 1, 6, 3, 1, 3, 2, 0, 0])
    );
    let links = page
        .run("return [...document.querySelectorAll('.reply .text a')].map(({ href, rel, target }) => [href, rel, target])")
        .await;
    let link = |href| json!([href, "noopener noreferrer", "_blank"]);
    assert_eq!(
        links,
        json!([
            link("https://en.wikipedia.org/wiki/Water_cycle"),
            link("https://example.com/negril.jpg"),
            link("https://example.com/sea"),
        ])
    );
    let rendered = page.run(RENDERED).await;
    page.client.refresh().await.unwrap();
    page.reply("the end", Reply::has_ended).await;
    assert_eq!(page.run(RENDERED).await, rendered);
    page.close().await;
}

#[actix_web::test]
async fn a_selection_and_a_scrolled_block_stay_while_the_reply_goes_on() {
    let app = spawn_stepped_markdown().await;
    let page = Page::open(app.addr).await;
    page.resize(400).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING);
    // Until the first line of the table is shown.
    eventually("a table", async || {
        app.steps.release(1);
        match page.run("return !!document.querySelector('td')").await {
            Value::Bool(true) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    page.run(
        "const words = document.querySelector('.reply strong').firstChild;
        getSelection().setBaseAndExtent(words, 1, document.querySelector('.reply .text ol em').firstChild, 4);
        window.selected = getSelection().toString();
        document.querySelector('.reply pre').scrollLeft = 90;
        document.querySelector('.reply pre').focus()",
    )
    .await;
    app.steps.release(REST);
    page.reply("the end", Reply::has_ended).await;
    let kept = page
        .run(
            "return [getSelection().toString() === window.selected, window.selected.length > 20,
                document.querySelector('.reply pre').scrollLeft, document.activeElement.localName]",
        )
        .await;
    assert_eq!(kept, json!([true, true, 90, "pre"]));
    page.close().await;
}

#[actix_web::test]
async fn what_is_wide_scrolls_in_itself() {
    let app = spawn_scenario("markdown", &[]).await;
    let page = Page::open(app.addr).await;
    page.resize(320).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    let widths = page
        .run(
            "const scrolls = (what) => { const { scrollWidth, clientWidth } = document.querySelector(what); return scrollWidth > clientWidth; };
            return [scrolls('.reply pre'), scrolls('.reply .table'), scrolls('#scroller'), scrolls('html')]",
        )
        .await;
    assert_eq!(widths, json!([true, true, false, false]));
    page.close().await;
}

#[actix_web::test]
async fn a_reply_is_copied_as_markdown_and_its_code_as_code() {
    let app = spawn_scenario("markdown", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    let whole = page.reply("the end", Reply::has_ended).await;
    let source = app.snapshot(&whole.path()).await["text"].clone();
    // The clipboard itself needs a permission that a driven browser does not give.
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        .await;
    page.click(".reply .tools .copy").await;
    assert_eq!(page.run("return window.copied").await, source);
    page.click(".reply .code .copy").await;
    let copied = page.run("return window.copied").await;
    let copied = copied.as_str().unwrap();
    assert!(copied.starts_with("def saltiness("), "{copied}");
    assert!(copied.ends_with("in_cubic_meters\n"), "{copied}");
    assert_eq!(page.text(".reply .code .copy").await, "Copied");
    page.close().await;
}

#[actix_web::test]
async fn a_screen_reader_hears_the_rendered_words() {
    let app = spawn_scenario("markdown", &[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    page.reply("the end", Reply::has_ended).await;
    let heard = page.text("#announcer p:last-child").await;
    assert!(
        heard.contains(
            "The river and the sea. Irie the river, steady and free,\nit carries its salt"
        ),
        "{heard}"
    );
    assert!(!heard.contains(['#', '*', '|', '`']), "{heard}");
    page.close().await;
}

#[actix_web::test]
async fn a_long_reply_changes_only_its_last_block_and_that_rarely() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    let measured = page
        .run_async(
            "import('/markdown.js').then(({ createRenderer }) => {
                const part = '## A heading\\n\\nSome *words* of **weight**, `code` and [links](https://a.example), and more words'
                    + ' that make a paragraph of the length that a model writes when it explains a thing.\\n\\n- one with **strong** words\\n'
                    + '- two\\n  - three with `code`\\n\\n1. first\\n2. second\\n\\n```rust\\nfn main() {\\n    println!(\"irie\");\\n}\\n```\\n\\n'
                    + '| a | b |\\n|---|---|\\n| 1 | 2 |\\n\\n> a quote\\n\\n';
                const text = part.repeat(60).slice(0, 20_000);
                const root = document.createElement('div');
                root.className = 'text';
                document.querySelector('#transcript').append(root);
                const observer = new MutationObserver(() => {});
                observer.observe(root, { childList: true, characterData: true, attributes: true, subtree: true });
                const renderer = createRenderer(root);
                let [steps, changes, elsewhere, total, worst] = [0, 0, 0, 0, 0];
                for (let at = 0; at < text.length; at += 43.2) {
                    const before = root.lastChild;
                    const since = performance.now();
                    renderer.push(text.slice(Math.round(at), Math.round(at + 43.2)));
                    root.getBoundingClientRect();
                    const took = performance.now() - since;
                    [steps, total, worst] = [steps + 1, total + took, Math.max(worst, took)];
                    const records = observer.takeRecords();
                    changes += records.length;
                    const isEarlier = ({ target }) => target !== root && before && !before.contains(target)
                        && (before.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_PRECEDING);
                    elsewhere += records.filter(isEarlier).length;
                }
                done({ steps, changes, elsewhere, total, worst });
            }, (error) => done(String(error)))",
        )
        .await;
    println!("20 KB in steps, milliseconds: {measured}");
    assert_eq!(measured["steps"], 463);
    assert_eq!(
        measured["elsewhere"], 0,
        "changes before the last block: {measured}"
    );
    assert!(measured["changes"].as_u64().unwrap() < 5_000, "{measured}");
    page.close().await;
}

/// The texts of `markdown-samples.mjs`, as JavaScript: not all of them are valid Unicode.
fn samples() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!(
        "import {{ HOSTILE, PARTS }} from '{root}/tests/page/markdown-samples.mjs';
        console.log(JSON.stringify([...HOSTILE.filter((text) => text.length < 100_000), PARTS.join('')]))"
    );
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[actix_web::test]
async fn hostile_text_does_nothing_in_a_browser_and_means_the_same_in_pieces() {
    let app = spawn_app().await;
    let page = Page::open(app.addr).await;
    let script = format!(
        "const texts = {};
        import('/markdown.js').then(({{ createRenderer }}) => {{
            const render = (pieces) => {{
                const root = document.createElement('div');
                document.querySelector('#transcript').append(root);
                const renderer = createRenderer(root);
                for (const piece of pieces) renderer.push(piece);
                renderer.end();
                root.remove();
                return root;
            }};
            const wrong = [];
            for (const text of texts) {{
                const whole = render([text]);
                const length = Math.max(7, Math.ceil(text.length / 100));
                const pieces = Array.from({{ length: Math.ceil(text.length / length) }}, (_, at) => text.slice(at * length, (at + 1) * length));
                if (!render(pieces).isEqualNode(whole)) wrong.push(['differs in pieces', text.slice(0, 80)]);
                const bad = whole.querySelector('script, img, svg, iframe, style, form, [style], [src], [onclick], [onerror], [onload]');
                if (bad) wrong.push([bad.outerHTML, text.slice(0, 80)]);
                for (const {{ protocol, href }} of whole.querySelectorAll('a[href]')) {{
                    if (!['https:', 'http:', 'mailto:'].includes(protocol)) wrong.push([href, text.slice(0, 80)]);
                }}
            }}
            done(JSON.stringify(wrong));
        }}, (error) => done(String(error)))",
        samples()
    );
    assert_eq!(page.run_async(&script).await, "[]");
    page.close().await;
}
