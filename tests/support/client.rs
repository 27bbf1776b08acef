//! A client that shows what is on the wire: HTTP/1.1 over a socket, read as it comes. It shares no
//! code with the server.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long a test waits for anything before it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Awaits under the deadline.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// One event as it stood on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: u64,
    pub name: String,
    pub data: Value,
    /// The line before the stored bytes, on a connection's first event.
    pub retry: Option<u64>,
    /// The block as it came, without the `retry` line.
    pub block: String,
}

impl Event {
    pub fn parse(block: &str) -> Self {
        let (retry, stored) = match block.strip_prefix("retry: ") {
            Some(rest) => {
                let (number, stored) = rest.split_once('\n').unwrap();
                (Some(number.parse().unwrap()), stored)
            }
            None => (None, block),
        };
        let lines: Vec<&str> = stored.trim_end_matches('\n').split('\n').collect();
        let [id, name, data] = lines[..] else {
            panic!("not three lines: {block:?}")
        };
        Self {
            id: id.strip_prefix("id: ").unwrap().parse().unwrap(),
            name: name.strip_prefix("event: ").unwrap().to_owned(),
            data: serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            retry,
            block: stored.to_owned(),
        }
    }

    pub fn is_ping(&self) -> bool {
        self.name == "ping"
    }
}

/// A response whose body has not been read yet.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    stream: TcpStream,
    /// Bytes that have come and were not yet used.
    raw: Vec<u8>,
    length: Option<usize>,
    chunked: bool,
    ended: bool,
    /// Decoded body that was not yet given out.
    body: Vec<u8>,
}

/// Sends a request on a connection of its own.
pub async fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Response {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    send_bytes(addr, request.as_bytes(), method).await
}

/// Sends bytes as they are.
pub async fn send_raw(addr: SocketAddr, request: &[u8]) -> Response {
    send_bytes(addr, request, "").await
}

async fn send_bytes(addr: SocketAddr, request: &[u8], method: &str) -> Response {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // An early refusal may close the connection before the whole body was taken.
    let _ = stream.write_all(request).await;
    Response::read(stream, method).await
}

impl Response {
    async fn read(mut stream: TcpStream, method: &str) -> Self {
        let mut raw = Vec::new();
        let head = loop {
            if let Some(end) = find(&raw, b"\r\n\r\n") {
                let head = String::from_utf8(raw.drain(..end + 4).collect()).unwrap();
                break head;
            }
            let read = soon("a response head", stream.read_buf(&mut raw))
                .await
                .unwrap();
            assert!(read > 0, "the connection ended before the head: {raw:?}");
        };
        let mut lines = head.trim_end().split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let get = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        let length = get("content-length").map(|length| length.parse().unwrap());
        let chunked = get("transfer-encoding") == Some("chunked");
        let ended = method == "HEAD" || status == 204 || status == 304 || length == Some(0);
        Self {
            status,
            length,
            chunked,
            ended,
            headers,
            stream,
            raw,
            body: Vec::new(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Waits for more of the body; false at its end.
    async fn more(&mut self) -> bool {
        loop {
            if self.ended {
                return false;
            }
            if self.take_decoded() {
                return true;
            }
            if self.ended {
                return false;
            }
            let read = soon("more of a body", self.stream.read_buf(&mut self.raw))
                .await
                .unwrap();
            assert!(read > 0, "the connection was cut in mid-body");
        }
    }

    /// Moves what is whole from `raw` to `body`; true if something was.
    fn take_decoded(&mut self) -> bool {
        if let Some(left) = self.length {
            let part: Vec<u8> = self.raw.drain(..self.raw.len().min(left)).collect();
            self.length = Some(left - part.len());
            self.ended = left == part.len();
            self.body.extend_from_slice(&part);
            return !part.is_empty();
        }
        assert!(self.chunked, "a body has a length or chunks");
        let Some(line) = find(&self.raw, b"\r\n") else {
            return false;
        };
        let size = std::str::from_utf8(&self.raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if self.raw.len() < line + 2 + size + 2 {
            return false;
        }
        self.ended = size == 0;
        self.body
            .extend_from_slice(&self.raw[line + 2..line + 2 + size]);
        self.raw.drain(..line + 2 + size + 2);
        size > 0
    }

    /// The next event, pings included; `None` when the body has ended in good order.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = find(&self.body, b"\n\n") {
                let block = String::from_utf8(self.body.drain(..end + 2).collect()).unwrap();
                return Some(Event::parse(&block));
            }
            if !self.more().await {
                assert!(
                    self.body.is_empty(),
                    "the body ended in mid-event: {:?}",
                    self.body
                );
                return None;
            }
        }
    }

    /// The next event that is not a ping.
    pub async fn next_stored(&mut self) -> Option<Event> {
        loop {
            match self.next().await {
                Some(event) if event.is_ping() => {}
                other => return other,
            }
        }
    }

    /// All events that are still to come, pings left out.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next_stored().await {
            events.push(event);
        }
        events
    }

    /// The whole body.
    pub async fn bytes(mut self) -> Vec<u8> {
        while self.more().await {}
        self.body
    }

    /// The whole body as text.
    pub async fn text(self) -> String {
        String::from_utf8(self.bytes().await).unwrap()
    }

    /// All that follows the head until the server closes the connection, whatever the head says.
    pub async fn after_the_head(mut self) -> Vec<u8> {
        let rest = self.stream.read_to_end(&mut self.raw);
        soon("the connection to close", rest).await.unwrap();
        self.raw
    }

    /// The whole body as JSON.
    pub async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// What two viewers of one reply must agree on, byte for byte.
pub fn blocks(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.block.clone()).collect()
}

/// The text that a client makes of the events, by the contract.
pub fn text_of(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        match event.name.as_str() {
            "delta" => text.push_str(event.data["text"].as_str().unwrap()),
            "replace" => event.data["text"].as_str().unwrap().clone_into(&mut text),
            _ => {}
        }
    }
    text
}

/// Checks what every whole transcript promises, and gives its `end`.
pub fn proven(events: &[Event]) -> &Value {
    use sha2::Digest as _;
    let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
    assert_eq!(
        ids,
        (1..=events.len() as u64).collect::<Vec<_>>(),
        "ids are contiguous from 1"
    );
    assert_eq!(events[0].name, "start");
    let ends = events.iter().filter(|event| event.name == "end").count();
    let last = events.last().unwrap();
    assert_eq!(
        (ends, last.name.as_str()),
        (1, "end"),
        "one end, and it is last"
    );
    let text = text_of(events);
    let hash: String = sha2::Sha256::digest(&text)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(last.data["bytes"], text.len());
    assert_eq!(last.data["sha256"], hash);
    &last.data
}
