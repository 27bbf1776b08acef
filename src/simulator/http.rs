//! HTTP/1.1 by hand, both directions: one request in, the bytes of a response head out.
//!
//! By hand, because the faults to be played are ones that no HTTP server would write.
//! This module knows nothing of Azure, JSON or SSE. Every size is bounded.

use std::{fmt::Write as _, io, time::SystemTime};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Request line and headers; a client that sends more is broken or hostile.
const MAX_HEAD: usize = 64 * 1024;
/// Headers in one request: room for any SDK and the gateways before it.
const MAX_HEADERS: usize = 128;
/// Request body. A long conversation is a few hundred KiB.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// One chunk-size or trailer line of a chunked body.
const MAX_LINE: usize = 4 * 1024;

/// A whole request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query as sent.
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Returns the first header of this (lower-case) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// Why no request came of a connection.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client closed or broke the connection: nobody is left to tell.
    Gone,
    /// The client is there, but this status is all it can be told.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads one request, answering `Expect: 100-continue` on the way.
pub(super) async fn read_request(stream: &mut TcpStream) -> Result<Request, ReadError> {
    let mut inbox = Inbox {
        stream,
        buffer: BytesMut::with_capacity(4096),
    };
    let mut request = inbox.head().await?;
    let chunked = match find(&request.headers, "transfer-encoding") {
        None => false,
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => true,
        Some(_) => return Err(ReadError::Refused(501)),
    };
    let length = content_length(&request.headers)?;
    // Both at once is how requests are smuggled past one of two servers.
    if chunked && length.is_some() {
        return Err(ReadError::Refused(400));
    }
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(ReadError::Refused(413));
    }
    let expects = find(&request.headers, "expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    if expects && inbox.buffer.is_empty() {
        inbox
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await?;
    }
    request.body = match length {
        Some(length) => inbox.exactly(length).await?,
        None if chunked => inbox.chunks().await?,
        None => Vec::new(),
    };
    Ok(request)
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

fn content_length(headers: &[(String, String)]) -> Result<Option<usize>, ReadError> {
    let mut length = None;
    for (_, value) in headers.iter().filter(|(name, _)| name == "content-length") {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value: usize = match value.parse() {
            Ok(value) if digits => value,
            _ if digits => return Err(ReadError::Refused(413)),
            _ => return Err(ReadError::Refused(400)),
        };
        if length.is_some_and(|earlier| earlier != value) {
            return Err(ReadError::Refused(400));
        }
        length = Some(value);
    }
    Ok(length)
}

/// The unread part of a connection.
struct Inbox<'a> {
    stream: &'a mut TcpStream,
    buffer: BytesMut,
}

impl Inbox<'_> {
    async fn fill(&mut self) -> Result<(), ReadError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ReadError::Gone),
            _ => Ok(()),
        }
    }

    async fn head(&mut self) -> Result<Request, ReadError> {
        loop {
            if let Some((request, length)) = parse_head(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(request);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(ReadError::Refused(431));
            }
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).to_vec())
    }

    async fn line(&mut self) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end).to_vec();
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(ReadError::Refused(400));
            }
            self.fill().await?;
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = chunk_size(&line).ok_or(ReadError::Refused(400))?;
            if body.len().saturating_add(size) > MAX_BODY {
                return Err(ReadError::Refused(413));
            }
            if size == 0 {
                break;
            }
            body.extend_from_slice(&self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(ReadError::Refused(400));
            }
        }
        for _ in 0..MAX_HEADERS {
            if self.line().await?.is_empty() {
                return Ok(body);
            }
        }
        Err(ReadError::Refused(431))
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    // `from_str_radix` would take a sign.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ReadError::Refused(431)),
        Err(_) => return Err(ReadError::Refused(400)),
    };
    // Streams are chunked, which HTTP/1.0 does not know.
    if head.version != Some(1) {
        return Err(ReadError::Refused(505));
    }
    let headers = head
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers,
        body: Vec::new(),
    };
    Ok(Some((request, length)))
}

/// A response head in the making.
#[derive(Clone, Debug)]
pub(super) struct Head {
    status: u16,
    headers: Vec<(&'static str, String)>,
}

impl Head {
    /// Starts a head that announces the end of the connection, as every response here does.
    pub(super) fn new(status: u16) -> Self {
        let date = httpdate::fmt_http_date(SystemTime::now());
        Self {
            status,
            headers: vec![("Date", date), ("Connection", "close".to_owned())],
        }
    }

    /// Adds a header, or replaces the one of the same name.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        self = self.without(name);
        self.headers.push((name, value));
        self
    }

    /// Takes a header away.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Returns the status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Renders the head, its empty line included.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            // A line break in a value would be a header of somebody else's making.
            let value = value.replace(|character: char| character.is_control(), "");
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
