//! The bytes that awc receives for the bytes that a server sends, whatever the reads.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use proptest::prelude::*;

use super::*;

/// What awc reads of a response whose bytes arrive in pieces of this size.
async fn read_in(size: usize, response: &[u8]) -> Vec<u8> {
    let (ours, mut theirs) = duplex(size);
    let mut stream = ResponseStream::new(ours);
    let write = async {
        theirs.write_all(response).await.unwrap();
        drop(theirs);
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(write, stream.read_to_end(&mut received));
    read.unwrap();
    received
}

async fn passes_as(response: &[u8], expected: &[u8]) {
    for size in [1, 2, 3, 7, 64, 1 << 20] {
        let received = read_in(size, response).await;
        let (received, expected) = (received.escape_ascii(), expected.escape_ascii());
        let text = format!("{}", response[..response.len().min(200)].escape_ascii());
        assert_eq!(received.to_string(), expected.to_string(), "{size}: {text}");
    }
}

#[tokio::test]
async fn interim_responses_are_removed() {
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    for interim in [
        &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
        b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 100\n\n",
        b"HTTP/1.0 199 Any\r\nContent-Length: 5\r\n\r\n",
        b"\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ] {
        passes_as(&[interim, last].concat(), last).await;
    }
}

#[tokio::test]
async fn the_version_says_what_the_framing_means() {
    for (head, version) in [
        // As awc reads it.
        ("1.1 200 OK\r\nContent-Length: 2\r\n", "1.1"),
        ("1.0 200 OK\r\nContent-Length: 2\r\n", "1.0"),
        ("1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "1.1"),
        ("1.0 200 OK\r\nServer: HTTP/1.1\r\n", "1.0"),
        ("1.1 204 No Content\r\n", "1.1"),
        ("1.1 304 Not Modified\r\n", "1.1"),
        (
            "1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n",
            "1.1",
        ),
        // Not as awc reads it.
        ("1.1 200 OK\r\n", "1.0"),
        ("1.1 200 OK\r\nContent-Type: text/event-stream\r\n", "1.0"),
        ("1.1 503 Busy\r\nConnection: close\r\n", "1.0"),
        ("1.1 200 OK\r\nTransfer-Encoding: identity\r\n", "1.0"),
        ("1.1 200\n", "1.0"),
        ("1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", "1.1"),
        ("1.0 200 OK\r\ntransfer-encoding: Chunked\r\n", "1.1"),
    ] {
        let response = format!("HTTP/{head}\r\nbody HTTP/1.1\r\n\r\n");
        let expected = format!("HTTP/{version}{}", &response["HTTP/1.1".len()..]);
        passes_as(response.as_bytes(), expected.as_bytes()).await;
    }
}

#[tokio::test]
async fn what_is_no_head_passes_unchanged() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
        "x".repeat(2 * MAX_HEAD_BYTES)
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(HEADERS + 1));
    for response in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        passes_as(response, response).await;
    }
}

/// Parts of which heads and bodies consist, whole and broken.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "HTTP/1.1 ",
        "HTTP/1.0 ",
        "HTTP/1",
        "100 Continue",
        "103 Early Hints",
        "200 OK",
        "204 None",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "X: y",
        ":",
        "data: {}",
        " ",
    ]);
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn the_size_of_the_reads_changes_nothing(response in parts(), size in 1_usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = runtime.block_on(read_in(1 << 20, &response));
        let split = runtime.block_on(read_in(size, &response));
        prop_assert_eq!(&whole, &split);
        // Only interim heads are removed, and only a digit is changed.
        let end = &response[response.len() - whole.len()..];
        let changed = whole.iter().zip(end).filter(|(ours, theirs)| ours != theirs);
        prop_assert!(changed.count() <= 1);
    }
}

#[tokio::test]
async fn interim_responses_without_end_are_not_awaited_forever() {
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n";
    let response = interim.repeat(MAX_HEAD_BYTES / interim.len() + 1);
    let received = read_in(4096, &response).await;
    // The head at which the limit is reached is awc's to refuse, or it is complete and removed.
    assert!(received.len() < 4096);
    let mut received = Received::default();
    let mut handed = None;
    for _ in 0..=MAX_HEAD_BYTES / interim.len() {
        handed = handed.or(received.push(interim));
    }
    assert_eq!(handed.as_deref(), Some(&b""[..]));
}
