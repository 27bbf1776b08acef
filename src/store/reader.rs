//! A reader of a log: the event after a cursor, or a promise to wake the task.
//!
//! A reader owns no queue. It costs a cursor and, while it waits, one waker. Its caller keeps the
//! cursor, and cannot tell which kind of log it reads.

use std::task::{Context, Poll};

use super::{batch::Next, local_log::LocalReader, remote_log::RemoteReader};
use crate::event::Seq;

/// One open reader of a log. While it is open, the reply counts as read. Dropping it closes it.
#[derive(Debug)]
pub struct Reader(Kind);

#[derive(Debug)]
enum Kind {
    Local(LocalReader),
    Remote(RemoteReader),
}

impl Reader {
    /// The event after `cursor`; while there is none, the task is woken when there may be one.
    ///
    /// [`Next::Closed`] is final. A cursor ahead of a running log waits until the log gets there.
    #[inline]
    pub fn poll_next(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Next> {
        match &mut self.0 {
            Kind::Local(reader) => reader.poll_next(cursor, cx),
            Kind::Remote(reader) => reader.poll_next(cursor, cx),
        }
    }

    /// As [`Reader::poll_next`], to await.
    #[inline]
    pub async fn read_after(&mut self, cursor: Seq) -> Next {
        std::future::poll_fn(|cx| self.poll_next(cursor, cx)).await
    }
}

impl From<LocalReader> for Reader {
    fn from(reader: LocalReader) -> Self {
        Self(Kind::Local(reader))
    }
}

impl From<RemoteReader> for Reader {
    fn from(reader: RemoteReader) -> Self {
        Self(Kind::Remote(reader))
    }
}
