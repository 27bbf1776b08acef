//! Hundreds of viewers that ask for a long reply and never read: what the kernel does not take of it
//! must stay where it is, and after the write time-out they are disconnected.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{interval, timeout},
};

use super::{
    crowd::{follow, newest, replica, start, stop, watch_to_the_end},
    usage::{memory, queued, raise_files, sockets},
};
use crate::support::{
    app::read_request,
    client::{blocks, proven},
    redis::Redis,
};

/// How many never read, on each replica.
const VIEWERS: usize = 500;
/// Over how many replies they are spread.
const REPLIES: usize = 10;
/// The text of one delta, in bytes.
const DELTA: usize = 16 * 1024;
/// How many deltas there are before they come: together more than the kernel takes.
const DELTAS: usize = 256;
/// What one viewer that does not read may cost a replica, in MiB: a page, what the web server has
/// taken of it, and the web server's own.
const VIEWER: f64 = 64.0 / 1024.0;
/// What the pages that are just being fetched, and the newest events of each reply, may cost it in all.
const PAGES: f64 = 64.0;
/// What the kernel may hold for one of them, in MiB.
const QUEUED: f64 = 128.0 / 1024.0;
/// Sockets that may have come for other reasons: to Redis, to upstream, of viewers that read.
const SOCKETS: usize = 20;
/// How long the kernel keeps what is not acknowledged is 30 s, which it may stretch by a probe's
/// interval.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(4 * 30);

#[actix_web::test]
async fn five_hundred_viewers_that_never_read_cost_little_and_are_disconnected() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", upstream.local_addr().unwrap());
    let (deltas, _) = watch::channel(DELTAS);
    tokio::spawn(send_long_replies(upstream, deltas.clone()));
    let redis = Redis::start().await;
    let leader = replica(&endpoint, Some(&redis)).await;
    let other = replica(&endpoint, Some(&redis)).await;
    let this = Path::new("/proc/self").canonicalize().unwrap();
    for process in [this, leader.proc(), other.proc()] {
        raise_files(&process);
    }
    let mut paths = Vec::new();
    for number in 0..REPLIES {
        let path = start(leader.addr(), &number.to_string()).await;
        let mut viewer = follow(leader.addr(), &path, DELTAS as u64 - 1).await;
        assert!(viewer.next_stored().await.is_some());
        paths.push(path);
    }

    let beat = deltas.clone();
    let beat = tokio::spawn(async move {
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            beat.send_modify(|count| *count += 1);
        }
    });
    let (mut walls, mut normal, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for (name, process) in [("another replica", &other), ("the leader", &leader)] {
        let addr = process.addr();
        normal.push(tokio::spawn(watch_to_the_end(addr, paths[0].clone())));
        before.push((name, process, memory(process).now, sockets(process)));
        for number in 0..VIEWERS {
            walls.push(wall(addr, &paths[number % REPLIES]).await);
        }
        let all = before.last().unwrap().3 + VIEWERS;
        until("the connections to be open", || sockets(process) >= all).await;
        // Who comes now gets what is written from now on.
        let last = newest(leader.addr(), &paths[0]).await;
        let mut viewer = follow(addr, &paths[0], last).await;
        assert_eq!(viewer.next_stored().await.unwrap().id, last + 1);
    }
    for (name, process, ..) in &before {
        let queued = queued(process);
        println!("the kernel holds {queued:.0} MiB for {VIEWERS} viewers of {name}");
        assert!(queued <= QUEUED * VIEWERS as f64, "{name}: {queued:.0} MiB");
    }
    for (name, process, idle, open) in before {
        until("the viewers that never read to be disconnected", || {
            sockets(process) <= open + SOCKETS
        })
        .await;
        let memory = memory(process);
        let rise = memory.peak - idle;
        println!(
            "{VIEWERS} viewers of {name} that never read: memory {idle:.0} MiB before, {:.0} MiB at \
             most, {:.0} MiB once they were disconnected",
            memory.peak, memory.now,
        );
        let bound = PAGES + VIEWER * VIEWERS as f64;
        assert!(rise <= bound, "{name}'s memory rose by {rise:.0} MiB");
    }
    drop(walls);
    beat.abort();
    stop(leader.addr(), &paths[0]).await;
    let mut seen = Vec::new();
    for viewer in normal {
        seen.push(viewer.await.unwrap().0);
    }
    assert_eq!(proven(&seen[0])["status"], "stopped");
    assert_eq!(blocks(&seen[0]), blocks(&seen[1]));
}

/// Asks for a reply and never reads it.
async fn wall(addr: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(addr).await.unwrap();
    let request = format!("GET {path}/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Waits for something that can only be looked at.
async fn until(what: &str, mut there: impl FnMut() -> bool) {
    let mut look = interval(Duration::from_millis(100));
    let looked = timeout(DISCONNECT_TIMEOUT, async {
        while !there() {
            look.tick().await;
        }
    });
    looked
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"));
}

/// Sends every reply as many deltas as are asked for by then.
async fn send_long_replies(upstream: TcpListener, deltas: watch::Sender<usize>) {
    let text = "x".repeat(DELTA);
    let frame = json!({"choices": [{"delta": {"content": text}}]});
    let frame = format!("data: {frame}\n\n");
    let chunk = format!("{:x}\r\n{frame}\r\n", frame.len());
    while let Ok((mut stream, _)) = upstream.accept().await {
        let (chunk, mut deltas) = (chunk.clone(), deltas.subscribe());
        tokio::spawn(async move {
            read_request(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut sent = 0;
            while let Ok(count) = deltas
                .wait_for(|count| *count > sent)
                .await
                .map(|count| *count)
            {
                for _ in sent..count {
                    // The reply was stopped, or the test is over.
                    if stream.write_all(chunk.as_bytes()).await.is_err() {
                        return;
                    }
                }
                sent = count;
            }
        });
    }
}
