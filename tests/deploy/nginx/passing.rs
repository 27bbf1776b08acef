//! How requests and events pass nginx, with replicas that know nothing of each other.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use awc::{Client, http::Version};
use rasta_stream::simulator::{Options, Simulator, Steps};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::{Nginx, OPENING, PROMPT, REST, STREAM, replica, source::Source, start, stepped};
use crate::support::{
    app::spawn_canned,
    client::{self, proven},
};

/// An address that refuses connections for as long as the socket is held.
fn dead() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// A replica that takes a request and goes away without an answer.
async fn dying() -> (SocketAddr, &'static AtomicUsize) {
    spawn_canned(Vec::new()).await
}

/// Each release of a delta must bring its event before the next one is released.
async fn comes_one_by_one(source: &mut Source, steps: &Steps) {
    assert!(source.next().await);
    assert_eq!(source.events[0].name, "start");
    steps.release(OPENING);
    for _ in 0..10 {
        steps.release(1);
        assert!(source.next().await);
        assert_eq!(source.events.last().unwrap().name, "delta");
    }
    steps.release(REST);
    source.rest().await;
    assert_eq!(proven(&source.events)["status"], "completed");
    assert_eq!(source.connections, 1);
}

#[actix_web::test]
async fn events_pass_nginx_one_by_one() {
    let (simulator, steps) = stepped().await;
    let one = replica(&simulator, &[]).await;
    let nginx = Nginx::start([one.addr(); 3]);
    let path = start(nginx.http).await;
    let url = format!("http://{}{path}/events", nginx.http);
    let mut source = Source::new(Client::builder().disable_timeout().finish(), url);
    comes_one_by_one(&mut source, &steps).await;
    assert_eq!(source.body.unwrap().version(), Version::HTTP_11);
}

#[actix_web::test]
async fn over_http_2_events_pass_nginx_one_by_one() {
    let (simulator, steps) = stepped().await;
    let one = replica(&simulator, &[]).await;
    let nginx = Nginx::start([one.addr(); 3]);
    let path = start(nginx.http).await;
    let url = format!("https://{}{path}/events", nginx.tls);
    let mut source = Source::new(nginx.http_2(), url);
    comes_one_by_one(&mut source, &steps).await;
    assert_eq!(source.body.unwrap().version(), Version::HTTP_2);
}

#[actix_web::test]
async fn a_reply_in_the_answer_to_its_post_passes_nginx_with_its_headers() {
    let (simulator, steps) = stepped().await;
    let one = replica(&simulator, &[]).await;
    let nginx = Nginx::start([one.addr(); 3]);
    let post = async |addr| client::send(addr, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    let mut behind = post(nginx.http).await;
    let direct = post(one.addr()).await;
    let theirs = |response: &client::Response| {
        // These are of one connection, one request, or one reply.
        let own = [
            "connection",
            "keep-alive",
            "server",
            "date",
            "location",
            "x-request-id",
        ];
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| !own.contains(&name.as_str()));
        headers.sort();
        headers
    };
    assert_eq!(theirs(&behind), theirs(&direct));
    assert_eq!(behind.header("x-accel-buffering"), Some("no"));
    assert_eq!(behind.next().await.unwrap().name, "start");
    steps.release(REST);
    while behind.next().await.is_some() {}
}

#[actix_web::test]
async fn a_replica_that_refuses_connections_costs_no_request() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica(&simulator, &[]).await;
    let (held, gone) = dead();
    let (held_too, gone_too) = dead();
    let nginx = Nginx::start([gone, gone_too, one.addr()]);
    for _ in 0..6 {
        let path = start(nginx.http).await;
        let snapshot = client::send(nginx.http, "GET", &path, &[], None).await;
        assert_eq!(snapshot.status, 200);
        let stopped = client::send(nginx.http, "DELETE", &path, &[], None).await;
        assert_eq!(stopped.status, 202);
    }
    drop((held, held_too));
}

