//! A new version is rolled out, as an orchestrator does it: for each replica a new one is started, gets
//! the connections from then on, and the old one is asked to exit.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rasta_stream::simulator::{JournalEvent, Record};
use tokio::{task::JoinSet, time::sleep};

use super::{
    cluster::{Cluster, Plan},
    fault::Fault,
    history::{Promise, judge},
    run::Run,
};
use crate::support::{client::soon, replica::Ended};

/// The replies that run all the while.
const REPLIES: usize = 200;
/// Within this time they are all posted; they are several times as long.
const POSTING: Duration = Duration::from_secs(1);

#[actix_web::test]
async fn a_roll_out_of_three_replicas_under_two_hundred_live_replies_tears_none() {
    let plan = Plan {
        beat: Duration::from_millis(300),
        ..Plan::default()
    };
    let mut cluster = Cluster::start(plan).await;
    let mut runs = JoinSet::new();
    for number in 0..REPLIES {
        let run = Run {
            fault: Fault::LeaderTerminated,
            variant: 0,
            number,
            length: plan.length(),
            prompt: format!("Sing of the river {number}"),
            doors: {
                let mut doors = cluster.addrs();
                let count = doors.len();
                doors.rotate_left(number % count);
                doors
            },
            journal: cluster.journal(),
        };
        let early = POSTING.mul_f64(rand::rng().random());
        runs.spawn(async move {
            sleep(early).await;
            run.play().await
        });
    }
    let asked = async {
        let journal = cluster.journal();
        let is_request = |record: &&Record| matches!(record.event, JournalEvent::Request { .. });
        journal
            .wait_for(|records| records.iter().filter(is_request).count() == REPLIES)
            .await;
    };
    soon("all replies to be asked for", asked).await;
    assert!(cluster.journal().open() > 0, "none runs any more");

    let begun = Instant::now();
    let mut old = Vec::new();
    for (replica, door) in cluster.replicas.iter_mut().zip(&cluster.doors) {
        let new = replica.twin().await;
        door.aim(new.addr());
        replica.terminate();
        old.push(std::mem::replace(replica, new));
    }
    println!(
        "rolled out in {:.1} s, with {} replies still running",
        begun.elapsed().as_secs_f64(),
        cluster.journal().open()
    );
    let mut complete = 0;
    while let Some(outcome) = runs.join_next().await {
        let outcome = outcome.unwrap();
        let sent = cluster.sent(&outcome.prompt).await.unwrap_or_default();
        let verdict = judge(&outcome.sights, &sent, Promise::Whole, begun);
        assert_eq!(verdict.wrongs, Vec::<String>::new(), "{}", outcome.prompt);
        assert_eq!(outcome.wrongs, Vec::<String>::new(), "{}", outcome.prompt);
        complete += usize::from(verdict.complete);
    }
    assert_eq!(complete, REPLIES);
    for replica in old {
        assert_eq!(replica.ended().await, Ended::Code(0), "{}", replica.log());
    }
}
