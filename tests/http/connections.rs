//! Clients that hold what others need: connections, descriptors, memory.

use std::{process::Command, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    app::spawn_app,
    client::{self, proven, soon},
    program::Serving,
};

const GET: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends a request and reads its response, which fits into one read.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.unwrap();
    let mut buffer = [0; 4096];
    let read = soon("a response", stream.read(&mut buffer)).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[actix_web::test]
async fn a_later_head_that_drips_is_cut_as_the_first_one_is() {
    let app = spawn_app().await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    let (mut read, mut write) = stream.split();
    let drip = async {
        loop {
            if write.write_all(b"G").await.is_err() {
                return std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let mut byte = [0];
    tokio::select! {
        () = drip => {}
        // Whether the end or a reset comes first depends on the next byte.
        _ = soon("the end of the connection", read.read(&mut byte)) => {}
    }
}

#[actix_web::test]
async fn half_a_chunked_body_holds_no_connection() {
    let app = spawn_app().await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let half = "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n\r\n5\r\n{\"pro";
    stream.write_all(half.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut response));
    read.await.expect("the connection stays open").unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    assert!(response.contains("did not arrive in time"), "{response}");
}

/// A server of one worker with few descriptors.
fn serving_with(descriptors: u32) -> Serving {
    let limit = format!("--nofile={descriptors}:{descriptors}");
    Serving::start_through(
        &["prlimit", &limit],
        "descriptors",
        &[("WORKERS", "1"), ("IDLE_READER_SECONDS", "60")],
    )
}

#[actix_web::test]
async fn idle_connections_make_room_for_new_callers() {
    let serving = serving_with(256);
    let mut idle = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(serving.addr).await.unwrap();
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    // The oldest ones were closed, the newest one is still served.
    assert_eq!(soon("the end", idle[0].read(&mut [0])).await.unwrap(), 0);
    assert!(ask(&mut idle[299]).await.starts_with("HTTP/1.1 200"));
    serving.signal("-TERM");
    let (code, log) = serving.finish();
    assert_eq!(code, Some(0));
    assert!(log.contains("the limit on open files is too low"), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
}

#[actix_web::test]
async fn without_descriptors_new_callers_are_refused_politely_and_the_server_recovers() {
    let serving = serving_with(160);
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let body = json!({"prompt": "river"}).to_string();
    // Streams hold all the connections that there may be.
    let mut streams = Vec::new();
    let refused = loop {
        let reply = client::send(serving.addr, "POST", "/v1/replies", &headers, Some(&body)).await;
        if reply.status != 200 && reply.status != 201 {
            break reply;
        }
        streams.push(reply);
        assert!(streams.len() < 160, "all were accepted");
    };
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json().await["code"], "overloaded");
    let page = client::send(serving.addr, "GET", "/livez", &[], None).await;
    assert_eq!(page.status, 200, "a health check is answered");
    let first = streams.remove(0);
    drop(streams);
    // The others have gone: there is room again.
    let page = async {
        while client::send(serving.addr, "GET", "/", &[], None)
            .await
            .status
            != 200
        {
            tokio::task::yield_now().await;
        }
    };
    soon("the page", page).await;
    drop(first);
    serving.signal("-TERM");
    let (code, log) = serving.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("upstream failed"), "{log}");
}

#[actix_web::test]
async fn a_deployment_is_not_blamed_for_descriptors_that_are_missing_here() {
    let serving = Serving::start("blame", &[("WORKERS", "1")]);
    let mut stream = TcpStream::connect(serving.addr).await.unwrap();
    ask(&mut stream).await;
    let set_limit = |limit: &str| {
        let pid = serving.pid().to_string();
        let set = Command::new("prlimit")
            .args(["--pid", &pid, limit])
            .status();
        assert!(set.unwrap().success());
    };
    // None is left; the connection that is open stays.
    set_limit("--nofile=3:");
    let body = r#"{"prompt":"river"}"#;
    let request = format!(
        "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    soon("the end", stream.read_to_string(&mut response))
        .await
        .unwrap();
    assert!(response.contains("upstream_unavailable"), "{response}");
    set_limit("--nofile=1024:");
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
    ];
    let mut reply = client::send(serving.addr, "POST", "/v1/replies", &headers, Some(body)).await;
    let events = reply.rest().await;
    assert_eq!(proven(&events)["status"], "completed");
    serving.signal("-TERM");
    let (_, log) = serving.finish();
    assert!(!log.contains("circuit opened"), "{log}");
}

#[actix_web::test]
async fn many_half_bodies_take_a_bounded_memory_and_small_requests_are_still_served() {
    let serving = Serving::start("half-bodies", &[("WORKERS", "1")]);
    let before = resident(&serving);
    let half = format!(
        "POST /v1/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 250000\r\n\r\n{{\"prompt\":\"{}",
        "x".repeat(240_000)
    );
    let mut open = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(serving.addr).await.unwrap();
        // One that is refused may be closed while it sends.
        let _ = stream.write_all(half.as_bytes()).await;
        open.push(stream);
    }
    let body = json!({"prompt": "river"}).to_string();
    let json = [("Content-Type", "application/json")];
    let small = client::send(serving.addr, "POST", "/v1/replies", &json, Some(&body)).await;
    assert_eq!(small.status, 201);
    let grown = resident(&serving) - before;
    assert!(grown < 256 << 10, "{grown} KiB");
    let mut refused = [0; 12];
    let last = open.last_mut().unwrap();
    soon("a refusal", last.read_exact(&mut refused))
        .await
        .unwrap();
    assert_eq!(&refused, b"HTTP/1.1 503");
}

/// The memory of a server, in KiB.
fn resident(serving: &Serving) -> i64 {
    let pid = serving.pid().to_string();
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.trim().parse().unwrap()
}
