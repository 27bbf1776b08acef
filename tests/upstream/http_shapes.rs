//! HTTP as real servers and old proxies send it, which awc alone reads wrongly: every form in which the same
//! reply can arrive is the same reply.

use crate::support::{
    app::{Setup, spawn_app_with, spawn_canned},
    client::{Event, proven, text_of},
};

const FRAMES: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"One love\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: [DONE]\n\n";

/// The events of a reply whose upstream answers with these bytes and closes the connection.
async fn played(answer: String) -> Vec<Event> {
    let (upstream, _) = spawn_canned(answer.into_bytes()).await;
    let app = spawn_app_with(Setup {
        endpoint: Some(format!("http://{upstream}")),
        ..Setup::default()
    })
    .await;
    app.stream("river").await.rest().await
}

fn chunks(body: &str) -> String {
    // Also frames that are split over chunks.
    let parts = body.as_bytes().chunks(33);
    let chunks =
        parts.map(|part| format!("{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap()));
    chunks.collect::<String>() + "0\r\n\r\n"
}

#[actix_web::test]
async fn a_reply_is_the_same_however_http_delimits_it() {
    let (length, chunked) = (FRAMES.len(), chunks(FRAMES));
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{FRAMES}");
    let answers = [
        whole.clone(),
        format!("HTTP/1.1 200 OK\r\n\r\n{FRAMES}"),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{FRAMES}"),
        format!("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n{FRAMES}"),
        format!("HTTP/1.1 200\nContent-Type: text/event-stream\n\n{FRAMES}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{FRAMES}"),
        format!("HTTP/1.0 200 OK\r\n\r\n{FRAMES}"),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{FRAMES}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade\r\n\r\n{FRAMES}"),
        format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{FRAMES}",
            "x".repeat(30_000)
        ),
        format!("\r\nHTTP/1.1 200 OK\r\n\r\n{FRAMES}"),
        format!("HTTP/1.1 100 Continue\r\n\r\n{whole}"),
        format!("HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preload\r\n\r\n{whole}"),
        format!("{}{whole}", "HTTP/1.1 102 Processing\r\n\r\n".repeat(100)),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{FRAMES}"),
    ];
    for answer in answers {
        let head = answer.split(FRAMES).next().unwrap().to_owned();
        let events = played(answer).await;
        let end = proven(&events);
        assert_eq!(end["status"], "completed", "{head}: {end}");
        assert_eq!(text_of(&events), "One love", "{head}");
    }
}

#[actix_web::test]
async fn a_body_that_ends_with_the_connection_can_still_be_cut() {
    let cut = &FRAMES[..FRAMES.find("\"stop\"").unwrap()];
    let events = played(format!("HTTP/1.1 200 OK\r\n\r\n{cut}")).await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_truncated");
    assert_eq!(text_of(&events), "One love");
}

#[actix_web::test]
async fn a_refusal_is_read_however_http_delimits_it() {
    let error = r#"{"error":{"code":"content_filter","message":"filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    for head in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "HTTP/1.0 400 Bad Request\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let events = played(format!("{head}{error}")).await;
        assert_eq!(
            proven(&events)["error"]["code"],
            "prompt_filtered",
            "{head}"
        );
    }
}

#[actix_web::test]
async fn interim_responses_without_end_fail_the_reply() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(10_000);
    let events = played(interim).await;
    assert_eq!(proven(&events)["error"]["code"], "upstream_protocol");
}
