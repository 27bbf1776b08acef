//! The log: one line an event on standard error, as text or as JSON, without secrets.
//!
//! A line that a request has caused ends with the request's id.
//!
//! A caller that logs never waits for standard error: a thread of its own writes, and what finds its queue
//! full is dropped and counted.
//!
//! Keys, prompts and replies never reach the log. This crate logs none of them. Other crates may log
//! whole requests at their lower levels, so only their warnings and errors pass, whatever the filter
//! says. A panic is logged by its location alone, because its message may quote the data that caused
//! it.

mod queue;

use std::{
    io::{self, Write as _},
    sync::OnceLock,
    time::Duration,
};

use env_logger::{Logger, Target, fmt::Formatter};
use log::{
    Level, Log, Metadata, Record,
    kv::{Error, Key, Value, VisitSource},
};
use serde_json::json;

use self::queue::Queue;
use crate::context;

/// How long the end of the program waits for the last lines, in case standard error takes no more.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The most verbose level at which other crates are logged.
const OTHER_CRATES_LEVEL: Level = Level::Warn;

/// Applies the filter of the user, and [`OTHER_CRATES_LEVEL`] before it.
struct FilteredLogger(Logger);

impl Log for FilteredLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let own = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        (own || metadata.level() <= OTHER_CRATES_LEVEL) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Installs the logger, with an `env_logger` filter such as `info` or `warn,rasta_stream=debug`. A
/// second call has no effect.
///
/// # Errors
///
/// If the system refuses the thread that writes.
pub fn start(format: Format, filter: &str) -> io::Result<()> {
    if QUEUE.get().is_some() {
        return Ok(());
    }
    let queue = Queue::start(io::stderr(), |dropped| {
        log::warn!(lines = dropped; "log lines were dropped: standard error took no more");
    })?;
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    builder.target(Target::Pipe(Box::new(queue.clone())));
    match format {
        Format::Text => builder.format(text_line),
        Format::Json => builder.format(json_line),
    };
    let logger = builder.build();
    let max_level = logger.filter();
    if log::set_boxed_logger(Box::new(FilteredLogger(logger))).is_ok() {
        // Set once, here, where the logger is.
        let _ = QUEUE.set(queue);
        log::set_max_level(max_level);
        std::panic::set_hook(Box::new(|info| {
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            log::error!(location = location.as_str(); "a task panicked");
        }));
    }
    Ok(())
}

/// Waits a moment for the last lines to be written. Called before the program ends.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_TIMEOUT);
    }
}

/// Writes a line that is no event, such as why the program ends, after all that was logged.
pub fn write_line(line: &str) {
    let Some(queue) = QUEUE.get() else {
        // If standard error is closed, there is nowhere to say it.
        let _ = writeln!(io::stderr(), "{line}");
        return;
    };
    queue.push(format!("{line}\n").as_bytes());
    queue.flush(FLUSH_TIMEOUT);
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn text_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    struct Pairs<'a>(&'a mut Formatter);
    impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let text = value.to_string();
            if text == "None" {
                return Ok(());
            }
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
            if plain {
                write!(self.0, " {key}={text}")?;
            } else {
                write!(self.0, " {key}={text:?}")?;
            }
            Ok(())
        }
    }
    write!(out, "{} {:<5} {}", now(), record.level(), record.args())?;
    record
        .key_values()
        .visit(&mut Pairs(out))
        .map_err(io::Error::other)?;
    if let Some(context) = context::current() {
        write!(out, " request={}", context.id())?;
    }
    writeln!(out)
}

fn json_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    struct Pairs(serde_json::Map<String, serde_json::Value>);
    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let value = match (value.to_u64(), value.to_bool()) {
                (Some(number), _) => json!(number),
                (None, Some(truth)) => json!(truth),
                (None, None) => json!(value.to_string()),
            };
            if value != "None" {
                self.0.insert(key.to_string(), value);
            }
            Ok(())
        }
    }
    let mut pairs = Pairs(serde_json::Map::new());
    record
        .key_values()
        .visit(&mut pairs)
        .map_err(io::Error::other)?;
    let mut line = json!({
        "time": now(),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
    });
    if let Some(fields) = line.as_object_mut() {
        fields.append(&mut pairs.0);
        if let Some(context) = context::current() {
            fields.insert("request".to_owned(), context.id().into());
        }
    }
    writeln!(out, "{line}")
}
