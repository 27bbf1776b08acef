//! Whatever happens at whatever moment: the reply on the page is the server's, letter by letter, and is paid for
//! once. `MOMENTS=50` tries more moments than the suite does.

use serde_json::json;

use super::{OPENING, PROMPT, REST};
use crate::support::{
    app::{requests, spawn_stepped},
    browser::{Page, Reply},
    proxy::{Cut, Proxy, Which},
};

/// What happens to the page.
#[derive(Clone, Copy, Debug)]
enum Event {
    Reload,
    /// To another page, and back by the browser's own way.
    BackAndForward,
    /// As a browser does with a tab in the background.
    Freeze,
    Offline,
    Cut,
}

impl Event {
    const ALL: [Self; 5] = [
        Self::Reload,
        Self::BackAndForward,
        Self::Freeze,
        Self::Offline,
        Self::Cut,
    ];

    /// Lets it happen, and `meanwhile` while the page is away.
    async fn happen(self, page: &Page, door: &Proxy, meanwhile: impl FnOnce()) {
        let offline = |is: bool| json!({"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        match self {
            Self::Reload => {
                meanwhile();
                page.client.refresh().await.unwrap();
            }
            Self::BackAndForward => {
                page.client.goto("about:blank").await.unwrap();
                meanwhile();
                page.client.back().await.unwrap();
            }
            Self::Freeze => {
                page.cdp("Page.setWebLifecycleState", &json!({"state": "frozen"}))
                    .await;
                meanwhile();
                page.cdp("Page.setWebLifecycleState", &json!({"state": "active"}))
                    .await;
            }
            Self::Offline => {
                page.cdp("Network.emulateNetworkConditions", &offline(true))
                    .await;
                meanwhile();
                page.cdp("Network.emulateNetworkConditions", &offline(false))
                    .await;
            }
            Self::Cut => {
                door.cut(Which::All, Cut::Reset);
                meanwhile();
            }
        }
    }
}

#[actix_web::test]
async fn at_no_moment_is_a_letter_lost_or_a_reply_paid_for_twice() {
    let moments = std::env::var("MOMENTS").map_or(2, |count| count.parse().unwrap());
    let first = spawn_stepped(&[]).await;
    let page = Page::open(first.addr).await;
    page.cdp("Network.enable", &json!({})).await;
    for (event, moment) in Event::ALL
        .into_iter()
        .flat_map(|event| (0..moments).map(move |moment| (event, moment)))
    {
        // Pings tell soon that a connection is dead.
        let app = spawn_stepped(&["--ping-seconds=1"]).await;
        let door = Proxy::start(app.addr).await;
        let url = format!("http://{}/", door.addr());
        page.client.goto(&url).await.unwrap();
        page.shown_text("#samples").await;
        let (before, after) = (rand::random_range(0..60), rand::random_range(0..60));
        let what = format!("{event:?}, moment {moment}: {before} and {after} frames");
        page.submit(PROMPT).await;
        app.steps.release(before);
        if before > OPENING + 1 {
            page.reply(&what, Reply::is_being_written).await;
        }
        event
            .happen(&page, &door, || app.steps.release(after))
            .await;
        app.steps.release(REST);
        let whole = page.reply(&what, Reply::has_ended).await;
        assert_eq!(whole.proof.as_deref(), Some("sha256"), "{what}");
        let text = app.snapshot(&whole.path()).await["text"].clone();
        assert_eq!(whole.text, text, "{what}");
        let paid = requests(&app.simulator.journal().records()).len();
        assert_eq!((whole.count, paid), (1, 1), "{what}");
    }
    page.forget_console().await;
    page.close().await;
}
