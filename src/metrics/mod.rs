//! Figures for the person on call, in the text format of Prometheus.
//!
//! The names follow Prometheus' rules, and `gen_ai_*` those of OpenTelemetry for generative AI. Labels
//! hold words of this program and names of deployments only, so their number is bounded, and no caller
//! can add to it. An event of a reply costs one reading of the clock and no lock: a reply collects its
//! gaps by itself and adds them at its end.
//!
//! The figures are the process's, like its log. This module imports nothing of the crate.

mod registry;

use std::time::{Duration, Instant};

use prometheus::local::LocalHistogram;

use self::registry::FIGURES;

/// What is read at the moment of the question.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Replies that run.
    pub running: usize,
    /// Events that are written here and that other replicas cannot read yet.
    pub unreplicated: u64,
    /// Whether the store works.
    pub store_up: bool,
    /// Whether the server shuts down.
    pub draining: bool,
}

/// The figures, as the body of a response. Its type is [`CONTENT_TYPE`].
#[must_use]
pub fn text(moment: Moment) -> String {
    let figures = &*FIGURES;
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    figures.running.set(count(moment.running as u64));
    figures.unreplicated.set(count(moment.unreplicated));
    figures.store_up.set(moment.store_up.into());
    figures.draining.set(moment.draining.into());
    let families = figures.registry.gather();
    // Only a figure without a name or a value cannot be encoded.
    prometheus::TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_default()
}

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An open event stream: counted from its making until it is dropped.
#[derive(Debug)]
pub struct OpenViewer(());

impl OpenViewer {
    /// Counts a viewer.
    #[must_use]
    pub fn count() -> Self {
        FIGURES.viewers.inc();
        Self(())
    }
}

impl Drop for OpenViewer {
    fn drop(&mut self) {
        FIGURES.viewers.dec();
    }
}

/// The gaps between the deltas of one reply.
#[derive(Debug)]
pub struct Gaps {
    last: Option<Instant>,
    collected: LocalHistogram,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            last: None,
            collected: FIGURES.gap.local(),
        }
    }
}

impl Gaps {
    /// Notes that a delta has come.
    pub fn note(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.collected.observe((now - last).as_secs_f64());
        }
    }
}

/// How a reply ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Its status.
    pub status: &'a str,
    /// The code of its error; empty if it has none.
    pub code: &'a str,
    /// From the POST to the first delta.
    pub first: Option<Duration>,
    /// From the POST to the end.
    pub total: Duration,
    /// The tokens of the request and of the answer.
    pub tokens: Option<(u64, u64)>,
}

/// Counts a reply that has ended.
pub fn ended(ended: Ended<'_>) {
    let figures = &*FIGURES;
    let labels = [ended.status, ended.code];
    figures.ended.with_label_values(&labels).inc();
    figures.duration.observe(ended.total.as_secs_f64());
    if let Some(first) = ended.first {
        figures.first.observe(first.as_secs_f64());
    }
    if let Some((input, output)) = ended.tokens {
        for (kind, tokens) in [("input", input), ("output", output)] {
            #[expect(clippy::cast_precision_loss, reason = "no reply has 2^52 tokens")]
            figures
                .tokens
                .with_label_values(&[kind])
                .observe(tokens as f64);
        }
    }
}

/// Counts a request to a deployment. `outcome` is `answered`, `circuit_open`, or the code of its error.
pub fn attempted(deployment: &str, outcome: &str) {
    let labels = [deployment, outcome];
    FIGURES.attempts.with_label_values(&labels).inc();
}

/// Counts that a reply waits and asks again.
pub fn retried() {
    FIGURES.retries.inc();
}

/// Notes whether a deployment's circuit is open.
pub fn circuit(deployment: &str, is_open: bool) {
    let gauge = FIGURES.circuits.with_label_values(&[deployment]);
    gauge.set(is_open.into());
}

/// Counts a request of a client that is refused, with the `code` of its problem.
pub fn refused(code: &str) {
    FIGURES.refused.with_label_values(&[code]).inc();
}

/// The names of all figures, as they are declared.
#[must_use]
pub fn names() -> Vec<String> {
    let figures = &*FIGURES;
    let all = figures.all();
    all.iter()
        .flat_map(|figure| figure.desc())
        .map(|desc| desc.fq_name.clone())
        .collect()
}

#[cfg(test)]
mod tests;
