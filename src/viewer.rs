//! One viewer's response body: replays a log after a cursor, then follows it.
//!
//! A viewer has a cursor and no queue; what it has not been sent is in the log. It sends the very
//! bytes that are stored there, each event as one piece so that the server can join what is ready
//! into one write. It never yields an error, since that would discard what was not yet flushed.
//! This module knows nothing of generations.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use rand::RngExt as _;
use tokio::time::{Instant, Sleep};

use crate::{
    event::{self, Seq},
    store::{Next, Reader},
};

/// The largest piece. The server copies a piece whole into its write buffer; this bounds what one
/// connection that does not read can hold of a large event.
const MAX_PIECE: usize = 16 * 1024;

/// How long a client should wait before it reconnects, in milliseconds: random for each connection,
/// so that all the viewers of a server that was restarted do not return in one moment.
const RETRY_MS: std::ops::RangeInclusive<u16> = 1000..=4000;

/// The body of an event stream.
#[derive(Debug)]
pub struct Viewer {
    reader: Reader,
    cursor: Seq,
    ping: Duration,
    /// When something was last sent; the timer is looked at only when it fires.
    sent: Instant,
    timer: Pin<Box<Sleep>>,
    /// The rest of an event that is sent in pieces.
    rest: Bytes,
    opened: bool,
    done: bool,
}

impl Viewer {
    /// Sends what follows `cursor`, and a ping after each `ping` of silence.
    #[must_use]
    pub fn new(reader: Reader, cursor: Seq, ping: Duration) -> Self {
        let sent = Instant::now();
        Self {
            reader,
            cursor,
            ping,
            sent,
            timer: Box::pin(tokio::time::sleep_until(sent + ping)),
            rest: Bytes::new(),
            opened: false,
            done: false,
        }
    }

    fn send(&mut self, block: Bytes) -> Bytes {
        self.sent = Instant::now();
        let mut block = block;
        if !self.opened {
            self.opened = true;
            // Inside the first event: clients exist that make an empty event of a lone `retry`.
            let retry = format!("retry: {}\n", rand::rng().random_range(RETRY_MS));
            let mut first = BytesMut::with_capacity(retry.len() + block.len());
            first.extend_from_slice(retry.as_bytes());
            first.extend_from_slice(&block);
            block = first.freeze();
        }
        self.rest = block.split_off(block.len().min(MAX_PIECE));
        block
    }

    fn send_ping(&mut self) -> Bytes {
        let mut block = Vec::with_capacity(64);
        event::encode_ping(self.cursor, &mut block);
        self.send(block.into())
    }

    /// Whether the silence has lasted long enough for a ping; leaves a wake-up if not.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.sent + self.ping;
            if due <= Instant::now() {
                self.timer.as_mut().reset(Instant::now() + self.ping);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl MessageBody for Viewer {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if !this.rest.is_empty() {
            let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE));
            return Poll::Ready(Some(Ok(piece)));
        }
        if this.done {
            return Poll::Ready(None);
        }
        match this.reader.poll_next(this.cursor, cx) {
            Poll::Ready(Next::Block { seq, block, last }) => {
                this.cursor = seq;
                this.done = last;
                Poll::Ready(Some(Ok(this.send(block))))
            }
            Poll::Ready(Next::Nothing) => Poll::Ready(None),
            // The first bytes go out at once, so that everything on the way sees a live stream.
            Poll::Pending if !this.opened => Poll::Ready(Some(Ok(this.send_ping()))),
            Poll::Pending => match this.poll_silence(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Ok(this.send_ping()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::StoreConfig,
        event::ReplyEvent,
        store::{Created, Store, Writer},
    };

    const PING: Duration = Duration::from_secs(10);

    async fn writer() -> Writer {
        let retention = Duration::from_secs(600);
        let store = Store::in_memory(StoreConfig {
            max_replies: 1,
            retention,
            pad: false,
        });
        match store.create(None).await.unwrap() {
            Created::New(writer) => writer,
            Created::Existing(_) => panic!("no key was given"),
        }
    }

    async fn next(viewer: &mut Viewer) -> String {
        let piece = std::future::poll_fn(|cx| Pin::new(&mut *viewer).poll_next(cx)).await;
        let Some(Ok(piece)) = piece else {
            panic!("the body has ended")
        };
        String::from_utf8(piece.into()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn minutes_of_thinking_are_filled_with_pings() {
        let mut writer = writer().await;
        let mut viewer = Viewer::new(writer.log().reader(), Seq::ZERO, PING);
        assert!(next(&mut viewer).await.starts_with("retry: "));
        let begun = Instant::now();
        for n in 1..=54 {
            let ping = next(&mut viewer).await;
            assert_eq!(ping, "id: 1\nevent: ping\ndata: {\"last\":1}\n\n");
            assert_eq!(begun.elapsed(), PING * n);
        }
        writer
            .append(&[ReplyEvent::Delta {
                text: "at last".into(),
            }])
            .unwrap();
        assert!(next(&mut viewer).await.contains("at last"));
        assert_eq!(begun.elapsed(), Duration::from_secs(540));
    }

    #[tokio::test(start_paused = true)]
    async fn the_silence_is_counted_from_the_last_event() {
        let mut writer = writer().await;
        let mut viewer = Viewer::new(writer.log().reader(), Seq::ZERO, PING);
        next(&mut viewer).await;
        tokio::time::advance(Duration::from_secs(9)).await;
        writer
            .append(&[ReplyEvent::Delta { text: "a".into() }])
            .unwrap();
        next(&mut viewer).await;
        let sent = Instant::now();
        assert!(next(&mut viewer).await.contains("event: ping"));
        assert_eq!(sent.elapsed(), PING);
    }

    #[tokio::test]
    async fn only_a_large_event_is_sent_in_pieces() {
        let mut writer = writer().await;
        let events = ["small".to_owned(), "x".repeat(40_000)];
        let events = events.map(|text| ReplyEvent::Delta { text });
        writer.append(&events).unwrap();
        let mut viewer = Viewer::new(writer.log().reader(), Seq(1), PING);
        assert!(next(&mut viewer).await.ends_with("\n\n"));
        let pieces = [
            next(&mut viewer).await,
            next(&mut viewer).await,
            next(&mut viewer).await,
        ];
        assert_eq!(pieces[0].len(), MAX_PIECE);
        let whole = pieces.concat();
        assert!(whole.starts_with("id: 3\nevent: delta\n") && whole.ends_with("\n\n"));
    }
}
