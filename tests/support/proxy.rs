//! A bad network on loopback: a TCP proxy that cuts, delays, holds and slows what passes through it.
//!
//! Effects hold for all connections, or for those that have sent a given word, from the moment they are
//! set until they are lifted. It knows nothing of what it carries.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// How much of what a client has sent is kept to be looked at.
const KEPT: usize = 64 * 1024;

/// Which connections are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those whose client has sent this among its first 64 KiB, in upper or lower case.
    Sent(&'static str),
}

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Fin,
    Reset,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing passes, and the connection stays. What was sent meanwhile comes when this is lifted.
    Hold(Way),
    /// Each piece is late by so much.
    Delay(Way, Duration),
    /// So many bytes pass in a second.
    Rate(Way, usize),
    /// The connection ends on both sides once so many bytes have passed; at 0, as soon as it is there.
    CutAfter(Way, u64, Cut),
    /// The same after fewer bytes than these, how many being drawn for each connection.
    CutWithin(Way, u64, Cut),
}

/// An effect, and whom it meets.
#[derive(Clone, Copy)]
struct Rule {
    which: Which,
    effect: Effect,
    /// The number of the last connection that it meets.
    until: u64,
}

/// A proxy before a target. Dropping it cuts everything.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    rules: watch::Sender<Vec<Rule>>,
    /// How many connections were accepted.
    accepted: AtomicU64,
    /// A one-time cut of the connections that exist: its number, so that each is carried out once.
    cut: watch::Sender<(u64, Which, Cut)>,
    open: watch::Sender<usize>,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            rules: watch::Sender::new(Vec::new()),
            accepted: AtomicU64::new(0),
            cut: watch::Sender::new((0, Which::All, Cut::Reset)),
            open: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            addr,
            shared,
            accepting,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections go there; those that exist stay where they are.
    pub fn aim(&self, target: SocketAddr) {
        *self.shared.target.lock() = target;
    }

    /// From now on, for the connections that exist and for those to come.
    pub fn set(&self, which: Which, effect: Effect) {
        self.add(which, effect, u64::MAX);
    }

    /// From now on, for the connections that exist; those to come are well.
    pub fn set_for_present(&self, which: Which, effect: Effect) {
        self.add(which, effect, self.shared.accepted.load(Ordering::SeqCst));
    }

    fn add(&self, which: Which, effect: Effect, until: u64) {
        let rule = Rule {
            which,
            effect,
            until,
        };
        self.shared.rules.send_modify(|rules| rules.push(rule));
    }

    /// Lifts all effects.
    pub fn lift(&self) {
        self.shared.rules.send_modify(Vec::clear);
    }

    /// Ends the connections that exist.
    pub fn cut(&self, which: Which, how: Cut) {
        self.shared
            .cut
            .send_modify(|cut| *cut = (cut.0 + 1, which, how));
    }

    /// Waits until so many connections are open.
    pub async fn has_open(&self, wanted: impl FnMut(&usize) -> bool) {
        let mut open = self.shared.open.subscribe();
        // The sender lives as long as `self`.
        let _ = open.wait_for(wanted).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The task owns the listener and all connections, which go with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => {
                let Ok((client, _)) = incoming else { continue };
                connections.spawn(carry(client, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection.
struct Line {
    number: u64,
    /// Its own luck.
    draw: u64,
    sent: Mutex<Vec<u8>>,
    rules: watch::Receiver<Vec<Rule>>,
}

impl Line {
    fn is(&self, which: Which) -> bool {
        match which {
            Which::All => true,
            Which::Sent(word) => self
                .sent
                .lock()
                .windows(word.len())
                .any(|window| window.eq_ignore_ascii_case(word.as_bytes())),
        }
    }

    /// The effects that this connection is under at this moment.
    fn effects(&self) -> Vec<Effect> {
        let rules = self.rules.borrow();
        let mine = rules
            .iter()
            .filter(|rule| self.number <= rule.until && self.is(rule.which));
        mine.map(|rule| rule.effect).collect()
    }

    /// How many bytes may pass before the connection is to be cut, and how.
    fn allowance(&self, way: Way) -> Option<(u64, Cut)> {
        self.effects().into_iter().find_map(|effect| match effect {
            Effect::CutAfter(its, bytes, how) if its == way => Some((bytes, how)),
            Effect::CutWithin(its, bytes, how) if its == way => Some((self.draw % bytes, how)),
            _ => None,
        })
    }

    async fn until_free(&self, way: Way) {
        let mut rules = self.rules.clone();
        rules.mark_unchanged();
        while self.effects().contains(&Effect::Hold(way)) {
            if rules.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    cut.mark_unchanged();
    let target = *shared.target.lock();
    let line = Line {
        number: shared.accepted.fetch_add(1, Ordering::SeqCst) + 1,
        draw: rand::random(),
        sent: Mutex::default(),
        rules: shared.rules.subscribe(),
    };
    let at_once = [Way::Up, Way::Down].map(|way| line.allowance(way));
    if let Some((0, how)) = at_once
        .into_iter()
        .flatten()
        .min_by_key(|(bytes, _)| *bytes)
    {
        end(&client, how);
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        end(&client, Cut::Reset);
        return;
    };
    // Each piece is to go on when it has come; a failure costs time, not truth.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    shared.open.send_modify(|open| *open += 1);
    let how = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = pump(&mut from_client, &mut to_server, &line, Way::Up);
        let down = pump(&mut from_server, &mut to_client, &line, Way::Down);
        tokio::select! {
            () = until_cut(&mut cut, &line) => cut.borrow().2,
            how = until_broken(up, down) => how,
        }
    };
    end(&client, how);
    end(&server, how);
    shared.open.send_modify(|open| *open -= 1);
}

/// The first way that breaks ends the connection; one that merely finishes leaves the other alone.
async fn until_broken(
    up: impl Future<Output = Option<Cut>>,
    down: impl Future<Output = Option<Cut>>,
) -> Cut {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    let ended = tokio::select! {
        how = &mut up => match how {
            None => down.await,
            how => how,
        },
        how = &mut down => match how {
            None => up.await,
            how => how,
        },
    };
    ended.unwrap_or(Cut::Fin)
}

async fn until_cut(cut: &mut watch::Receiver<(u64, Which, Cut)>, line: &Line) {
    loop {
        if cut.changed().await.is_err() {
            return;
        }
        let which = cut.borrow().1;
        if line.is(which) {
            return;
        }
    }
}

fn end(stream: &TcpStream, how: Cut) {
    if how == Cut::Reset {
        // With no time to linger, the close is an RST.
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
}

/// Moves bytes one way until their end (`None`) or until the connection is to be cut.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    line: &Line,
    way: Way,
) -> Option<Cut> {
    let mut passed = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        line.until_free(way).await;
        let read = match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(_) => return Some(Cut::Reset),
        };
        let piece = &buffer[..read];
        if way == Way::Up {
            let mut sent = line.sent.lock();
            let room = KEPT.saturating_sub(sent.len());
            sent.extend_from_slice(&piece[..read.min(room)]);
        }
        // It may have come while nothing could pass, or be the very word that is waited for.
        line.until_free(way).await;
        let mut piece = piece;
        while !piece.is_empty() {
            let effects = line.effects();
            let mut length = piece.len();
            for effect in &effects {
                match *effect {
                    Effect::Delay(its, time) if its == way => sleep(time).await,
                    Effect::Rate(its, rate) if its == way => {
                        length = length.min((rate / 20).max(1));
                        let share = f64::from(u32::try_from(length).unwrap_or(u32::MAX));
                        let rate = f64::from(u32::try_from(rate).unwrap_or(u32::MAX));
                        sleep(Duration::from_secs_f64(share / rate)).await;
                    }
                    _ => {}
                }
            }
            let allowance = line.allowance(way);
            if let Some((bytes, _)) = allowance {
                let left = usize::try_from(bytes.saturating_sub(passed)).unwrap_or(usize::MAX);
                length = length.min(left);
            }
            let (now, later) = piece.split_at(length);
            if to.write_all(now).await.is_err() {
                return Some(Cut::Reset);
            }
            passed += now.len() as u64;
            if let Some((bytes, how)) = allowance
                && passed >= bytes
            {
                return Some(how);
            }
            piece = later;
        }
    }
    let _ = to.shutdown().await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::client::soon;

    /// Answers each piece with the same piece.
    async fn echo(greeting: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.write_all(greeting).await;
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        addr
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.addr()).await.unwrap()
    }

    async fn said(stream: &mut TcpStream, text: &str) {
        let mut read = vec![0; text.len()];
        soon("bytes", stream.read_exact(&mut read)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    async fn exchange(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
        said(stream, text).await;
    }

    async fn is_reset(stream: &mut TcpStream) {
        let read = soon("a reset", stream.read(&mut [0; 8])).await;
        assert_eq!(
            read.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
    }

    #[actix_web::test]
    async fn what_is_sent_passes_both_ways_until_a_cut() {
        let proxy = Proxy::start(echo(b"hello").await).await;
        for how in [Cut::Reset, Cut::Fin] {
            let mut stream = connect(&proxy).await;
            said(&mut stream, "hello").await;
            exchange(&mut stream, "word").await;
            proxy.cut(Which::All, how);
            match how {
                Cut::Reset => is_reset(&mut stream).await,
                Cut::Fin => {
                    let read = soon("the end", stream.read(&mut [0; 8])).await;
                    assert_eq!(read.unwrap(), 0);
                }
            }
            soon("the line to go", proxy.has_open(|open| *open == 0)).await;
        }
    }

    #[actix_web::test]
    async fn a_connection_is_cut_after_the_very_byte() {
        let proxy = Proxy::start(echo(b"hello").await).await;
        proxy.set(Which::All, Effect::CutAfter(Way::Down, 3, Cut::Fin));
        let mut stream = connect(&proxy).await;
        let mut text = String::new();
        soon("the end", stream.read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "hel");
        proxy.lift();
        proxy.set(Which::All, Effect::CutAfter(Way::Up, 0, Cut::Reset));
        is_reset(&mut connect(&proxy).await).await;
    }

    #[actix_web::test]
    async fn only_who_has_sent_the_word_is_held_and_gets_it_all_later() {
        let proxy = Proxy::start(echo(b"").await).await;
        let (mut plain, mut subscriber) = (connect(&proxy).await, connect(&proxy).await);
        exchange(&mut plain, "get").await;
        exchange(&mut subscriber, "subscribe").await;
        proxy.set(Which::Sent("SUBSCRIBE"), Effect::Hold(Way::Down));
        subscriber.write_all(b"more").await.unwrap();
        exchange(&mut plain, "still").await;
        let early = subscriber.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        proxy.lift();
        said(&mut subscriber, "more").await;
    }

    #[actix_web::test]
    async fn what_holds_for_those_present_leaves_newcomers_alone() {
        let proxy = Proxy::start(echo(b"").await).await;
        let mut first = connect(&proxy).await;
        exchange(&mut first, "a").await;
        proxy.set_for_present(Which::All, Effect::Hold(Way::Up));
        first.write_all(b"b").await.unwrap();
        exchange(&mut connect(&proxy).await, "c").await;
        let early = first.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[actix_web::test]
    async fn only_who_has_sent_the_word_is_cut() {
        let proxy = Proxy::start(echo(b"").await).await;
        let (mut plain, mut subscriber) = (connect(&proxy).await, connect(&proxy).await);
        exchange(&mut plain, "get").await;
        exchange(&mut subscriber, "subscribe").await;
        proxy.cut(Which::Sent("SUBSCRIBE"), Cut::Reset);
        is_reset(&mut subscriber).await;
        exchange(&mut plain, "still").await;
    }

    #[actix_web::test]
    async fn a_new_target_is_for_new_connections() {
        let proxy = Proxy::start(echo(b"one").await).await;
        let mut first = connect(&proxy).await;
        said(&mut first, "one").await;
        proxy.aim(echo(b"two").await);
        said(&mut connect(&proxy).await, "two").await;
        exchange(&mut first, "still").await;
    }

    #[actix_web::test]
    async fn a_slow_line_is_as_slow_as_it_is_told_to_be() {
        let proxy = Proxy::start(echo(b"").await).await;
        proxy.set(Which::All, Effect::Rate(Way::Down, 1000));
        proxy.set(
            Which::All,
            Effect::Delay(Way::Up, Duration::from_millis(50)),
        );
        let begun = std::time::Instant::now();
        exchange(&mut connect(&proxy).await, &"x".repeat(200)).await;
        assert!(begun.elapsed() >= Duration::from_millis(250));
    }
}
