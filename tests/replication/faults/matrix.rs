//! Sixteen faults, some replies each: `FAULT_RUNS` says how many, `FAULTS` which, such as `6,9`.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::join_all, stream};
use rand::RngExt as _;
use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    cluster::{Cluster, Plan},
    fault::Fault,
    history::{Promise, judge},
    report::{self, Row},
    run::{Outcome, Run, VIEWERS},
};

/// How many times the runs are made at most, until a fault has struck enough of them.
const ROUNDS_LIMIT: usize = 3;
/// The replies that share one strike.
const BATCH: usize = 20;
/// The longest wait for a part of the replies to run before a fault strikes them.
const STRIKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A viewer's end is to be there so soon after the fault.
const BOUND: Duration = Duration::from_secs(8);

#[actix_web::test]
async fn no_fault_costs_a_viewer_an_event() {
    let runs = std::env::var("FAULT_RUNS").map_or(20, |number| number.parse().unwrap());
    let chosen = std::env::var("FAULTS").unwrap_or_default();
    let chosen: Vec<usize> = chosen
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect();
    let begun = Instant::now();
    let faults = Fault::ALL.into_iter();
    let faults = faults.filter(|fault| chosen.is_empty() || chosen.contains(&fault.number()));
    // Each has a cluster of its own, and mostly waits. One at a time where times are to be measured.
    let at_once = if runs > BATCH { 1 } else { 4 };
    let rows: Vec<Row> = stream::iter(faults)
        .map(|fault| {
            suffer(fault, runs, fault.variants(), move |variant| {
                fault.plan(variant)
            })
        })
        .buffered(at_once)
        .collect()
        .await;
    let table = report::write(&rows, begun.elapsed());
    println!("{table}");
    let violations: Vec<&String> = rows.iter().flat_map(|row| &row.violations).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    for row in &rows {
        assert!(
            !row.struck_too_few(Fault::ALL[row.number - 1]),
            "fault {} struck {} replies of {}",
            row.number,
            row.struck,
            row.runs
        );
    }
}

/// The faults that need neither a second replica nor Redis.
#[actix_web::test]
async fn one_replica_alone_keeps_the_promise_to_bad_viewers_and_under_a_bad_upstream() {
    let faults = [
        Fault::ViewerReset,
        Fault::ViewerHalfOpen,
        Fault::ViewerHops,
        Fault::ViewerSlow,
        Fault::UpstreamFails,
        Fault::StoppedElsewhere,
        Fault::AroundTheCreate,
    ];
    let rows = join_all(faults.map(|fault| {
        // The second form of a stop from elsewhere is done to Redis.
        let variants = if fault == Fault::StoppedElsewhere {
            1
        } else {
            fault.variants()
        };
        let plan = move |variant| Plan {
            replicas: 1,
            shared: false,
            ..fault.plan(variant)
        };
        suffer(fault, 6, variants, plan)
    }));
    for row in rows.await {
        assert!(row.violations.is_empty(), "{:#?}", row.violations);
        assert_eq!(row.complete + row.prefix, 6);
    }
}

/// All runs of one fault, in batches that share a cluster and a strike.
async fn suffer(fault: Fault, runs: usize, variants: usize, plan: impl Fn(usize) -> Plan) -> Row {
    let mut row = Row {
        number: fault.number(),
        name: fault.name(),
        ..Row::default()
    };
    let size = BATCH.min(runs.div_ceil(variants));
    let mut batch = 0;
    // On a slow machine few replies may run when a fault strikes: then another batch meets it.
    while row.runs < runs || (row.struck_too_few(fault) && row.runs < ROUNDS_LIMIT * runs) {
        let variant = batch % variants;
        let size = match runs.saturating_sub(row.runs) {
            0 => size,
            left => size.min(left),
        };
        strike(fault, variant, batch, size, plan(variant), &mut row).await;
        batch += 1;
    }
    println!(
        "fault {}: {} runs, {} struck, {:?}, refused {:?} and POSTs {:?}, longest {:.1} s, {} violations",
        row.number,
        row.runs,
        row.struck,
        row.ends,
        row.refused,
        row.refused_posts,
        row.longest.as_secs_f64(),
        row.violations.len()
    );
    row
}

