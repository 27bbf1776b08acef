//! The memory that a log takes.

use std::{
    env, fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

const EVENTS: usize = 100_000;
/// Set in the process that measures.
const MEASURES: &str = "RASTA_TEST_MEASURES_A_LOG";

/// The memory of this process that is no file's, in bytes.
fn anonymous_bytes() -> usize {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Anonymous:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

/// Writes a log of [`EVENTS`] deltas to its end. Gives the log and its size as the writer counts it.
fn written(batch: usize, text: &str) -> (Arc<LocalLog>, usize) {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let on_end = OnEnd(Box::new(move |bytes| count.store(bytes, Ordering::Relaxed)));
    let mut writer = Writer::open(
        ReplyId::random(),
        Owner::Anyone,
        Commit::OnAppend,
        Padding::ToClass,
        RunningBytes::default(),
        on_end,
    );
    let text = text.to_owned();
    let events = vec![ReplyEvent::Delta { text }; batch];
    for _ in 0..EVENTS / batch {
        writer.append(&events).unwrap();
    }
    let log = Arc::clone(writer.log());
    drop(writer);
    (log, counted.load(Ordering::Relaxed))
}

#[test]
fn a_log_takes_as_much_memory_as_the_writer_counts() {
    if env::var_os(MEASURES).is_none() {
        // In a process of its own, since other tests use memory at the same time.
        let name = "store::writer::tests::a_log_takes_as_much_memory_as_the_writer_counts";
        let mut measuring = Command::new(env::current_exe().unwrap());
        measuring.args(["--exact", name]).env(MEASURES, "1");
        let measured = measuring.output().unwrap();
        let report = String::from_utf8_lossy(&measured.stdout);
        assert!(measured.status.success(), "{report}");
        assert!(report.contains("1 passed"), "{report}");
        return;
    }
    for (batch, text) in [
        (1, "a"),
        (1, "a longer delta of a few words"),
        (10, " river"),
    ] {
        let before = anonymous_bytes();
        let (log, counted) = written(batch, text);
        let taken = anonymous_bytes() - before;
        let error = taken.abs_diff(counted) as f64 / taken as f64;
        assert!(
            error < 0.1,
            "batches of {batch}: counted {counted}, taken {taken}"
        );
        // Not freed, so that the next log takes memory that is new.
        std::mem::forget(log);
    }
}