#[actix_web::test]
async fn a_post_that_a_replica_has_taken_is_never_repeated_and_a_get_is() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica(&simulator, &[]).await;
    let path = start(one.addr()).await;
    let (first, first_count) = dying().await;
    let (second, second_count) = dying().await;
    let asked = || first_count.load(Ordering::SeqCst) + second_count.load(Ordering::SeqCst);

    let nginx = Nginx::start([first, second, first]);
    let post = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    assert_eq!((post.status, asked()), (502, 1));

    let nginx = Nginx::start([first, second, one.addr()]);
    for _ in 0..3 {
        let get = client::send(nginx.http, "GET", &path, &[], None).await;
        assert_eq!(get.status, 200);
    }
    assert!(asked() > 1, "a GET did meet a replica that died");
}

#[actix_web::test]
async fn a_new_reply_that_a_stopping_replica_refuses_is_started_by_another() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica(&simulator, &[]).await;
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Content-Type: application/problem+json\r\nContent-Length: 19\r\n\r\n{\"code\":\"draining\"}";
    let (stopping, count) = spawn_canned(refusal.to_vec()).await;
    let nginx = Nginx::start([stopping, one.addr(), one.addr()]);
    for _ in 0..6 {
        start(nginx.http).await;
    }
    assert!(count.load(Ordering::SeqCst) > 0, "it was asked");

    // If all refuse, the caller learns why, and when to retry.
    let nginx = Nginx::start([stopping; 3]);
    let post = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(PROMPT)).await;
    assert_eq!((post.status, post.header("retry-after")), (503, Some("1")));
    assert_eq!(post.json().await, json!({"code": "draining"}));
}

#[actix_web::test]
async fn without_any_replica_an_event_source_is_told_to_reconnect() {
    let (held, gone) = dead();
    let nginx = Nginx::start([gone; 3]);
    let path = "/v1/replies/00000000-0000-4000-8000-000000000000";
    let events = format!("{path}/events");
    let answer = client::send(nginx.http, "GET", &events, &[], None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(
        answer.header("cache-control"),
        Some("no-store, no-transform")
    );
    let text = answer.text().await;
    let retry: u32 = text
        .strip_prefix("retry: ")
        .and_then(|rest| rest.strip_suffix("\n\n"))
        .unwrap()
        .parse()
        .unwrap();
    assert!((1000..=4000).contains(&retry));
    for (method, path, body) in [("GET", path, None), ("POST", "/v1/replies", Some(PROMPT))] {
        let answer = client::send(nginx.http, method, path, &STREAM, body).await;
        assert_eq!(answer.status, 502);
    }
    drop(held);
}

#[actix_web::test]
async fn a_body_above_the_limit_is_refused_by_the_program() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica(&simulator, &[]).await;
    let nginx = Nginx::start([one.addr(); 3]);
    let body = " ".repeat(256 * 1024 + 1);
    let answer = client::send(nginx.http, "POST", "/v1/replies", &STREAM, Some(&body)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json().await["code"], "too_large");
}

#[actix_web::test]
async fn nginx_logs_neither_a_whole_id_nor_a_query() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let one = replica(&simulator, &[]).await;
    let (held, gone) = dead();
    let nginx = Nginx::start([gone, one.addr(), gone]);
    let path = start(nginx.http).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    for path in [
        path.clone(),
        format!("{path}?secret=canary"),
        format!("{path}/canary?secret=canary"),
        format!("/?{path}"),
    ] {
        client::send(nginx.http, "GET", &path, &[], None)
            .await
            .text()
            .await;
    }
    client::send(nginx.http, "DELETE", &path, &[], None).await;
    let (access, errors) = nginx.finish();
    assert_eq!(access.lines().count(), 6, "{access}");
    assert!(
        access.contains(&format!(" GET /v1/replies/{}* ", &id[..8])),
        "{access}"
    );
    assert!(
        access.contains(&gone.to_string()),
        "who failed is told: {access}"
    );
    for log in [access, errors] {
        assert!(!log.contains(&id[..9]), "{log}");
        assert!(!log.contains("secret"), "{log}");
    }
    drop(held);
}
