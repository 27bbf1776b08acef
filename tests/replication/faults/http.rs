//! HTTP for clients that expect the worst: nothing here fails a test, everything is told.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take before the client gives this connection up.
const PATIENCE: Duration = Duration::from_secs(4);

/// A response as it comes in: head, chunks or length, events.
#[derive(Default)]
pub struct Body {
    raw: Vec<u8>,
    head: Option<String>,
    pub decoded: Vec<u8>,
    pub ended: bool,
}

impl Body {
    pub fn status(&self) -> Option<u16> {
        self.head.as_ref()?.split(' ').nth(1)?.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.as_ref()?.lines().skip(1);
        lines.find_map(|line| {
            let (its, value) = line.split_once(": ")?;
            its.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        if self.head.is_none()
            && let Some(end) = find(&self.raw, b"\r\n\r\n")
        {
            let head: Vec<u8> = self.raw.drain(..end + 4).collect();
            self.head = Some(String::from_utf8_lossy(&head).into_owned());
        }
        if self.head.is_none() {
            return;
        }
        if self.header("transfer-encoding").is_none() {
            let length = self
                .header("content-length")
                .and_then(|text| text.parse().ok());
            self.decoded.append(&mut self.raw);
            self.ended = self.decoded.len() >= length.unwrap_or(0);
            return;
        }
        while let Some(line) = find(&self.raw, b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..line]).unwrap_or_default();
            let Ok(size) = usize::from_str_radix(size, 16) else {
                return;
            };
            if self.raw.len() < line + 2 + size + 2 {
                return;
            }
            self.decoded
                .extend_from_slice(&self.raw[line + 2..line + 2 + size]);
            self.raw.drain(..line + 2 + size + 2);
            self.ended |= size == 0;
        }
    }

    pub fn next_block(&mut self) -> Option<String> {
        let end = find(&self.decoded, b"\n\n")? + 2;
        let block: Vec<u8> = self.decoded.drain(..end).collect();
        Some(String::from_utf8_lossy(&block).into_owned())
    }

    /// Whether something has come that is not yet whole.
    pub fn is_in_mid_event(&self) -> bool {
        self.head.is_some() && !(self.raw.is_empty() && self.decoded.is_empty())
    }
}

/// Sends a request on a connection of its own and reads the whole answer.
///
/// # Errors
///
/// Nobody answers, not in time, or not to the end.
pub async fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Body> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Body::default();
        let mut piece = vec![0; 16 * 1024];
        while !answer.ended {
            match stream.read(&mut piece).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => answer.take(&piece[..read]),
            }
        }
        Ok(answer)
    };
    timeout(PATIENCE, exchange).await?
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
