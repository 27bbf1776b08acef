//! One connection: reads one request, executes the plan of its response, and records both.
//!
//! It reads while it writes, so that it notices a client's close at once, even when it has nothing to
//! send. A client that closes only its sending side counts as gone: no HTTP client does so while it
//! waits for a response.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    gateway::Gateway,
    http::{self, ReadError},
    journal::{ConnectionRecorder, Journal, JournalEvent},
    pace::{FrameKind, Pacer},
    refusal::Refusal,
    response::{Framing, ResponsePlan, Step, WriteMode},
};

/// The time in which a client must send its request. Stops slow clients from holding sockets.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The time in which a client must close after the end of the response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Finished,
    Cut,
    Reset,
    ClientGone,
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, id: u64, gateway: &Gateway, journal: &Journal) {
    // Frames are sent as they are written. A failure only delays them.
    let _ = stream.set_nodelay(true);
    let request = match timeout(REQUEST_TIMEOUT, http::read_request(&mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(ReadError::Refused(status))) => {
            let refusal = ResponsePlan::from(Refusal::invalid_http(status));
            if stream.write_all(&refusal.first_bytes).await.is_ok() {
                close(&mut stream).await;
            }
            return;
        }
        Ok(Err(ReadError::Gone)) | Err(_) => return,
    };
    let recorder = journal.begin(id, &request);
    let plan = gateway.respond(&request);
    let status = plan.status;
    let ending = {
        let (mut incoming, outgoing) = stream.split();
        let mut sender = Sender {
            outgoing,
            framing: plan.framing,
            write_mode: plan.write_mode,
            pacer: Pacer::new(gateway.pace.clone()),
            recorder: &recorder,
            frames_sent: 0,
            body_ended: false,
        };
        tokio::select! {
            // The read comes first: a stream that never waits would starve it.
            biased;
            () = closed_by_client(&mut incoming) => Ending::ClientGone,
            ending = sender.send(plan) => ending.unwrap_or(Ending::ClientGone),
        }
    };
    log::debug!("simulator: connection={id} status={status} ending={ending:?}");
    if ending == Ending::Reset {
        // With a linger time of 0, the close sends an RST.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    recorder.end(match ending {
        Ending::Finished => JournalEvent::Finished,
        Ending::Cut | Ending::Reset => JournalEvent::Cut,
        Ending::ClientGone => JournalEvent::ClientGone,
    });
    if matches!(ending, Ending::Finished | Ending::Cut) {
        close(&mut stream).await;
    }
}

/// Sends a FIN and waits for the client's. To close with unread bytes would send an RST, which can
/// destroy the end of the response.
async fn close(stream: &mut TcpStream) {
    if stream.shutdown().await.is_ok() {
        let _ = timeout(LINGER_TIMEOUT, closed_by_client(stream)).await;
    }
}

/// Waits until the client has closed or reset its side. Discards what it still sends.
async fn closed_by_client(incoming: &mut (impl AsyncRead + Unpin)) {
    let mut discarded = [0; 1024];
    while let Ok(1..) = incoming.read(&mut discarded).await {}
}

/// Executes the steps of a plan.
struct Sender<'a, W> {
    outgoing: W,
    framing: Framing,
    write_mode: WriteMode,
    pacer: Pacer,
    recorder: &'a ConnectionRecorder,
    frames_sent: usize,
    /// Whether the end of the body has been sent.
    body_ended: bool,
}

impl<W: AsyncWrite + Unpin> Sender<'_, W> {
    async fn send(&mut self, plan: ResponsePlan) -> io::Result<Ending> {
        self.pacer.pause(plan.delay).await;
        self.write(&plan.first_bytes).await?;
        let mut steps = plan.steps.peekable();
        while let Some(step) = steps.next() {
            // The end of the body is sent with the last frame. Otherwise a client that closes on
            // [DONE] would sometimes count as gone.
            let last = matches!(steps.peek(), Some(Step::End));
            match step {
                Step::Frame { bytes, kind } => {
                    self.pacer.wait(kind, 1).await;
                    self.write_body(&bytes, last).await?;
                    self.record_frames(1);
                }
                Step::Burst(frames) => {
                    self.pacer.wait(FrameKind::FirstDelta, frames.len()).await;
                    self.write_body(&frames.concat(), last).await?;
                    self.record_frames(frames.len());
                }
                Step::HalfFrame(bytes) => {
                    self.pacer.wait(FrameKind::Delta, 1).await;
                    let encoded = self.framing.encode(&bytes);
                    self.write(&encoded[..encoded.len() / 2]).await?;
                }
                Step::Body(bytes) => self.write_body(&bytes, last).await?,
                Step::Raw(bytes) => self.write(&bytes).await?,
                Step::Pause(time) => self.pacer.pause(time).await,
                Step::Await(mut available, count) => {
                    // The stream's owner may be gone; then there is no more to wait for.
                    let _ = available.wait_for(|now| *now > count).await;
                }
                Step::Hang => std::future::pending().await,
                Step::End => {
                    if !self.body_ended {
                        self.write(self.framing.end()).await?;
                    }
                    return Ok(Ending::Finished);
                }
                Step::Cut => return Ok(Ending::Cut),
                Step::Reset => return Ok(Ending::Reset),
            }
        }
        Ok(Ending::Cut)
    }

    /// Sends a part of the body, and after the last part the end of the body.
    async fn write_body(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        self.body_ended = last;
        let pieces = self.write_mode.split(bytes);
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let mut piece = self.framing.encode(piece);
            if last && index + 1 == count {
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
        if self.write_mode != WriteMode::PerByte {
            return self.outgoing.write_all(bytes).await;
        }
        for byte in bytes {
            // Lets the client run, so that it reads each byte on its own. It comes before the byte:
            // after the last one, the end must be recorded before the client can react to it.
            tokio::task::yield_now().await;
            self.outgoing.write_all(std::slice::from_ref(byte)).await?;
        }
        Ok(())
    }

    fn record_frames(&mut self, count: usize) {
        for _ in 0..count {
            self.recorder.frame_sent(self.frames_sent);
            self.frames_sent += 1;
        }
    }
}
