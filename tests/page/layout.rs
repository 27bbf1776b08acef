//! The page at every width.

use super::{OPENING, PROMPT};
use crate::support::{
    app::spawn_stepped,
    browser::{Page, Reply},
};

#[actix_web::test]
async fn nothing_sticks_out_on_a_phone_while_a_reply_runs() {
    let app = spawn_stepped(&[]).await;
    let page = Page::open(app.addr).await;
    page.submit(PROMPT).await;
    app.steps.release(OPENING + 10);
    page.reply("first words", Reply::is_being_written).await;
    // Phones, and both sides of every width at which the style sheet changes its mind.
    for width in [320, 390, 448, 449, 640, 641] {
        page.resize(width).await;
        let widest = page
            .run(
                "const parts = [...document.querySelectorAll('button, textarea, .message')];
                const rights = parts.map((part) => part.getBoundingClientRect().right);
                return Math.max(document.documentElement.scrollWidth, ...rights);",
            )
            .await;
        assert!(
            widest.as_f64().unwrap() <= f64::from(width),
            "{widest} in {width}"
        );
    }
    page.close().await;
}
