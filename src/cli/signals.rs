//! The signals that ask the program to exit: SIGTERM and SIGINT, or Ctrl-C where there are none.

/// The exit code after a second signal: that of a shell for a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// Resolves with the first signal; the second one ends the process at once. Signals count from the
/// call on, before the future is first polled.
pub fn shutdown_requested() -> impl Future<Output = ()> {
    let mut signals = Signals::new();
    async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
    }
}

#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let both = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        );
        Self(match both {
            (Ok(terminate), Ok(interrupt)) => Some([terminate, interrupt]),
            // Without handlers the system ends the process, which is what a signal asks for.
            _ => None,
        })
    }

    async fn next(&mut self) {
        let Some([terminate, interrupt]) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
