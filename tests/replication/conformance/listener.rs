//! One viewer's connection, polled by hand: it knows whether it has been woken, and is never polled
//! to see whether there is something.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use actix_web::body::MessageBody as _;
use bytes::Bytes;
use tokio::sync::Notify;

use rasta_stream::{
    event::Seq,
    shutdown::DrainSignal,
    store::{Log, Next, Reader},
    viewer::{Format, OnDrain, Viewer},
};

/// No silence lasts this long.
const NO_PING: Duration = Duration::from_secs(24 * 3600);

/// A waker that counts.
#[derive(Default)]
pub struct Wakes {
    count: AtomicUsize,
    changed: Notify,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves once it was called more often than `before`.
    pub async fn after(&self, before: usize) {
        while self.count() <= before {
            self.changed.notified().await;
        }
    }
}

/// What a viewer got.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// A whole event, and whether it is said to be the last, where that is said.
    Event(Bytes, Option<bool>),
    Nothing,
}

enum Source {
    Log(Reader),
    Body(Pin<Box<Viewer>>),
}

pub struct Listener {
    source: Source,
    pub wakes: Arc<Wakes>,
    /// How often it had been woken before it fell asleep; `None` while it is awake.
    asleep: Option<usize>,
    /// What has come of an event that comes in pieces.
    pieces: Vec<u8>,
}

impl Listener {
    pub fn new(log: &Log, cursor: Seq, body: bool) -> Self {
        let reader = log.reader();
        let source = if body {
            let on_drain = OnDrain::Stay(DrainSignal::default().guard());
            Source::Body(Box::pin(Viewer::new(
                reader,
                cursor,
                Format::Native,
                NO_PING,
                on_drain,
            )))
        } else {
            Source::Log(reader)
        };
        Self {
            source,
            wakes: Arc::default(),
            asleep: None,
            pieces: Vec::new(),
        }
    }

    pub fn is_body(&self) -> bool {
        matches!(self.source, Source::Body(_))
    }

    /// How often it was called since it fell asleep; `None` while it is awake.
    pub fn called(&self) -> Option<usize> {
        Some(self.wakes.count() - self.asleep?)
    }

    /// Whether its waker was not called since it fell asleep.
    pub fn sleeps(&self) -> bool {
        self.called() == Some(0)
    }

    /// Resolves once its waker was called.
    pub async fn woken(&self) {
        if let Some(before) = self.asleep {
            self.wakes.after(before).await;
        }
    }

    /// From now on it can only be woken by another waker.
    pub fn move_task(&mut self) {
        self.asleep = None;
        self.wakes = Arc::default();
    }

    pub fn poll(&mut self, cursor: Seq) -> Poll<Heard> {
        let before = self.wakes.count();
        let waker = Waker::from(Arc::clone(&self.wakes));
        let heard = self.poll_source(cursor, &mut Context::from_waker(&waker));
        self.asleep = heard.is_pending().then_some(before);
        heard
    }

    fn poll_source(&mut self, cursor: Seq, cx: &mut Context<'_>) -> Poll<Heard> {
        let body = match &mut self.source {
            Source::Log(reader) => {
                return reader.poll_next(cursor, cx).map(|next| match next {
                    Next::Event { seq, bytes, last } => {
                        assert_eq!(seq, cursor.next());
                        Heard::Event(bytes, Some(last))
                    }
                    Next::Closed => Heard::Nothing,
                });
            }
            Source::Body(body) => body,
        };
        loop {
            match body.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Heard::Nothing),
                Poll::Ready(Some(piece)) => {
                    let piece = piece.unwrap();
                    let piece = without_retry(&piece);
                    if self.pieces.is_empty() && is_ping(piece) {
                        continue;
                    }
                    self.pieces.extend_from_slice(piece);
                    if self.pieces.ends_with(b"\n\n") {
                        let event = std::mem::take(&mut self.pieces).into();
                        return Poll::Ready(Heard::Event(event, None));
                    }
                }
            }
        }
    }
}

fn without_retry(piece: &[u8]) -> &[u8] {
    match piece.strip_prefix(b"retry: ") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            &rest[end + 1..]
        }
        None => piece,
    }
}

fn is_ping(piece: &[u8]) -> bool {
    let mut lines = piece.split(|byte| *byte == b'\n');
    lines.nth(1) == Some(b"event: ping")
}
