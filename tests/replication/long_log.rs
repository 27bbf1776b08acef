//! Redis loses a log of 200,000 events: it is sent again in bounded appends, and read whole on
//! another replica.

use std::time::Duration;

use rasta_stream::{
    event::{Padding, ReplyEvent, Seq},
    store::{self, Created, Log, Next, Owner, Store, Writer},
};
use sha2::{Digest as _, Sha256};

use tokio::time::timeout;

use crate::support::redis::Redis;

const EVENTS: u64 = 200_000;
/// Events of one append of the writer.
const BATCH: u64 = 1000;
/// How long each step may take; alone it takes a few seconds.
const STEP_TIMEOUT: Duration = Duration::from_secs(100);
/// The most events of one append to Redis.
const APPEND_EVENTS_LIMIT: u64 = 512;

async fn soon<T>(what: &str, step: impl Future<Output = T>) -> T {
    let step = timeout(STEP_TIMEOUT, step).await;
    step.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

async fn replica(redis: &Redis) -> Store {
    let options = store::Options {
        max_replies: 10,
        max_running: usize::MAX,
        retention: Duration::from_secs(600),
        padding: Padding::ToClass,
    };
    let replication = store::ReplicationOptions {
        url: redis.url().into(),
        ca: None,
        max_reply: Duration::from_secs(600),
    };
    Store::connect(options, &replication).await.unwrap()
}

/// Appends deltas until the log has so many events.
fn append_to(writer: &mut Writer, last: &mut u64, to: u64) {
    while *last < to {
        let batch = BATCH.min(to - *last);
        let events: Vec<ReplyEvent> = (0..batch)
            .map(|n| ReplyEvent::Delta {
                text: format!(" {}", *last + n),
            })
            .collect();
        writer.append(&events).unwrap();
        *last += batch;
    }
}

/// Waits until readers may read this event: Redis has it and all before it.
async fn is_committed(log: &Log, seq: u64) {
    let mut reader = log.reader();
    let committed = reader.read_after(Seq(seq - 1));
    soon("the log to be stored", committed).await;
}

/// Reads a log after `cursor` to its end; gives the number of the last event and a hash of all.
async fn read(log: Log, mut cursor: Seq) -> (Seq, Vec<u8>) {
    let (mut reader, mut hash) = (log.reader(), Sha256::new());
    while let Next::Event { seq, bytes, last } = reader.read_after(cursor).await {
        assert_eq!(seq, cursor.next());
        hash.update(&bytes);
        cursor = seq;
        if last {
            break;
        }
    }
    (cursor, hash.finalize().to_vec())
}

// Threads of their own: writing and reading so much must not delay the replicas' heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_of_200_000_events_is_sent_again_in_bounded_appends_and_read_whole_elsewhere() {
    let redis = Redis::start().await;
    let (here, there) = (replica(&redis).await, replica(&redis).await);
    let Created::New(mut writer) = here.create(Owner::Anyone, None).await.unwrap() else {
        panic!("no key was given")
    };
    let log = Log::from(writer.log().clone());
    let mut last = 1;
    append_to(&mut writer, &mut last, EVENTS - 2);
    is_committed(&log, EVENTS - 2).await;
    let follows = there.find(log.id()).await.unwrap().unwrap();

    redis.command(&["FLUSHALL"]).await;
    redis.command(&["CONFIG", "RESETSTAT"]).await;
    let up_to_date = tokio::spawn(read(follows, Seq(EVENTS - 2)));
    append_to(&mut writer, &mut last, EVENTS - 1);
    is_committed(&log, EVENTS - 1).await;
    // Each append ends by asking for the length.
    let (events, appends) = (redis.calls("xadd").await, redis.calls("xlen").await);
    assert!(events >= EVENTS - 1, "{events} events were sent");
    assert!(
        appends >= EVENTS / APPEND_EVENTS_LIMIT,
        "in {appends} appends"
    );

    let late = there.find(log.id()).await.unwrap().unwrap();
    let late = tokio::spawn(read(late, Seq::ZERO));
    drop(writer);
    let whole = read(log.clone(), Seq::ZERO).await;
    assert_eq!(whole.0, Seq(EVENTS));
    let late = soon("a viewer elsewhere to read the whole log", late).await;
    assert_eq!(late.unwrap(), whole);
    let up_to_date = soon("a viewer elsewhere to get the rest", up_to_date).await;
    assert_eq!(up_to_date.unwrap(), read(log, Seq(EVENTS - 2)).await);
}
