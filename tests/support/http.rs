//! HTTP/1.1 as a client sees it on the wire: a request as bytes, and a response decoded as its bytes arrive.
//!
//! All clients of the tests are built on it. It opens no connection, fails no test, and shares no code with
//! the server: what is malformed or cut short is told to the caller.

/// Encodes a request. A body gets its length.
pub fn request(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    request.into_bytes()
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    /// In the order of the wire, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it was received.
    pub text: String,
}

impl Head {
    /// The first value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(its, _)| its == name)?;
        Some(value)
    }
}

/// What the next bytes of a response are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Head,
    /// So many bytes of a body with a length.
    Body(usize),
    ChunkSize,
    /// So many bytes of a chunk, and the line end after it.
    Chunk(usize),
    /// What follows the last chunk.
    Trailers,
    /// A body that ends with the connection.
    Close,
    Nothing,
}

/// Bytes that are no HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Malformed(pub String);

impl From<Malformed> for std::io::Error {
    fn from(Malformed(what): Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, what)
    }
}

/// A response that is being received.
#[derive(Debug, Default)]
pub struct Decoder {
    next: Next,
    head: Option<Head>,
    /// Received and not decoded yet.
    raw: Vec<u8>,
    /// The decoded body that has not been taken yet.
    pub body: Vec<u8>,
    /// Whether it answers a `HEAD` request.
    bodyless: bool,
}

impl Decoder {
    /// A response to this method.
    pub fn new(method: &str) -> Self {
        Self {
            bodyless: method == "HEAD",
            ..Self::default()
        }
    }

    /// The final head, once it is received; interim ones are skipped.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    pub fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status)
    }

    /// Whether the response says itself where it ends, and has.
    pub fn is_complete(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Whether the end of the connection is the end of the body.
    pub fn ends_with_the_connection(&self) -> bool {
        self.next == Next::Close
    }

    /// Bytes that are received and not yet decoded; after the end of the response those that are too many.
    pub fn undecoded(&self) -> &[u8] {
        &self.raw
    }

    /// Takes in what was received.
    ///
    /// # Errors
    ///
    /// It is no HTTP/1.1. The decoder is of no use any more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.raw.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// Takes the next server-sent event out of the body, with its blank line.
    pub fn next_block(&mut self) -> Option<String> {
        let end = find(&self.body, b"\n\n")? + 2;
        let block: Vec<u8> = self.body.drain(..end).collect();
        // A replacement character would make it differ from every event that was stored.
        Some(String::from_utf8_lossy(&block).into_owned())
    }

    /// Decodes one element, and tells whether there may be another.
    fn step(&mut self) -> Result<bool, Malformed> {
        match self.next {
            Next::Head => return self.take_head(),
            Next::Body(left) => {
                let taken = self.take_body(left);
                self.next = match left - taken {
                    0 => Next::Nothing,
                    left => Next::Body(left),
                };
            }
            Next::ChunkSize => match httparse::parse_chunk_size(&self.raw) {
                Ok(httparse::Status::Complete((line, size))) => {
                    self.raw.drain(..line);
                    self.next = match usize::try_from(size) {
                        Ok(0) => Next::Trailers,
                        Ok(size) => Next::Chunk(size),
                        Err(_) => return Err(self.malformed("too long a chunk")),
                    };
                    return Ok(true);
                }
                Ok(httparse::Status::Partial) => {}
                Err(_) => return Err(self.malformed("no size of a chunk")),
            },
            Next::Chunk(0) => {
                if self.raw.len() < 2 {
                    return Ok(false);
                }
                if !self.raw.starts_with(b"\r\n") {
                    return Err(self.malformed("no line end after a chunk"));
                }
                self.raw.drain(..2);
                self.next = Next::ChunkSize;
                return Ok(true);
            }
            Next::Chunk(left) => {
                let taken = self.take_body(left);
                self.next = Next::Chunk(left - taken);
                return Ok(taken == left);
            }
            Next::Trailers => {
                if let Some(end) = find(&self.raw, b"\r\n") {
                    self.raw.drain(..end + 2);
                    if end > 0 {
                        return Ok(true);
                    }
                    self.next = Next::Nothing;
                }
            }
            Next::Close => {
                self.take_body(usize::MAX);
            }
            Next::Nothing => {}
        }
        Ok(false)
    }

    fn take_head(&mut self) -> Result<bool, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let end = match response.parse(&self.raw) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(error) => return Err(self.malformed(&format!("no head, {error}"))),
        };
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        });
        let head = Head {
            status: response.code.unwrap_or_default(),
            headers: headers.collect(),
            text: String::from_utf8_lossy(&self.raw[..end]).into_owned(),
        };
        self.raw.drain(..end);
        if (100..200).contains(&head.status) {
            return Ok(true);
        }
        let chunked = head.header("transfer-encoding") == Some("chunked");
        let length = head.header("content-length").map(str::parse);
        self.next = match length {
            _ if self.bodyless || [204, 304].contains(&head.status) => Next::Nothing,
            _ if chunked => Next::ChunkSize,
            Some(Ok(0)) => Next::Nothing,
            Some(Ok(length)) => Next::Body(length),
            Some(Err(_)) => return Err(self.malformed("no number of bytes")),
            None => Next::Close,
        };
        self.head = Some(head);
        Ok(true)
    }

    /// Moves at most so many bytes to the body; gives how many.
    fn take_body(&mut self, most: usize) -> usize {
        let count = self.raw.len().min(most);
        self.body.extend(self.raw.drain(..count));
        count
    }

    fn malformed(&self, what: &str) -> Malformed {
        let start = &self.raw[..self.raw.len().min(80)];
        Malformed(format!("{what}: {:?}", String::from_utf8_lossy(start)))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut windows = haystack.windows(needle.len());
    windows.position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a response that comes in pieces of so many bytes.
    fn decode(method: &str, response: &str, piece: usize) -> Result<Decoder, Malformed> {
        let mut decoder = Decoder::new(method);
        for bytes in response.as_bytes().chunks(piece) {
            decoder.push(bytes)?;
        }
        Ok(decoder)
    }

    #[test]
    fn a_response_is_decoded_however_its_bytes_come() -> Result<(), Malformed> {
        for (method, response, status, body, complete) in [
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                200,
                "hello",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
                200,
                "hell",
                false,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\na\r\nlo\r\n, you.\r\n0\r\n\r\n",
                200,
                "hello\r\n, you.",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\nX: y\r\n\r\n",
                200,
                "hel",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
                200,
                "he",
                false,
            ),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", false),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                200,
                "",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                404,
                "",
                true,
            ),
        ] {
            for piece in 1..=response.len() {
                let decoder = decode(method, response, piece)?;
                assert_eq!(decoder.status(), Some(status), "{response:?}");
                assert_eq!(decoder.body, body.as_bytes(), "{response:?}");
                assert_eq!(decoder.is_complete(), complete, "{response:?}");
                assert!(decoder.undecoded().is_empty(), "{response:?}");
                let heads = decoder.head().map(|head| head.text.as_str());
                assert!(
                    heads.is_some_and(|head| response.contains(head) && head.ends_with("\r\n\r\n"))
                );
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_no_http_is_told() {
        for response in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(decode("GET", response, 7).is_err(), "{response:?}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_kept_apart() -> Result<(), Malformed> {
        let decoder = decode("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", 64)?;
        assert_eq!(
            (&decoder.body[..], decoder.undecoded()),
            (&b"a"[..], &b"bc"[..])
        );
        Ok(())
    }
}
