//! Requests for `http` URLs through a proxy: the request line names the whole URL, and the proxy's
//! credentials follow it.
//!
//! awc writes the path alone. So the first line of what it writes is replaced here; everything else
//! passes unchanged.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{proxies::Proxy, target::Target};

/// A connection to a proxy that forwards one request.
pub(super) struct Forwarded<S> {
    stream: S,
    line: RequestLine,
}

enum RequestLine {
    /// Not written by awc yet; what to put into it, and after it.
    Expected { origin: String, after: String },
    /// This much of it is still to be written to the proxy.
    Left(Bytes),
}

impl<S> Forwarded<S> {
    /// `stream` is a new connection to `proxy`.
    pub(super) fn new(stream: S, target: &Target, proxy: &Proxy) -> Self {
        Self {
            stream,
            line: RequestLine::Expected {
                origin: format!("http://{}", target.authority()),
                after: proxy.authorization_line(),
            },
        }
    }
}

impl<S> fmt::Debug for Forwarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forwarded")
    }
}

/// `POST /path HTTP/1.1` with the URL instead of the path. `None` if it is no request line.
fn absolute(line: &[u8], origin: &str, after: &str) -> Option<Bytes> {
    let path = line.iter().position(|byte| *byte == b' ')? + 1;
    let (method, rest) = line.split_at(path);
    Some(
        [method, origin.as_bytes(), rest, after.as_bytes()]
            .concat()
            .into(),
    )
}

impl<S: AsyncWrite + Unpin> Forwarded<S> {
    /// Writes what is left of the request line.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let RequestLine::Left(left) = &mut self.line {
            while !left.is_empty() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, left))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                left.advance(written);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Forwarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let RequestLine::Expected { origin, after } = &self.line {
            // awc encodes a head as a whole before it writes.
            let length = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1);
            let line = absolute(&bytes[..length], origin, after)
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            self.line = RequestLine::Left(line);
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_line(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_line(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_line(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Forwarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::{super::target::Security, *};

    #[tokio::test]
    async fn the_request_line_names_the_url_and_the_credentials_follow() {
        // So small that the line is written in parts.
        let (ours, mut theirs) = duplex(7);
        let target = Target::new(Security::Plain, "gpu.example", Some(8000));
        let proxy = Proxy::parse("http://user:word@proxy:1").unwrap();
        let mut forwarded = Forwarded::new(ours, &target, &proxy);
        let request = b"POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: gpu.example:8000\r\n\r\n{}";
        let write = async {
            forwarded.write_all(request).await.unwrap();
            forwarded.flush().await.unwrap();
            drop(forwarded);
        };
        let mut received = String::new();
        let ((), read) = tokio::join!(write, theirs.read_to_string(&mut received));
        read.unwrap();
        assert_eq!(
            received,
            "POST http://gpu.example:8000/v1/chat/completions?a=b HTTP/1.1\r\n\
             Proxy-Authorization: Basic dXNlcjp3b3Jk\r\nHost: gpu.example:8000\r\n\r\n{}"
        );
    }
}
