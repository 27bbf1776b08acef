//! With a clock that the test moves, and a pipe in memory for the socket.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex},
    time::{Instant, advance, timeout},
};

use super::{activity::KEEP_ALIVE_TIMEOUT, *};

fn connection(pool: &Pool, protocol: Protocol) -> (DuplexStream, Connection<DuplexStream>) {
    let (client, server) = duplex(1 << 16);
    let connection = Connection::new(server, pool);
    connection.activity().set_protocol(protocol);
    (client, connection)
}

/// How long a read takes that gets no byte.
async fn ends_after(connection: &mut Connection<DuplexStream>) -> Duration {
    let started = Instant::now();
    let read = timeout(Duration::from_secs(3600), connection.read(&mut [0; 64])).await;
    assert_eq!(read.expect("it never ends").unwrap(), 0);
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_after_a_while_and_a_busy_one_does_not() {
    let pool = Pool::new(8);
    let (_client, mut connection) = connection(&pool, Protocol::Http1);
    let request = connection.activity().begin();
    let read = timeout(Duration::from_secs(600), connection.read(&mut [0])).await;
    assert!(read.is_err(), "it ended while it was busy");
    drop(request);
    assert_eq!(ends_after(&mut connection).await, KEEP_ALIVE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_response_starts_the_clock_also_of_a_read_that_waits() {
    let pool = Pool::new(8);
    let (_client, mut connection) = connection(&pool, Protocol::Http1);
    let request = connection.activity().begin();
    let end = tokio::join!(ends_after(&mut connection), async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        drop(request);
    });
    assert_eq!(end.0, Duration::from_secs(100) + KEEP_ALIVE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn every_head_but_the_first_has_five_seconds_however_it_drips() {
    let pool = Pool::new(8);
    let (mut client, mut connection) = connection(&pool, Protocol::Http1);
    drop(connection.activity().begin());
    advance(Duration::from_secs(60)).await;
    let started = Instant::now();
    let drip = async {
        loop {
            client.write_all(b"G").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let read = async { while connection.read(&mut [0]).await.unwrap() > 0 {} };
    tokio::select! {
        () = read => {}
        () = drip => {}
    }
    assert_eq!(started.elapsed(), REQUEST_HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_has_the_time_of_a_head() {
    let pool = Pool::new(8);
    let (_client, mut connection) = connection(&pool, Protocol::Http1);
    let request = connection.activity().begin();
    connection.activity().expect_rest();
    drop(request);
    assert_eq!(ends_after(&mut connection).await, REQUEST_HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn bytes_between_the_requests_of_http2_are_no_head() {
    let pool = Pool::new(8);
    let (mut client, mut connection) = connection(&pool, Protocol::Http2);
    drop(connection.activity().begin());
    client.write_all(b"ping").await.unwrap();
    assert_eq!(connection.read(&mut [0; 64]).await.unwrap(), 4);
    assert_eq!(ends_after(&mut connection).await, KEEP_ALIVE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_response_of_http2_that_is_not_taken_ends_the_connection() {
    let pool = Pool::new(8);
    let (_client, mut connection) = connection(&pool, Protocol::Http2);
    let request = connection.activity().begin();
    let (waiting, taken) = (connection.activity().begin(), &request);
    let took = timeout(Duration::from_secs(600), connection.read(&mut [0])).await;
    assert!(took.is_err(), "it ended while nothing waited");
    taken.piece_waits();
    taken.pieces_taken();
    waiting.piece_waits();
    // The deadline is looked at once in each period.
    let after = ends_after(&mut connection).await;
    assert!(after <= Duration::from_secs(60), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn data_that_is_there_comes_before_a_deadline_that_is_over() {
    let pool = Pool::new(8);
    let (mut client, mut connection) = connection(&pool, Protocol::Http1);
    drop(connection.activity().begin());
    advance(2 * KEEP_ALIVE_TIMEOUT).await;
    client.write_all(b"GET").await.unwrap();
    assert_eq!(connection.read(&mut [0; 64]).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_is_idle_for_longest_makes_room() {
    let pool = Pool::new(2);
    let (_a, mut oldest) = connection(&pool, Protocol::Http1);
    advance(Duration::from_secs(1)).await;
    let (_b, busy) = connection(&pool, Protocol::Http1);
    let request = busy.activity().begin();

    let (_c, mut third) = connection(&pool, Protocol::Http1);
    assert!(third.activity().has_room());
    assert_eq!(ends_after(&mut oldest).await, Duration::ZERO);

    let other = third.activity().begin();
    let (_d, fourth) = connection(&pool, Protocol::Http1);
    assert!(!fourth.activity().has_room());

    drop((other, request, fourth, busy));
    let (_e, fifth) = connection(&pool, Protocol::Http1);
    assert!(fifth.activity().has_room());
    let mut buffer = [0];
    let mut buffer = ReadBuf::new(&mut buffer);
    let pending = poll_fn(|cx| {
        let mut third = pin!(&mut third);
        Poll::Ready(
            Pin::new(&mut **third)
                .poll_read(cx, &mut buffer)
                .is_pending(),
        )
    });
    assert!(pending.await, "there was room: nothing had to be closed");
}
