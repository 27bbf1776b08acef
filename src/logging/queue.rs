//! The queue between the callers that log and the output, with a thread of its own that writes.
//!
//! An output can stop taking bytes: a pipe whose reader hangs, a terminal on hold. A caller
//! must not wait for it, so lines that find the queue full are dropped and counted. This file does
//! not know what a line says.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// The most bytes of lines that wait for the output. Stops an output that takes nothing from filling
/// the memory.
pub(super) const QUEUE_BYTES_LIMIT: usize = 1 << 20;

/// Takes whole lines and never waits. A cheap handle, to be cloned.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something is waiting to be written.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Lines dropped since the last report.
    dropped: u64,
    /// The thread has taken lines and is still writing them.
    writing: bool,
}

impl Queue {
    /// Starts the thread that writes to `output`. After it could write again, it calls `report` with
    /// the number of lines that were dropped meanwhile.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let shared = queue.0.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_all(output, &report))?;
        Ok(queue)
    }

    /// Adds a line with its line end, or counts it as dropped.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > QUEUE_BYTES_LIMIT {
            state.dropped += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until everything is written, or until the time is over.
    pub(super) fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state.lock();
        while state.writing || !state.lines.is_empty() {
            if self.0.emptied.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn write_all(&self, mut output: impl Write, report: &impl Fn(u64)) {
        loop {
            let lines = self.take();
            // An output that is gone takes no line and no complaint about it.
            let _ = output.write_all(&lines).and_then(|()| output.flush());
            let dropped = {
                let mut state = self.state.lock();
                state.writing = false;
                if state.lines.is_empty() {
                    self.emptied.notify_all();
                }
                mem::take(&mut state.dropped)
            };
            if dropped > 0 {
                report(dropped);
            }
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        while state.lines.is_empty() {
            self.filled.wait(&mut state);
        }
        state.writing = true;
        mem::take(&mut state.lines)
    }
}

/// A whole line a call, as `env_logger` writes.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// An output that takes a write only once the test has received it.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Queue, Receiver<Vec<u8>>, Receiver<u64>) {
        let (output, written) = sync_channel(0);
        let (reports, reported) = sync_channel(8);
        let report = move |dropped| reports.send(dropped).unwrap();
        (
            Queue::start(Slow(output), report).unwrap(),
            written,
            reported,
        )
    }

    #[test]
    fn a_full_output_drops_lines_and_tells_how_many_once_it_takes_them_again() {
        let (queue, written, reported) = slow();
        let line = [b'x'; 1024];
        queue.push(b"first\n");
        let mut kept = 6;
        // The thread may take what is queued once, before it waits for the output.
        for _ in 0..4 * QUEUE_BYTES_LIMIT / line.len() {
            queue.push(&line);
        }
        queue.flush(Duration::ZERO);
        let mut total = 0;
        let dropped = loop {
            if let Ok(bytes) = written.recv_timeout(Duration::from_millis(5)) {
                total += bytes.len();
            }
            if let Ok(dropped) = reported.try_recv() {
                break dropped;
            }
        };
        while let Ok(bytes) = written.recv_timeout(Duration::from_millis(50)) {
            total += bytes.len();
        }
        kept += (4 * QUEUE_BYTES_LIMIT / line.len() - usize::try_from(dropped).unwrap()) * 1024;
        assert_eq!(total, kept);
        assert!(
            dropped >= (2 * QUEUE_BYTES_LIMIT / line.len()) as u64,
            "{dropped}"
        );
    }

    #[test]
    fn flush_waits_for_the_last_line_but_not_beyond_its_time() {
        let (queue, written, _reported) = slow();
        queue.push(b"line\n");
        let started = Instant::now();
        queue.flush(Duration::from_millis(20));
        assert!(started.elapsed() >= Duration::from_millis(20));
        let reader = thread::spawn(move || written.recv().unwrap());
        queue.flush(LONG);
        assert_eq!(reader.join().unwrap(), b"line\n");
        queue.flush(LONG);
    }
}
