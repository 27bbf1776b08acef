//! What the kernel says about a process.

use std::{fs, path::Path, process::Command};

use crate::support::replica::Replica;

/// The memory that it holds, and the most that it has held, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

pub fn memory(replica: &Replica) -> Memory {
    let status = fs::read_to_string(replica.proc().join("status")).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<f64>().unwrap() / 1024.0
    };
    Memory {
        now: mib("VmRSS:"),
        peak: mib("VmHWM:"),
    }
}

/// How many sockets it has open.
pub fn sockets(replica: &Replica) -> usize {
    let open = fs::read_dir(replica.proc().join("fd")).unwrap();
    open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// How many files of all kinds it has open.
pub fn descriptors(replica: &Replica) -> usize {
    fs::read_dir(replica.proc().join("fd")).unwrap().count()
}

/// How many threads it has.
pub fn threads(replica: &Replica) -> usize {
    fs::read_dir(replica.proc().join("task")).unwrap().count()
}

/// What the kernel holds for a replica's clients and could not send, or has no word of, in MiB.
pub fn queued(replica: &Replica) -> f64 {
    let table = fs::read_to_string(replica.proc().join("net/tcp")).unwrap();
    let port = format!(":{:04X}", replica.addr().port());
    let queues = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (sent, _) = fields[4].split_once(':').unwrap();
        (fields[1].ends_with(&port)).then(|| u64::from_str_radix(sent, 16).unwrap())
    });
    queues.sum::<u64>() as f64 / f64::from(1 << 20)
}

/// The processor time that it has used, in seconds.
pub fn processor(replica: &Replica) -> f64 {
    let stat = fs::read_to_string(replica.proc().join("stat")).unwrap();
    // The name of the program, in brackets, may hold anything.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // In hundredths of a second wherever Linux runs.
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap() / 100.0;
    ticks(11) + ticks(12)
}

/// Lets a process open as many files as it may, and says how many those are.
pub fn raise_files(proc: &Path) -> usize {
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard: usize = line
        .unwrap()
        .split_whitespace()
        .nth(4)
        .unwrap()
        .parse()
        .unwrap();
    let pid = proc.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new("prlimit");
    command.args([format!("--pid={pid}"), format!("--nofile={hard}")]);
    let output = command.output().unwrap_or_else(|error| {
        panic!("prlimit cannot be started ({error}): install Debian's package util-linux")
    });
    assert!(output.status.success(), "prlimit: {output:?}");
    hard
}
