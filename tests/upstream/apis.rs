//! Which API a deployment is asked by: the one that answers, or the one that the settings name.

use rasta_stream::simulator::{JournalEvent, Options, Pace, Record, Simulator};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::retries::notices;
use crate::support::{
    app::{Setup, TestApp, chunked, requests, spawn_app_with, spawn_scenario},
    client::{Event, proven, text_of},
};

/// The URLs that were asked, in order.
fn urls(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .filter_map(|record| match &record.event {
            JournalEvent::Request { path_and_query, .. } => Some(path_and_query.clone()),
            _ => None,
        })
        .collect()
}

async fn completed(app: &TestApp) -> Vec<Event> {
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    assert_eq!(end["status"], "completed", "{end}");
    assert!(!text_of(&events).is_empty());
    events
}

const CHAT: &str = "/openai/v1/chat/completions";
const RESPONSES: &str = "/openai/v1/responses";

#[actix_web::test]
async fn a_model_that_has_only_responses_is_asked_over_it_and_that_is_remembered() {
    let app = spawn_scenario("responses-only", &["--workers=2"]).await;
    let events = completed(&app).await;
    assert_eq!(
        notices(&events),
        Vec::<&Value>::new(),
        "the person who waits need not know"
    );
    for _ in 0..4 {
        completed(&app).await;
    }
    let asked = urls(&app.simulator.journal().records());
    assert_eq!(asked[0], CHAT);
    assert_eq!(asked[1..], [RESPONSES; 5], "all workers know it");
}

#[actix_web::test]
async fn each_deployment_has_its_own_api() {
    let setup = Setup {
        deployment: "sim-rate-limited-day",
        more: &["sim-responses-only"],
        ..Setup::default()
    };
    let app = spawn_app_with(setup).await;
    let events = completed(&app).await;
    assert_eq!(notices(&events).len(), 1, "of the other deployment");
    let asked = urls(&app.simulator.journal().records());
    assert_eq!(asked, [CHAT, CHAT, RESPONSES]);
}

#[actix_web::test]
async fn a_request_over_responses_stores_nothing_and_has_every_setting() {
    let flags = [
        "--azure-openai-api=responses",
        "--system-prompt=Sing",
        "--max-output-tokens=800",
        "--temperature=0.5",
        "--reasoning-effort=low",
        "--reasoning-summary=auto",
    ];
    let app = spawn_scenario("think", &flags).await;
    completed(&app).await;
    let sent = requests(&app.simulator.journal().records());
    assert_eq!(
        sent,
        [json!({
            "model": "sim-think", "stream": true, "store": false, "instructions": "Sing",
            "input": [{"role": "user", "content": "river"}],
            "max_output_tokens": 800, "temperature": 0.5,
            "reasoning": {"effort": "low", "summary": "auto"},
        })]
    );
}

#[actix_web::test]
async fn a_field_that_the_model_refuses_is_left_out_over_responses_too() {
    let flags = ["--azure-openai-api=responses", "--temperature=0.5"];
    let app = spawn_scenario("reasoning-model", &flags).await;
    completed(&app).await;
    completed(&app).await;
    let sent = requests(&app.simulator.journal().records());
    let temperatures: Vec<bool> = sent
        .iter()
        .map(|body| body.get("temperature").is_some())
        .collect();
    assert_eq!(temperatures, [true, false, false]);
}

#[actix_web::test]
async fn a_pinned_api_is_the_only_one_that_is_asked() {
    for (scenario, pin, url) in [
        ("responses-only", "chat", CHAT),
        ("chat-only", "responses", RESPONSES),
    ] {
        let flag = format!("--azure-openai-api={pin}");
        let app = spawn_scenario(scenario, &[&flag]).await;
        let events = app.stream("river").await.rest().await;
        let end = proven(&events);
        assert_eq!(end["error"]["code"], "upstream_rejected", "{scenario}");
        assert_eq!(urls(&app.simulator.journal().records()), [url]);
    }
    let app = spawn_scenario("chat-only", &[]).await;
    completed(&app).await;
    assert_eq!(urls(&app.simulator.journal().records()), [CHAT]);
}

#[actix_web::test]
async fn a_pasted_url_of_responses_is_asked_first_and_is_no_pin() {
    let dated = "/openai/responses?api-version=2025-04-01-preview";
    for (deployment, asked_first) in [("any", dated), ("sim-chat-only", dated)] {
        let options = Options {
            pace: Pace::Instant,
            journal: true,
            ..Options::default()
        };
        let simulator = Simulator::start(options).await.unwrap();
        let app = spawn_app_with(Setup {
            deployment,
            endpoint: Some(format!("{}{dated}", simulator.url())),
            ..Setup::default()
        })
        .await;
        completed(&app).await;
        let asked = urls(&simulator.journal().records());
        assert_eq!(asked[0], asked_first);
        assert_eq!(asked.len() == 2, deployment == "sim-chat-only", "{asked:?}");
    }
}

#[actix_web::test]
async fn both_families_of_urls_have_responses() {
    for (version, expected) in [
        (
            "2025-03-01-preview",
            "/openai/responses?api-version=2025-03-01-preview",
        ),
        ("preview", "/openai/v1/responses?api-version=preview"),
        // Older than the API: the v1 URL has it all the same.
        ("2024-10-21", RESPONSES),
    ] {
        let version = format!("--azure-openai-api-version={version}");
        let app = spawn_scenario("responses-only", &[&version]).await;
        completed(&app).await;
        let asked = urls(&app.simulator.journal().records());
        assert_eq!(asked.len(), 2);
        assert!(asked[0].contains("/chat/completions"), "{asked:?}");
        assert_eq!(asked[1], expected);
    }
}

/// A compatible server that has one path only. Gives the base URL.
async fn spawn_with_only(path: &'static str, stream: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let read = connection.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = if request.starts_with(&format!("POST /v1{path} ")) {
                chunked(stream.as_bytes())
            } else {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{\"detail\":\"Not Found\"}"
                    .to_vec()
            };
            // The client may have left.
            let _ = connection.write_all(&answer).await;
        }
    });
    base
}

#[actix_web::test]
async fn a_compatible_server_is_asked_by_the_api_that_it_has() {
    let responses = concat!(
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"One love\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"model\":\"m\"}}\n\n",
    );
    let chat = concat!(
        "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"One love\"},",
        "\"finish_reason\":\"stop\"}]}\n\n",
    );
    for (path, stream, pasted) in [
        ("/responses", responses, ""),
        ("/chat/completions", chat, "/responses"),
    ] {
        let base = spawn_with_only(path, stream).await;
        let app = spawn_app_with(Setup {
            endpoint: Some(format!("{base}{pasted}")),
            ..Setup::default()
        })
        .await;
        let events = completed(&app).await;
        assert_eq!(text_of(&events), "One love");
        assert_eq!(notices(&events), Vec::<&Value>::new());
    }
    // A wrong path is still one, with its own diagnosis.
    let base = spawn_with_only("/elsewhere", "").await;
    let app = spawn_app_with(Setup {
        endpoint: Some(base),
        ..Setup::default()
    })
    .await;
    let events = app.stream("river").await.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_rejected");
}
