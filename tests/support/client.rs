//! A client that shows what is on the wire: requests over connections of their own, and responses read as
//! they come, event by event.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::http::{self, Decoder, Head};

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
    decoder: Decoder,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Whole,
    /// With the connection.
    Cut,
}

/// Sends a request on a connection of its own.
pub async fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Response {
    let request = http::request(method, path, &addr.to_string(), headers, body);
    send_bytes(addr, &request, method).await
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

/// Sends a request on a connection of its own and reads the whole response, for tests in which servers fail.
///
/// # Errors
///
/// The connection fails or ends early, the response is not HTTP, or is not there within the time.
pub async fn try_send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
    time: Duration,
) -> std::io::Result<(Head, Vec<u8>)> {
    let request = http::request(method, path, &addr.to_string(), headers, body);
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(&request).await?;
        let mut decoder = Decoder::new(method);
        let mut piece = vec![0; 16 * 1024];
        while !decoder.is_complete() {
            match stream.read(&mut piece).await? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => decoder.push(&piece[..read])?,
            }
        }
        let head = decoder.head().cloned().ok_or(ErrorKind::InvalidData)?;
        Ok((head, decoder.body))
    };
    timeout(time, exchange).await?
}

impl Response {
    async fn read(stream: TcpStream, method: &str) -> Self {
        let mut response = Self {
            status: 0,
            headers: Vec::new(),
            stream,
            decoder: Decoder::new(method),
        };
        let head = loop {
            if let Some(head) = response.decoder.head() {
                break head.clone();
            }
            assert!(
                response.receive().await,
                "the connection ended before the head"
            );
        };
        let framed = !response.decoder.ends_with_the_connection();
        assert!(framed, "a body has a length or chunks");
        (response.status, response.headers) = (head.status, head.headers);
        response
    }

    /// Receives some bytes; false if the connection has ended.
    async fn receive(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        let read = soon("more of a response", self.stream.read(&mut piece))
            .await
            .unwrap();
        self.decoder.push(&piece[..read]).unwrap();
        read > 0
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Waits for more of the body; false at its end.
    async fn more(&mut self) -> bool {
        let before = self.decoder.body.len();
        while self.decoder.body.len() == before {
            if self.decoder.is_complete() {
                return false;
            }
            assert!(
                self.receive().await,
                "the connection was cut inside the body"
            );
        }
        true
    }

    /// The next block of an event stream that is not in the native form.
    pub async fn next_block(&mut self) -> String {
        loop {
            if let Some(block) = self.decoder.next_block() {
                return block;
            }
            assert!(self.more().await, "the body has ended");
        }
    }

    /// The next event, pings included; `None` when the body has ended in good order.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(block) = self.decoder.next_block() {
                return Some(Event::parse(&block));
            }
            if !self.more().await {
                let rest = &self.decoder.body;
                assert!(rest.is_empty(), "the body ended inside an event: {rest:?}");
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
        self.decoder.body
    }

    /// The whole body as text.
    pub async fn text(self) -> String {
        String::from_utf8(self.bytes().await).unwrap()
    }

    /// The body as text, and how it ended.
    pub async fn text_to_its_end(mut self) -> (String, Ending) {
        while !self.decoder.is_complete() {
            if !self.receive().await {
                let text = String::from_utf8(self.decoder.body).unwrap();
                return (text, Ending::Cut);
            }
        }
        (String::from_utf8(self.decoder.body).unwrap(), Ending::Whole)
    }

    /// Everything that is received after the head until the server closes the connection: the decoded body,
    /// if the response has one, and whatever follows.
    pub async fn after_the_head(mut self) -> Vec<u8> {
        while self.receive().await {}
        [&self.decoder.body, self.decoder.undecoded()].concat()
    }

    /// The whole body as JSON.
    pub async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }
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
