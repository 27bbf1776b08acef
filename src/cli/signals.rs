//! What signals ask for: to exit, or to read files again.
//!
//! | signal | what |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | exit: the first one drains, the second one ends the process at once |
//! | SIGHUP | reload, or exit if it says that the terminal is gone |
//! | SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ | nothing: by default they would cut every stream |
//!
//! A thread of its own waits for them, so that the second one ends the process whatever the others
//! are stuck in. Where there are no such signals, Ctrl-C exits.

use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

/// The exit code after a second signal: that of a shell for a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// What signals have asked for since [`listen`].
#[derive(Debug)]
pub struct Requests {
    exit: oneshot::Receiver<()>,
    /// One that has not been received yet stands for all later ones.
    pub reload: mpsc::Receiver<()>,
}

impl Requests {
    /// Splits them: a future that resolves with the request to exit, and the requests to reload.
    pub fn split(self) -> (impl Future<Output = ()>, mpsc::Receiver<()>) {
        let exit = async move {
            // The thread ends only with the process.
            let _ = self.exit.await;
        };
        (exit, self.reload)
    }
}

/// Starts to listen. From now on, signals do what the table says.
///
/// # Errors
///
/// If the system refuses a thread or a handler.
pub fn listen() -> io::Result<Requests> {
    let (exit_requested, exit) = oneshot::channel();
    let (reload_requested, reload) = mpsc::channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let mut exit_requested = Some(exit_requested);
                loop {
                    match signals.next().await {
                        // If one is waiting, it stands for this one, too.
                        Request::Reload => drop(reload_requested.try_send(())),
                        Request::Exit => match exit_requested.take() {
                            Some(first) => drop(first.send(())),
                            None => std::process::exit(INTERRUPTED),
                        },
                    }
                }
            });
        })?;
    Ok(Requests { exit, reload })
}

#[derive(Clone, Copy)]
enum Request {
    Exit,
    Reload,
}

#[cfg(unix)]
struct Signals {
    exit: [tokio::signal::unix::Signal; 3],
    hang_up: tokio::signal::unix::Signal,
    /// A handler is what keeps them from ending the process.
    _ignored: Vec<tokio::signal::unix::Signal>,
    /// Standard input was a terminal at the start.
    has_terminal: bool,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use io::IsTerminal as _;
        use tokio::signal::unix::{SignalKind, signal};
        /// Sent when a file reaches its size limit, as a log on standard error may. Linux's number.
        const FILE_SIZE_EXCEEDED: i32 = 25;
        let mut ignored = vec![
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::alarm(),
        ];
        if cfg!(target_os = "linux") {
            ignored.push(SignalKind::from_raw(FILE_SIZE_EXCEEDED));
        }
        Ok(Self {
            exit: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
            ],
            hang_up: signal(SignalKind::hangup())?,
            _ignored: ignored.into_iter().map(signal).collect::<io::Result<_>>()?,
            has_terminal: io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Request {
        use io::IsTerminal as _;
        let [terminate, interrupt, quit] = &mut self.exit;
        tokio::select! {
            _ = terminate.recv() => Request::Exit,
            _ = interrupt.recv() => Request::Exit,
            _ = quit.recv() => Request::Exit,
            // A window that closes sends it as well. A terminal that is gone is none any more.
            _ = self.hang_up.recv() => match self.has_terminal && !io::stdin().is_terminal() {
                true => Request::Exit,
                false => Request::Reload,
            },
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Request {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Request::Exit,
            Err(_) => std::future::pending().await,
        }
    }
}
