//! The bytes of a connection, which end when its deadline is over.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    activity::Activity,
    pool::{Place, Pool},
};

/// A connection that reads as ended once its deadline is over. A server then closes it as if the
/// client had, after what it still has to send.
#[derive(Debug)]
pub struct Connection<Io> {
    io: Io,
    activity: Activity,
    timer: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<Io> Connection<Io> {
    /// Takes a place in the pool.
    pub fn new(io: Io, pool: &Pool) -> Self {
        let (activity, place) = pool.add();
        Self {
            io,
            activity,
            timer: None,
            _place: place,
        }
    }

    /// What it is busy with.
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// What is underneath.
    #[must_use]
    pub const fn get_ref(&self) -> &Io {
        &self.io
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(deadline) = self.activity.deadline(cx.waker()) else {
                self.timer = None;
                return Poll::Pending;
            };
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // A later deadline is seen when the timer fires, so that a busy connection sets it seldom.
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        // Data first: after a pause of the process, the deadline is over as well.
        if let Poll::Ready(read) = Pin::new(&mut this.io).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.activity.received();
            }
            return Poll::Ready(read);
        }
        // Ready without a byte is the end.
        this.poll_deadline(cx).map(Ok)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
