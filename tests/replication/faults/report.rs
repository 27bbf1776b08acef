//! The result of the matrix: a row for each fault, as JSON for programs and as a table for people.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use super::fault::Fault;

/// What one fault did to all its runs.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub number: usize,
    pub name: &'static str,
    pub runs: usize,
    /// Replies that had begun and not ended when the fault struck.
    pub struck: usize,
    pub complete: usize,
    /// A prefix with one end that the fault allows.
    pub prefix: usize,
    pub lost: usize,
    pub doubled: usize,
    pub reordered: usize,
    /// Viewers whose end came later than the bound, or never.
    pub late: usize,
    /// To a viewer's end, from the fault or from the POST if that was later.
    pub longest: Duration,
    /// From a DELETE to the close of the connection to upstream.
    pub longest_stop: Option<Duration>,
    /// How the replies ended.
    pub ends: BTreeMap<String, usize>,
    /// Answers to viewers that were neither events nor 204, by their status. A browser's
    /// `EventSource` would give up there for good.
    pub refused: BTreeMap<u16, usize>,
    /// Answers to a POST that were no reply, after which it was repeated.
    pub refused_posts: BTreeMap<u16, usize>,
    pub violations: Vec<String>,
}

impl Row {
    /// Whether the fault struck less than a fifth of the replies. A fault that strikes between
    /// replies shows nothing.
    pub fn struck_too_few(&self, fault: Fault) -> bool {
        fault.strikes() && self.struck * 5 < self.runs
    }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "fault": self.number,
            "name": self.name,
            "runs": self.runs,
            "struck": self.struck,
            "complete": self.complete,
            "prefix": self.prefix,
            "lost": self.lost,
            "doubled": self.doubled,
            "reordered": self.reordered,
            "late": self.late,
            "longest_ms": self.longest.as_millis(),
            "longest_stop_ms": self.longest_stop.map(|time| time.as_millis()),
            "ends": self.ends,
            "refused": self.refused,
            "refused_posts": self.refused_posts,
            "violations": self.violations,
        })
    }
}

/// Writes both files; gives the table.
pub fn write(rows: &[Row], took: Duration) -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let result = json!({
        "build": build,
        "load_average": load,
        "seconds": took.as_secs(),
        "faults": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    let mut table = format!(
        "# The fault matrix\n\nA {build} build, {} s, load average at the end {load}.\n\n\
         | | fault | runs | struck | complete | prefix | lost | doubled | reordered | > 8 s | refused | longest | violations |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        took.as_secs()
    );
    for row in rows {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s | {} |",
            row.number,
            row.name,
            row.runs,
            row.struck,
            row.complete,
            row.prefix,
            row.lost,
            row.doubled,
            row.reordered,
            row.late,
            row.refused.values().sum::<usize>(),
            row.longest.as_secs_f64(),
            row.violations.len(),
        );
    }
    table.push_str(
        "\n*struck*: the reply had begun and not ended when the fault struck. *prefix*: broken off, with \
         the same events and one end for all viewers. *> 8 s*: viewers whose end came later than that. \
         *refused*: answers after which a browser would not reconnect. *longest*: from the fault, or from the POST if that \
         was later, to the last viewer's end.\n",
    );
    if let Some(time) = rows.iter().filter_map(|row| row.longest_stop).max() {
        let _ = writeln!(
            table,
            "\nFrom a DELETE on another replica to the close of the connection to upstream: at most {:.2} s.",
            time.as_secs_f64()
        );
    }
    let json = serde_json::to_string_pretty(&result).unwrap();
    keep("result.json", &(json + "\n"));
    keep("result.md", &table);
    table
}

/// Writes a file beside the result.
pub fn keep(name: &str, text: &str) {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

fn folder() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).join("faults")
}
