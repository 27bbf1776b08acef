//! A client that shows the bytes on the wire, faults included.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{KEY, Simulator, in_time};

/// A connection with a request sent.
pub(super) struct Call {
    pub(super) stream: TcpStream,
    pub(super) seen: Vec<u8>,
    pub(super) reads: usize,
}

/// A response as it was received.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) raw: Vec<u8>,
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether the body is complete.
    pub(super) complete: bool,
    /// Whether the connection ended with an RST.
    pub(super) reset: bool,
}

impl Call {
    pub(super) async fn send(simulator: &Simulator, bytes: &[u8]) -> Self {
        let mut stream = TcpStream::connect(simulator.addr()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Self {
            stream,
            seen: Vec::new(),
            reads: 0,
        }
    }

    pub(super) async fn post(simulator: &Simulator, path: &str, body: &Value) -> Self {
        Self::send(simulator, &request(path, KEY, &body.to_string())).await
    }

    /// Reads until the bytes seen contain `needle`.
    pub(super) async fn until(&mut self, needle: &str) {
        in_time(async {
            while !String::from_utf8_lossy(&self.seen).contains(needle) {
                let count = self.stream.read_buf(&mut self.seen).await.unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&self.seen));
            }
        })
        .await;
    }

    pub(super) async fn finish(mut self) -> Response {
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

pub(super) fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

pub(super) async fn post(simulator: &Simulator, path: &str, body: &Value) -> Response {
    Call::post(simulator, path, body).await.finish().await
}

impl Response {
    fn parse(raw: Vec<u8>, reset: bool) -> Self {
        let mut rest = raw.as_slice();
        let mut head = String::new();
        // Skips interim responses.
        while head.is_empty() || head.starts_with("HTTP/1.1 1") {
            let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
                break;
            };
            head = String::from_utf8(rest[..end + 2].to_vec()).unwrap();
            rest = &rest[end + 4..];
        }
        let status = head
            .split(' ')
            .nth(1)
            .map_or(0, |status| status.parse().unwrap());
        let (body, complete) = if head.contains("Transfer-Encoding: chunked") {
            dechunk(rest)
        } else {
            let length = head.split("Content-Length: ").nth(1);
            let length = length.map(|text| text.split('\r').next().unwrap().parse().unwrap());
            (
                rest.to_vec(),
                length.is_none_or(|length: usize| length == rest.len()),
            )
        };
        Self {
            status,
            head,
            body,
            complete,
            reset,
            raw,
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The data of each frame, whatever its line ends.
    pub(super) fn frames(&self) -> Vec<String> {
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

    pub(super) fn chunks(&self) -> Vec<Value> {
        self.frames()
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }

    pub(super) fn text(&self) -> String {
        let chunks = self.chunks();
        chunks
            .iter()
            .filter_map(|c| c["choices"][0]["delta"]["content"].as_str())
            .collect()
    }

    pub(super) fn deltas(&self) -> usize {
        let chunks = self.chunks();
        let texts = chunks
            .iter()
            .filter_map(|c| c["choices"][0]["delta"]["content"].as_str());
        texts.filter(|text| !text.is_empty()).count()
    }

    pub(super) fn finish_reason(&self) -> Option<String> {
        let chunks = self.chunks();
        let reason = |c: &Value| Some(c["choices"][0]["finish_reason"].as_str()?.to_owned());
        chunks.iter().find_map(reason)
    }

    pub(super) fn done(&self) -> bool {
        self.frames().last().is_some_and(|data| data == "[DONE]")
    }

    pub(super) fn usage(&self) -> Option<Value> {
        let usage = self.chunks().pop()?["usage"].take();
        usage.is_object().then_some(usage)
    }
}

fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
            return (body, false);
        };
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        let Ok(size) = usize::from_str_radix(line, 16) else {
            return (body, false);
        };
        bytes = &bytes[end + 2..];
        if size == 0 {
            return (body, bytes == b"\r\n");
        }
        body.extend_from_slice(&bytes[..size.min(bytes.len())]);
        if bytes.len() < size + 2 {
            return (body, false);
        }
        bytes = &bytes[size + 2..];
    }
}
