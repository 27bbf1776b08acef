//! What only time and the kernel's buffers show: a head that is late, a viewer that never reads. The
//! upstreams here wait for real, since their slowness is what is tested.

use std::time::Duration;

use rasta_stream::event::{Seq, StopReason};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::support::{
    app::{Setup, TestApp, chunked, read_request, spawn_app_with},
    client::{proven, soon},
};

async fn app_before(upstream: &TcpListener, flags: &[&str]) -> TestApp {
    let endpoint = Some(format!("http://{}", upstream.local_addr().unwrap()));
    spawn_app_with(Setup {
        endpoint,
        flags,
        ..Setup::default()
    })
    .await
}

#[actix_web::test]
async fn a_head_that_is_late_is_waited_for_beyond_the_clients_own_five_seconds() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = app_before(&upstream, &[]).await;
    tokio::spawn(async move {
        let (mut stream, _) = upstream.accept().await.unwrap();
        read_request(&mut stream).await;
        sleep(Duration::from_millis(5500)).await;
        let finish = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        stream.write_all(&chunked(finish)).await.unwrap();
    });
    let events = app.stream("river").await.rest().await;
    let end = proven(&events);
    assert_eq!(end["status"], "completed", "{end}");
    assert!(end["ms"]["total"].as_u64().unwrap() >= 5500);
}

#[actix_web::test]
async fn a_viewer_that_never_reads_is_disconnected_and_its_reply_is_stopped() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Pings would be written to the viewer, and must not keep it; upstream's silence is not what ends
    // this reply.
    let flags = [
        "--max-reply-bytes=100000000",
        "--idle-reader-seconds=3",
        "--ping-seconds=1",
        "--stall-seconds=600",
    ];
    let app = app_before(&upstream, &flags).await;
    let (left, was_left) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = upstream.accept().await.unwrap();
        read_request(&mut stream).await;
        // More than the kernel takes for a connection; then silence, with the connection open.
        let text = "x".repeat(16 * 1024);
        let delta = json!({"choices": [{"delta": {"content": text}}]});
        let mut answer = chunked(format!("data: {delta}\n\n").repeat(1024).as_bytes());
        answer.truncate(answer.len() - b"0\r\n\r\n".len());
        stream.write_all(&answer).await.unwrap();
        // Nothing more is sent to upstream: this resolves when the server closes the connection.
        let read = stream.read(&mut [0]).await;
        left.send(read).unwrap();
    });
    let path = app.start("river").await;
    let mut viewer = TcpStream::connect(app.addr).await.unwrap();
    let request = format!("GET {path}/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    viewer.write_all(request.as_bytes()).await.unwrap();
    // The write time-out is 30 s, which the kernel may stretch by a probe's interval.
    let read = timeout(Duration::from_secs(100), was_left)
        .await
        .expect("it is never disconnected");
    assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    let log = app.log(&path).await;
    let mut reader = log.reader();
    soon("the end", reader.read_after(Seq(u64::MAX))).await;
    assert_eq!(log.end().unwrap().reason, Some(StopReason::Unread));
    drop(viewer);
}
