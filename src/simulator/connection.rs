//! One connection: reads its one request, plays the response, and tells the journal.
//!
//! While it plays it also listens, so that a client which goes away is noticed at once,
//! also in a silence. A client that closes only its sending side counts as gone: no HTTP
//! client does so while it still waits for the response.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    answer::Desk,
    http::{self, ReadError},
    journal::{Journal, JournalEvent, Visit},
    pace::{Beat, Metronome, Pace},
    performance::{Act, Framing, Performance, Writing},
    refusal::Refusal,
};

/// A whole request must be here by then; who dawdles holds a socket for nothing.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to close after the response's end.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How a performance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Finished,
    Cut,
    Reset,
    ClientGone,
}

/// Serves a connection to its end.
pub(super) async fn serve(mut stream: TcpStream, id: u64, desk: &Desk, pace: Pace, log: &Journal) {
    // Each frame is to leave when it is written; a failure costs time, not truth.
    let _ = stream.set_nodelay(true);
    let request = match timeout(REQUEST_TIME, http::read_request(&mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(ReadError::Refused(status))) => {
            let refusal = Performance::from(Refusal::of_http(status));
            if stream.write_all(&refusal.opening).await.is_ok() {
                part(&mut stream).await;
            }
            return;
        }
        Ok(Err(ReadError::Gone)) | Err(_) => return,
    };
    let visit = log.visit(id, &request);
    let performance = desk.answer(&request);
    let status = performance.status;
    let ending = {
        let (mut incoming, outgoing) = stream.split();
        let mut player = Player {
            outgoing,
            framing: performance.framing,
            writing: performance.writing,
            metronome: Metronome::new(pace),
            visit: &visit,
            sent: 0,
            ended: false,
        };
        tokio::select! {
            // First, or a stream without waits would never look.
            biased;
            () = client_gone(&mut incoming) => Ending::ClientGone,
            ending = player.play(performance) => ending.unwrap_or(Ending::ClientGone),
        }
    };
    log::debug!("simulator: connection={id} status={status} ending={ending:?}");
    if ending == Ending::Reset {
        // With no time to linger, the close is an RST.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    visit.end(match ending {
        Ending::Finished => JournalEvent::Finished,
        Ending::Cut | Ending::Reset => JournalEvent::Cut,
        Ending::ClientGone => JournalEvent::ClientGone,
    });
    if matches!(ending, Ending::Finished | Ending::Cut) {
        part(&mut stream).await;
    }
}

/// Sends the FIN and waits for the client's: a close with bytes unread would be an RST,
/// and an RST takes the end of the response with it.
async fn part(stream: &mut TcpStream) {
    if stream.shutdown().await.is_ok() {
        let _ = timeout(LINGER_TIME, client_gone(stream)).await;
    }
}

/// Waits until the client has closed or reset its side, and drops what it still sends.
async fn client_gone(incoming: &mut (impl AsyncRead + Unpin)) {
    let mut scrap = [0; 1024];
    while let Ok(1..) = incoming.read(&mut scrap).await {}
}

/// Plays the acts of a performance.
struct Player<'a, W> {
    outgoing: W,
    framing: Framing,
    writing: Writing,
    metronome: Metronome,
    visit: &'a Visit,
    /// Frames sent so far.
    sent: usize,
    /// Whether the body's end has been sent.
    ended: bool,
}

impl<W: AsyncWrite + Unpin> Player<'_, W> {
    async fn play(&mut self, performance: Performance) -> io::Result<Ending> {
        self.metronome.pause(performance.delay).await;
        self.write(&performance.opening).await?;
        let mut acts = performance.acts.peekable();
        while let Some(act) = acts.next() {
            // The end of the body travels with the last frame, or a client that closes on
            // [DONE] would sometimes look like one that went away.
            let last = matches!(acts.peek(), Some(Act::End));
            match act {
                Act::Frame { bytes, beat } => {
                    self.metronome.wait(beat, 1).await;
                    self.body(&bytes, last).await?;
                    self.note(1);
                }
                Act::Burst(frames) => {
                    self.metronome.wait(Beat::First, frames.len()).await;
                    self.body(&frames.concat(), last).await?;
                    self.note(frames.len());
                }
                Act::Half(bytes) => {
                    self.metronome.wait(Beat::Delta, 1).await;
                    let whole = self.framing.encode(&bytes);
                    self.write(&whole[..whole.len() / 2]).await?;
                }
                Act::Loose(bytes) => self.body(&bytes, last).await?,
                Act::Raw(bytes) => self.write(&bytes).await?,
                Act::Pause(time) => self.metronome.pause(time).await,
                Act::Silence => std::future::pending().await,
                Act::End => {
                    if !self.ended {
                        self.write(self.framing.end()).await?;
                    }
                    return Ok(Ending::Finished);
                }
                Act::Cut => return Ok(Ending::Cut),
                Act::Reset => return Ok(Ending::Reset),
            }
        }
        Ok(Ending::Cut)
    }

    /// Sends a piece of body, and with the last piece the body's end.
    async fn body(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        self.ended = last;
        let pieces = self.writing.cut(bytes);
        let count = pieces.len();
        for (place, piece) in pieces.into_iter().enumerate() {
            let mut piece = self.framing.encode(piece);
            if last && place + 1 == count {
                piece.extend_from_slice(self.framing.end());
            }
            if count > 1 {
                tokio::task::yield_now().await;
            }
            self.write(&piece).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.writing != Writing::Bytes {
            return self.outgoing.write_all(bytes).await;
        }
        for byte in bytes {
            // So that the reader may run in between and find each byte alone. Before the byte:
            // after the last one the end must be noted before the client can act on it.
            tokio::task::yield_now().await;
            self.outgoing.write_all(std::slice::from_ref(byte)).await?;
        }
        Ok(())
    }

    fn note(&mut self, frames: usize) {
        for _ in 0..frames {
            self.visit.frame_sent(self.sent);
            self.sent += 1;
        }
    }
}