async fn strike(
    fault: Fault,
    variant: usize,
    batch: usize,
    size: usize,
    plan: Plan,
    row: &mut Row,
) {
    let before = row.violations.len();
    let mut cluster = Cluster::start(plan).await;
    let copy = fault.prepare(variant, &cluster).await;
    let spread = Plan::default().length();
    let moment = tokio::time::Instant::now() + spread + Duration::from_millis(150);
    let mut runs = JoinSet::new();
    for number in 0..size {
        let run = Run {
            fault,
            variant,
            number,
            length: plan.length(),
            prompt: format!("Sing of the river {}.{batch}.{number}", fault.number()),
            doors: cluster.addrs(),
            journal: cluster.journal(),
        };
        // So that the fault meets each at an event of its own, and some at the POST.
        let length = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        let early = Duration::from_millis(rand::rng().random_range(0..=length));
        runs.spawn(async move {
            sleep_until(moment - early).await;
            run.play().await
        });
    }
    sleep_until(moment).await;
    if fault.strikes() {
        // On a slow machine the replies begin late.
        let journal = cluster.journal();
        let begun = journal.wait_for(|_| journal.open() * 4 >= size);
        let _ = timeout(STRIKE_TIMEOUT, begun).await;
    }
    let struck = Instant::now();
    fault.strike(variant, &mut cluster, copy).await;
    while let Some(outcome) = runs.join_next().await {
        let outcome = outcome.unwrap();
        let sent = cluster.sent(&outcome.prompt).await.unwrap_or_default();
        let violations = count(&outcome, &sent, fault.promise(variant), struck, row);
        let place = format!(
            "fault {} variant {variant} {:?}",
            fault.number(),
            outcome.prompt
        );
        row.violations.extend(
            violations
                .into_iter()
                .map(|wrong| format!("{place}: {wrong}")),
        );
    }
    for wrong in fault.aftermath(&cluster).await {
        let place = format!("fault {} variant {variant} batch {batch}", fault.number());
        row.violations.push(format!("{place}: {wrong}"));
    }
    if row.violations.len() > before {
        for (number, replica) in cluster.replicas.iter().enumerate() {
            let name = format!(
                "fault-{}-batch-{batch}-replica-{number}.log",
                fault.number()
            );
            report::keep(&name, &replica.log());
        }
    }
}

/// Adds a run to its row; gives what was wrong with it.
fn count(
    outcome: &Outcome,
    sent: &str,
    promise: Promise,
    struck: Instant,
    row: &mut Row,
) -> Vec<String> {
    row.runs += 1;
    let since = outcome.posted.map_or(struck, |posted| posted.max(struck));
    let verdict = judge(&outcome.sights, sent, promise, since);
    let ends = outcome.sights.iter().filter_map(|sight| sight.ended);
    let lives = ends.min().is_none_or(|end| end > struck);
    row.struck += usize::from(outcome.posted.is_some_and(|posted| posted < struck) && lives);
    row.lost += verdict.lost;
    row.doubled += verdict.doubled;
    row.reordered += verdict.reordered;
    let waits = verdict.waits.iter();
    row.late += waits.filter(|wait| **wait > BOUND).count() + verdict.hung;
    row.longest = row
        .longest
        .max(verdict.waits.iter().max().copied().unwrap_or_default());
    row.longest_stop = row.longest_stop.max(outcome.stopped_in);
    let mut violations = outcome.wrongs.clone();
    violations.extend(verdict.wrongs);
    if violations.is_empty() {
        row.complete += usize::from(verdict.complete);
        row.prefix += usize::from(!verdict.complete);
    }
    *row.ends.entry(verdict.end).or_default() += 1;
    let refused = outcome.sights.iter().flat_map(|sight| &sight.refused);
    for status in refused {
        *row.refused.entry(*status).or_default() += 1;
    }
    for status in &outcome.refused {
        *row.refused_posts.entry(*status).or_default() += 1;
    }
    if outcome.posted.is_some() && outcome.sights.len() < VIEWERS {
        violations.push("a viewer is missing".to_owned());
    }
    violations
}
