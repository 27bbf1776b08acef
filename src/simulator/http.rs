//! HTTP/1.1 by hand: reads one request, and renders response heads.
//!
//! By hand, because no HTTP server would send the faults that the scenarios need. This module knows
//! nothing of Azure, JSON or SSE. Every size is bounded.

use std::{fmt::Write as _, io, time::SystemTime};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The most bytes of request line and headers. Stops a client that never ends its head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most headers in one request: room for any SDK and the gateways before it.
const HEADER_LIMIT: usize = 128;
/// The most bytes of a request body. A long conversation is a few hundred KiB.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// The most bytes of a chunk-size or trailer line in a chunked body.
const MAX_LINE_BYTES: usize = 4 * 1024;

/// A complete request.
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
    /// The first header of this lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

/// Why a connection delivered no request.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client closed or broke the connection.
    Gone,
    /// The request is invalid; answer with this status.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads one request. Answers `Expect: 100-continue` before it reads the body.
pub(super) async fn read_request(stream: &mut TcpStream) -> Result<Request, ReadError> {
    let mut reader = RequestReader {
        stream,
        buffer: BytesMut::with_capacity(4096),
    };
    let mut request = reader.head().await?;
    let chunked = match find_header(&request.headers, "transfer-encoding") {
        None => false,
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => true,
        Some(_) => return Err(ReadError::Refused(501)),
    };
    let length = content_length(&request.headers)?;
    // Both at once is the usual form of request smuggling.
    if chunked && length.is_some() {
        return Err(ReadError::Refused(400));
    }
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(ReadError::Refused(413));
    }
    let expects = find_header(&request.headers, "expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    if expects && reader.buffer.is_empty() {
        reader
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await?;
    }
    request.body = match length {
        Some(length) => reader.exactly(length).await?,
        None if chunked => reader.chunks().await?,
        None => Vec::new(),
    };
    Ok(request)
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
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

/// A connection, with the bytes that are read and not yet parsed.
struct RequestReader<'a> {
    stream: &'a mut TcpStream,
    buffer: BytesMut,
}

impl RequestReader<'_> {
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
            if self.buffer.len() > MAX_HEAD_BYTES {
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
            if self.buffer.len() > MAX_LINE_BYTES {
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
            if body.len().saturating_add(size) > MAX_BODY_BYTES {
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
        for _ in 0..HEADER_LIMIT {
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
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ReadError::Refused(431)),
        Err(_) => return Err(ReadError::Refused(400)),
    };
    // Streams use chunked encoding, which HTTP/1.0 does not have.
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

/// A response head under construction.
#[derive(Clone, Debug)]
pub(super) struct Head {
    status: u16,
    headers: Vec<(&'static str, String)>,
}

impl Head {
    /// Starts a head with `Connection: close`: the simulator serves one request per connection.
    pub(super) fn new(status: u16) -> Self {
        let date = httpdate::fmt_http_date(SystemTime::now());
        Self {
            status,
            headers: vec![("Date", date), ("Connection", "close".to_owned())],
        }
    }

    /// Sets a header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        self = self.without(name);
        self.headers.push((name, value));
        self
    }

    /// Removes a header.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The status code.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Renders the head, its empty line included.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            // A line break in a value would inject a header.
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
