//! A soak: clients and faults come and go for as long as one likes, and what the program holds must stay flat.
//!
//! The test command runs it for some seconds, so that the command cannot rot. It starts all that it needs, on
//! loopback. For twenty minutes:
//!
//! ```console
//! $ SOAK_MINUTES=20 cargo test --release --locked --test api churn -- --nocapture
//! ```
//!
//! Time is cut into periods. In each, clients do all that clients do (`visits`), while upstream plays its
//! scenarios (`upstream`). Then they leave, replies are evicted, and the program is at rest: what it still
//! holds then, it holds for nothing. `figures` has the rule by which that is flat.

mod figures;
mod upstream;
mod visits;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

use self::{
    figures::{Figures, Row},
    upstream::Upstream,
    visits::{Tally, Visitor},
};
use crate::support::{
    limits::UNLIMITED,
    redis::Redis,
    replica::{Ended, Replica},
};

/// How many clients there are at once.
const CLIENTS: usize = 12;
/// How often each of them begins something new, at most.
const BEAT: Duration = Duration::from_millis(50);
/// The periods of a run without `SOAK_MINUTES`: they, and the rests between them, take some 20 s.
const SHORT: Plan = Plan {
    periods: 5,
    period: Duration::from_secs(2),
};
const LONG_PERIOD: Duration = Duration::from_secs(60);
/// How long the program may take to be at rest. The longest that it waits for anything here is a circuit.
const REST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a soak takes.
#[derive(Clone, Copy)]
struct Plan {
    periods: u32,
    period: Duration,
}

impl Plan {
    fn new() -> Self {
        let minutes = std::env::var("SOAK_MINUTES").ok();
        minutes.map_or(SHORT, |minutes| Self {
            periods: minutes
                .parse::<u32>()
                .expect("SOAK_MINUTES is a number")
                .clamp(3, 24 * 60),
            period: LONG_PERIOD,
        })
    }
}

#[actix_web::test]
async fn a_replica_that_clients_and_faults_churn_holds_no_more_than_before() {
    let upstream = Upstream::start().await;
    let replica = replica(&upstream, &[]).await;
    soak("memory", &upstream, vec![replica], None).await;
}

#[actix_web::test]
async fn replicas_and_redis_that_clients_and_faults_churn_hold_no_more_than_before() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let url = redis.url();
    let shared = [("REDIS_URL", url.as_str())];
    let replicas = vec![
        replica(&upstream, &shared).await,
        replica(&upstream, &shared).await,
    ];
    soak("Redis", &upstream, replicas, Some(&redis)).await;
}

/// A replica that keeps nothing for long, so that it can be at rest soon after its clients have left.
async fn replica(upstream: &Upstream, more: &[(&str, &str)]) -> Replica {
    let endpoint = upstream.endpoint();
    let mut settings = vec![
        ("AZURE_OPENAI_ENDPOINT", endpoint.as_str()),
        ("AZURE_OPENAI_DEPLOYMENT", "one"),
        ("AZURE_OPENAI_DEPLOYMENT_2", "two"),
        ("AZURE_OPENAI_DEPLOYMENT_3", "three"),
        ("AZURE_OPENAI_DEPLOYMENT_4", "four"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("WORKERS", "2"),
        (
            "RUST_LOG",
            "warn,rasta_stream::upstream=error,rasta_stream::generation=error,rasta_stream::server=info",
        ),
        ("FIRST_BYTE_SECONDS", "1"),
        ("FIRST_DELTA_SECONDS", "1"),
        ("STALL_SECONDS", "1"),
        ("MAX_REPLY_SECONDS", "5"),
        ("MAX_REPLY_BYTES", "50000"),
        ("IDLE_READER_SECONDS", "0.5"),
        ("PING_SECONDS", "0.5"),
        ("RETENTION_SECONDS", "1"),
        ("DRAIN_SECONDS", "5"),
    ];
    settings.extend(UNLIMITED);
    settings.extend(more);
    Replica::start(&settings).await
}

async fn soak(store: &str, upstream: &Upstream, replicas: Vec<Replica>, redis: Option<&Redis>) {
    let (plan, begun) = (Plan::new(), Instant::now());
    let tally = Arc::new(Tally::default());
    let mut rows = vec![Row::new(
        begun.elapsed(),
        Figures::of(&replicas, redis, &tally).await,
    )];
    figures::print_head(store);
    rows[0].print(&tally);
    for _ in 0..plan.periods {
        churn(plan.period, upstream, &replicas, &tally).await;
        let figures = at_rest(&replicas, redis, &tally, &rows[0].figures).await;
        let row = Row::new(begun.elapsed(), figures);
        row.print(&tally);
        rows.push(row);
    }
    let verdict = figures::judge(&rows, tally.visits());
    println!("{store}: {verdict}\n{tally}");
    for replica in replicas {
        replica.terminate();
        assert_eq!(replica.ended().await, Ended::Code(0), "{store}");
        assert!(
            !replica.log().contains("a task panicked"),
            "{}",
            replica.log()
        );
    }
    assert!(tally.read() > 0, "{store}: no reply was read to its end");
    assert!(verdict.is_flat(), "{store}: {verdict}");
}

/// Clients come and go for a period. At its end each finishes what it has begun.
async fn churn(period: Duration, upstream: &Upstream, replicas: &[Replica], tally: &Arc<Tally>) {
    let end = Instant::now() + period;
    let doors: Vec<_> = replicas.iter().map(Replica::addr).collect();
    let clients = (0..CLIENTS).map(|_| {
        let visitor = Visitor::new(doors.clone(), upstream.switch(), Arc::clone(tally));
        tokio::spawn(async move {
            let mut beat = interval(BEAT);
            while Instant::now() < end {
                beat.tick().await;
                visitor.visit().await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// Waits until the program is at rest by its counts, or for as long as that may take.
async fn at_rest(
    replicas: &[Replica],
    redis: Option<&Redis>,
    tally: &Tally,
    start: &Figures,
) -> Figures {
    let (mut look, begun) = (interval(Duration::from_millis(200)), Instant::now());
    loop {
        look.tick().await;
        let figures = Figures::of(replicas, redis, tally).await;
        if figures.are_at_rest(start) || begun.elapsed() > REST_TIMEOUT {
            return figures;
        }
    }
}
