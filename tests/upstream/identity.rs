//! Microsoft Entra ID end to end: the program as App Service runs it, with a token endpoint on
//! loopback, and the simulator taking one token only.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rasta_stream::simulator::{Options, Pace, Simulator};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    app::requests,
    client::{self, proven, soon},
    program::{Serving, refusal, run},
};

/// The platform's token endpoint. Gives these tokens in turn, the last forever.
pub(super) async fn platform(tokens: &[&str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tokens: Vec<String> = tokens.iter().map(|&token| token.to_owned()).collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    tokio::spawn(async move {
        for count in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.unwrap() > 0);
            }
            heads
                .lock()
                .unwrap()
                .push(String::from_utf8(head).unwrap().to_lowercase());
            let token = &tokens[count.min(tokens.len() - 1)];
            let body = format!(
                r#"{{"access_token":"{token}","expires_on":"4102444800","resource":"r","token_type":"Bearer"}}"#
            );
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            // The program may have ended.
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (addr, asked)
}

async fn simulator(key: &str) -> Simulator {
    let options = Options {
        key: Some(key.to_owned()),
        pace: Pace::Instant,
        journal: true,
        ..Options::default()
    };
    Simulator::start(options).await.unwrap()
}

fn environment(simulator: &Simulator, platform: Option<SocketAddr>) -> Vec<(String, String)> {
    let mut env = vec![
        ("AZURE_OPENAI_ENDPOINT".to_owned(), simulator.url()),
        ("AZURE_OPENAI_DEPLOYMENT".to_owned(), "d".to_owned()),
    ];
    if let Some(addr) = platform {
        let endpoint = format!("http://{addr}/msi/token");
        env.push(("IDENTITY_ENDPOINT".to_owned(), endpoint));
        env.push(("IDENTITY_HEADER".to_owned(), "canary-header".to_owned()));
    }
    env
}

fn borrowed(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

pub(super) async fn check(name: &'static str, env: Vec<(String, String)>) -> std::process::Output {
    let checked = tokio::task::spawn_blocking(move || run(name, &["check"], &borrowed(&env)));
    soon("the check", checked).await.unwrap()
}

#[actix_web::test]
async fn a_refused_token_is_renewed_once_and_the_request_repeated() {
    let simulator = simulator("canary-new").await;
    let (addr, asked) = platform(&["canary-old", "canary-new"]).await;
    let output = check("entra-renewed", environment(&simulator, Some(addr))).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("OK: \"d\""), "{said}");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[0].contains("x-identity-header: canary-header"),
        "{}",
        asked[0]
    );
    assert!(
        asked[0].contains("resource=https%3a%2f%2fcognitiveservices.azure.com "),
        "{}",
        asked[0]
    );
    assert_eq!(requests(&simulator.journal().records()).len(), 2);
}

#[actix_web::test]
async fn an_identity_that_stays_refused_is_reported_with_the_role_it_lacks() {
    let simulator = simulator("another").await;
    let (addr, asked) = platform(&["canary-token"]).await;
    let error = refusal(&check("entra-role", environment(&simulator, Some(addr))).await);
    assert!(
        error.contains("the role \"Cognitive Services OpenAI User\""),
        "{error}"
    );
    assert!(!error.contains("canary"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(requests(&simulator.journal().records()).len(), 2);
}

#[actix_web::test]
async fn all_workers_share_one_token_and_no_log_holds_it() {
    let simulator = simulator("canary-token").await;
    let (addr, asked) = platform(&["canary-token"]).await;
    let mut env = environment(&simulator, Some(addr));
    env.push(("WORKERS".to_owned(), "2".to_owned()));
    env.push(("RUST_LOG".to_owned(), "trace".to_owned()));
    let serving = Serving::start("entra-workers", &borrowed(&env));
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let replies = (0..20).map(|_| async {
        let body = Some(r#"{"prompt":"river"}"#);
        let mut answer = client::send(serving.addr, "POST", "/v1/replies", &headers, body).await;
        proven(&answer.rest().await)["status"].clone()
    });
    for status in futures_util::future::join_all(replies).await {
        assert_eq!(status, "completed");
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    serving.signal("-TERM");
    let (_, log) = serving.finish();
    assert!(!log.contains("canary"), "{log}");
}

#[actix_web::test]
async fn without_key_and_identity_the_program_starts_and_reports_what_is_missing() {
    let simulator = simulator("k").await;
    let env = environment(&simulator, None);
    let serving = Serving::start("entra-none", &borrowed(&env));
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = Some(r#"{"prompt":"river"}"#);
    let mut answer = client::send(serving.addr, "POST", "/v1/replies", &headers, body).await;
    let events = answer.rest().await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_auth");
    serving.signal("-TERM");
    let (_, log) = serving.finish();
    let missing = "Azure CLI failed (";
    assert!(
        log.contains(missing) && log.contains("set AZURE_OPENAI_API_KEY"),
        "{log}"
    );
    let error = refusal(&check("entra-none-check", env).await);
    assert!(error.contains(missing), "{error}");
}
