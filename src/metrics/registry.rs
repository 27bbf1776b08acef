//! Every figure: its name, its help, its labels and its buckets.

use std::sync::LazyLock;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// The figures of this process.
pub(super) static FIGURES: LazyLock<Figures> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, and a test makes all of them"
    )]
    Figures::declare().expect("the figures are declared rightly")
});

/// Upper bounds of times between deltas, in seconds.
const GAP_SECONDS: &[f64] = &[
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Upper bounds of times until the first delta, in seconds. Models can think for minutes.
const FIRST_SECONDS: &[f64] = &[
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0,
];
/// Upper bounds of times of whole replies, in seconds.
const TOTAL_SECONDS: &[f64] = &[
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 900.0,
];
/// Upper bounds of tokens: the first of those that OpenTelemetry recommends.
const TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0,
];

pub(super) struct Figures {
    pub(super) registry: Registry,
    build: IntGaugeVec,
    pub(super) viewers: IntGauge,
    pub(super) running: IntGauge,
    pub(super) draining: IntGauge,
    pub(super) ended: IntCounterVec,
    pub(super) duration: Histogram,
    pub(super) first: Histogram,
    pub(super) gap: Histogram,
    pub(super) tokens: HistogramVec,
    pub(super) attempts: IntCounterVec,
    pub(super) retries: IntCounter,
    pub(super) circuits: IntGaugeVec,
    pub(super) refused: IntCounterVec,
    pub(super) store_up: IntGauge,
    pub(super) unreplicated: IntGauge,
}

impl Figures {
    fn declare() -> prometheus::Result<Self> {
        let histogram = |name: &str, help: &str, bounds: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))
        };
        let counters =
            |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges = |name, help, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let tokens = HistogramOpts::new("gen_ai_client_token_usage", "Tokens of each reply.");
        let figures = Self {
            registry: Registry::new(),
            build: gauges(
                "rasta_stream_build_info",
                "The version of the program; always 1.",
                &["version"],
            )?,
            viewers: IntGauge::new("rasta_stream_viewers", "Open event streams.")?,
            running: IntGauge::new("rasta_stream_replies_running", "Replies that run.")?,
            draining: IntGauge::new(
                "rasta_stream_draining",
                "Whether the server shuts down: 1 if so.",
            )?,
            ended: counters(
                "rasta_stream_replies_ended_total",
                "Replies that have ended, by status and by the code of the error.",
                &["status", "code"],
            )?,
            duration: histogram(
                "gen_ai_client_operation_duration_seconds",
                "From the POST to the end of the reply.",
                TOTAL_SECONDS,
            )?,
            first: histogram(
                "gen_ai_client_operation_time_to_first_chunk_seconds",
                "From the POST to the first delta.",
                FIRST_SECONDS,
            )?,
            gap: histogram(
                "gen_ai_client_operation_time_per_output_chunk_seconds",
                "Between two deltas of a reply; counted once it has ended.",
                GAP_SECONDS,
            )?,
            tokens: HistogramVec::new(tokens.buckets(TOKENS.to_vec()), &["gen_ai_token_type"])?,
            attempts: counters(
                "rasta_stream_upstream_attempts_total",
                "Requests to a deployment, by what came of them.",
                &["deployment", "outcome"],
            )?,
            retries: IntCounter::new(
                "rasta_stream_upstream_retries_total",
                "Waits for busy deployments, after which they are asked again.",
            )?,
            circuits: gauges(
                "rasta_stream_upstream_circuit_open",
                "Whether the deployment was busy or unreachable when it was last asked: 1 if so.",
                &["deployment"],
            )?,
            refused: counters(
                "rasta_stream_requests_refused_total",
                "Requests of clients that were refused, by the code of the problem.",
                &["code"],
            )?,
            store_up: IntGauge::new(
                "rasta_stream_store_up",
                "Whether the store works: 0 while Redis does not answer.",
            )?,
            unreplicated: IntGauge::new(
                "rasta_stream_store_unreplicated_events",
                "Events of running replies that other replicas cannot read yet.",
            )?,
        };
        for figure in figures.all() {
            figures.registry.register(figure)?;
        }
        figures
            .build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        // There from the start, so that the first one shows as an increase.
        for status in ["completed", "stopped"] {
            figures.ended.with_label_values(&[status, ""]);
        }
        figures.ended.with_label_values(&["failed", "internal"]);
        figures.refused.with_label_values(&["internal"]);
        for kind in ["input", "output"] {
            figures.tokens.with_label_values(&[kind]);
        }
        Ok(figures)
    }

    /// Each of them, in the order of the documentation.
    pub(super) fn all(&self) -> [Box<dyn Collector>; 15] {
        [
            Box::new(self.build.clone()),
            Box::new(self.viewers.clone()),
            Box::new(self.running.clone()),
            Box::new(self.draining.clone()),
            Box::new(self.ended.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.first.clone()),
            Box::new(self.gap.clone()),
            Box::new(self.tokens.clone()),
            Box::new(self.attempts.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.circuits.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.store_up.clone()),
            Box::new(self.unreplicated.clone()),
        ]
    }
}
