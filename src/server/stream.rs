//! The bytes of a client's connection, with TLS or without.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::connection::{Connection, Protocol, REQUEST_HEAD_TIMEOUT};

/// The bytes of a client's connection.
pub(super) enum Stream {
    Plain(Connection<TcpStream>),
    /// On the heap: the state of TLS takes a kilobyte.
    Tls(Box<TlsStream<Connection<TcpStream>>>),
}

impl Stream {
    /// Completes the handshake, which has the time of a request's head.
    pub(super) async fn open(
        connection: Connection<TcpStream>,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let Some(tls) = tls else {
            return Ok(Self::Plain(connection));
        };
        let stream = timeout(REQUEST_HEAD_TIMEOUT, tls.accept(connection)).await??;
        let (connection, session) = stream.get_ref();
        if session.alpn_protocol() == Some(b"h2") {
            connection.activity().set_protocol(Protocol::Http2);
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The connection below.
    pub(super) fn connection(&self) -> &Connection<TcpStream> {
        match self {
            Self::Plain(connection) => connection,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn io(&mut self) -> Pin<&mut dyn AsyncIo> {
        match self {
            Self::Plain(connection) => Pin::new(connection),
            Self::Tls(stream) => Pin::new(stream),
        }
    }
}

trait AsyncIo: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncIo for T {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(connection) => connection.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
