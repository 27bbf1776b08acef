//! A client that shows the bytes on the wire, faults included.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{KEY, Simulator, in_time};
use http::Decoder;

#[path = "../../../tests/support/http.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests of the whole program"
)]
mod http;

/// A connection with a request sent.
pub(in crate::simulator::tests) struct Call {
    pub(in crate::simulator::tests) stream: TcpStream,
    pub(in crate::simulator::tests) seen: Vec<u8>,
    pub(in crate::simulator::tests) reads: usize,
}

/// A response as it was received.
#[derive(Debug)]
pub(in crate::simulator::tests) struct Response {
    pub(in crate::simulator::tests) raw: Vec<u8>,
    pub(in crate::simulator::tests) status: u16,
    pub(in crate::simulator::tests) head: String,
    pub(in crate::simulator::tests) body: Vec<u8>,
    /// Whether the body is complete.
    pub(in crate::simulator::tests) complete: bool,
    /// Whether the connection ended with an RST.
    pub(in crate::simulator::tests) reset: bool,
}

impl Call {
    pub(in crate::simulator::tests) async fn send(simulator: &Simulator, bytes: &[u8]) -> Self {
        let mut stream = TcpStream::connect(simulator.addr()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Self {
            stream,
            seen: Vec::new(),
            reads: 0,
        }
    }

    pub(in crate::simulator::tests) async fn post(
        simulator: &Simulator,
        path: &str,
        body: &Value,
    ) -> Self {
        Self::send(simulator, &request(path, KEY, &body.to_string())).await
    }

    /// Reads until the bytes seen contain `needle`.
    pub(in crate::simulator::tests) async fn until(&mut self, needle: &str) {
        in_time(async {
            while !String::from_utf8_lossy(&self.seen).contains(needle) {
                let count = self.stream.read_buf(&mut self.seen).await.unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&self.seen));
            }
        })
        .await;
    }

    pub(in crate::simulator::tests) async fn finish(mut self) -> Response {
        let reset = in_time(async {
            loop {
                match self.stream.read_buf(&mut self.seen).await {
                    Ok(0) => return false,
                    Ok(_) => self.reads += 1,
                    Err(_) => return true,
                }
            }
        })
        .await;
        Response::parse(self.seen, reset)
    }
}

pub(in crate::simulator::tests) fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A request without a body.
pub(in crate::simulator::tests) async fn call(
    simulator: &Simulator,
    method: &str,
    path: &str,
) -> Response {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n");
    Call::send(simulator, head.as_bytes()).await.finish().await
}

pub(in crate::simulator::tests) async fn post(
    simulator: &Simulator,
    path: &str,
    body: &Value,
) -> Response {
    Call::post(simulator, path, body).await.finish().await
}

impl Response {
    fn parse(raw: Vec<u8>, reset: bool) -> Self {
        let mut decoder = Decoder::default();
        // What is no HTTP is not complete.
        let _ = decoder.push(&raw);
        let whole = decoder.is_complete() && decoder.undecoded().is_empty();
        Self {
            status: decoder.status().unwrap_or_default(),
            head: decoder
                .head()
                .map_or_else(String::new, |head| head.text.clone()),
            complete: whole || decoder.ends_with_the_connection(),
            body: decoder.body,
            reset,
            raw,
        }
    }

    pub(in crate::simulator::tests) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The data of each frame, whatever its line ends.
    pub(in crate::simulator::tests) fn frames(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body)
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        let blocks = text
            .trim_start_matches('\u{feff}')
            .split("\n\n")
            .map(|block| {
                let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
                lines
                    .map(|line| line.strip_prefix(' ').unwrap_or(line))
                    .collect::<Vec<_>>()
                    .join("\n")
            });
        blocks.filter(|data| !data.is_empty()).collect()
    }

    /// The types of the events of a response, each checked against its `event:` line.
    pub(in crate::simulator::tests) fn types(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body);
        let names = text.lines().filter_map(|line| line.strip_prefix("event: "));
        let types = self.chunks().into_iter();
        let types: Vec<_> = types
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names.collect::<Vec<_>>(), types);
        types
    }

    /// The events of one type.
    pub(in crate::simulator::tests) fn of_type(&self, kind: &str) -> Vec<Value> {
        let events = self.chunks().into_iter();
        events.filter(|event| event["type"] == kind).collect()
    }

    /// The deltas of one type, joined.
    pub(in crate::simulator::tests) fn joined(&self, kind: &str) -> String {
        let events = self.of_type(kind);
        let deltas = events.iter().map(|event| event["delta"].as_str().unwrap());
        deltas.collect()
    }

    pub(in crate::simulator::tests) fn chunks(&self) -> Vec<Value> {
        self.frames()
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }

    pub(in crate::simulator::tests) fn text(&self) -> String {
        let chunks = self.chunks();
        chunks
            .iter()
            .filter_map(|c| c["choices"][0]["delta"]["content"].as_str())
            .collect()
    }

    pub(in crate::simulator::tests) fn deltas(&self) -> usize {
        let chunks = self.chunks();
        let texts = chunks
            .iter()
            .filter_map(|c| c["choices"][0]["delta"]["content"].as_str());
        texts.filter(|text| !text.is_empty()).count()
    }

    pub(in crate::simulator::tests) fn finish_reason(&self) -> Option<String> {
        let chunks = self.chunks();
        let reason = |c: &Value| Some(c["choices"][0]["finish_reason"].as_str()?.to_owned());
        chunks.iter().find_map(reason)
    }

    pub(in crate::simulator::tests) fn done(&self) -> bool {
        self.frames().last().is_some_and(|data| data == "[DONE]")
    }

    pub(in crate::simulator::tests) fn usage(&self) -> Option<Value> {
        let usage = self.chunks().pop()?["usage"].take();
        usage.is_object().then_some(usage)
    }
}
