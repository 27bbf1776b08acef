//! Generations without a network: golden transcripts, and everything that can interrupt the work.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::{
    config::Config,
    event::{self, ErrorCode},
    store::{self, Created, Log, Store},
};

fn store() -> Store {
    let retention = Duration::from_secs(600);
    Store::in_memory(store::Options {
        max_replies: 10,
        retention,
        pad: false,
    })
}

async fn writer(store: &Store) -> Writer {
    match store.create(None).await.unwrap() {
        Created::New(writer) => writer,
        Created::Existing(_) => panic!("no key was given"),
    }
}

fn limits(flags: &[&str]) -> Limits {
    Config::from_flags(flags).unwrap().limits
}

/// Plays `parts` as the body of upstream's answer; gives the finished log.
async fn played(parts: &[&[u8]], limits: &Limits) -> Log {
    let store = store();
    let writer = writer(&store).await;
    let log = Log::from(Arc::clone(writer.log()));
    let reply = upstream::Reply::of_parts(parts);
    supervise_work(writer, limits, Instant::now(), async |writer, progress| {
        follow(reply, writer, limits, progress).await
    })
    .await;
    log
}

/// The events of a log as the golden files have them: without what differs from run to run.
async fn events(log: &Log) -> String {
    let mut reader = log.reader();
    let (mut lines, mut cursor) = (String::new(), event::Seq::ZERO);
    while let crate::store::Next::Event { seq, bytes, .. } = reader.read_after(cursor).await {
        let text = std::str::from_utf8(&bytes).unwrap();
        let mut fields = text
            .lines()
            .map(|line| line.split_once(": ").unwrap_or_default().1);
        assert_eq!(fields.next(), Some(seq.to_string().as_str()));
        let name = fields.next().unwrap();
        let mut data: Value = serde_json::from_str(fields.next().unwrap()).unwrap();
        if name == "start" {
            data = json!({});
        }
        if let Some(object) = data.as_object_mut() {
            object.remove("ms");
        }
        lines.push_str(&format!("{seq} {name} {data}\n"));
        cursor = seq;
    }
    lines
}

fn transcripts() -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect()
}

/// Each golden transcript gives the events beside it, whole, byte by byte, and at every two-way
/// split. `UPDATE_EXPECT=1` writes them anew, to be read in review.
#[tokio::test(start_paused = true)]
async fn golden_transcripts_give_their_events_however_they_are_split() {
    let limits = limits(&[]);
    let all = transcripts();
    assert!(all.len() >= 20, "only {} transcripts were found", all.len());
    for (name, bytes) in all {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/transcripts")
            .join(format!("{name}.events"));
        let whole = events(&played(&[&bytes], &limits).await).await;
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, &whole).unwrap();
        }
        let expected = fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{name}.events is missing: run with UPDATE_EXPECT=1"));
        assert_eq!(whole, expected, "{name}, whole");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(
            events(&played(&single, &limits).await).await,
            expected,
            "{name}, by the byte"
        );
        for at in 1..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let split = events(&played(&[head, tail], &limits).await).await;
            assert_eq!(split, expected, "{name}, split at byte {at}");
        }
    }
}

fn end_of(log: &Log) -> End {
    log.end().expect("a supervised reply has its end")
}

fn code(log: &Log) -> ErrorCode {
    end_of(log).error.expect("it failed").code
}

const DELTA: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"12345\"}}]}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test]
async fn a_panic_ends_the_reply_as_a_fault_of_ours() {
    let store = store();
    let writer = writer(&store).await;
    let log = Log::from(Arc::clone(writer.log()));
    let limits = limits(&[]);
    supervise_work(writer, &limits, Instant::now(), async |writer, _| {
        append(
            writer,
            &[ReplyEvent::Delta {
                text: "before".into(),
            }],
        )?;
        panic!("a bug")
    })
    .await;
    assert_eq!(code(&log), ErrorCode::Internal);
    assert_eq!(end_of(&log).bytes, 6);
    assert_eq!(log.snapshot().await.unwrap().text, "before");
    assert_eq!(store.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_first_delta_and_after_it_have_their_own_patience() {
    let limits = limits(&[
        "--first-delta-seconds=300",
        "--stall-seconds=7",
        "--idle-reader-seconds=400",
    ]);
    let begun = Instant::now();
    let log = played(
        &[b": ping\n\n", b"data: {}\n\n", upstream::Reply::SILENCE],
        &limits,
    )
    .await;
    assert_eq!(code(&log), ErrorCode::UpstreamStalled);
    assert_eq!(begun.elapsed().as_secs(), 300);

    let begun = Instant::now();
    let log = played(&[DELTA.as_bytes(), upstream::Reply::SILENCE], &limits).await;
    assert_eq!(code(&log), ErrorCode::UpstreamStalled);
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(log.snapshot().await.unwrap().text, "12345");
}

#[tokio::test(start_paused = true)]
async fn after_a_finish_reason_silence_completes_the_reply() {
    let begun = Instant::now();
    let parts = [
        DELTA.as_bytes(),
        FINISH.as_bytes(),
        upstream::Reply::SILENCE,
    ];
    let log = played(&parts, &limits(&[])).await;
    assert_eq!(end_of(&log).status, Status::Completed);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_reply_ends_when_its_time_is_up() {
    let limits = limits(&["--max-reply-seconds=9", "--idle-reader-seconds=100"]);
    let begun = Instant::now();
    let log = played(&[DELTA.as_bytes(), upstream::Reply::SILENCE], &limits).await;
    assert_eq!(code(&log), ErrorCode::ReplyTimeout);
    assert_eq!(begun.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_reads_is_stopped() {
    let limits = limits(&["--idle-reader-seconds=11"]);
    let log = played(&[DELTA.as_bytes(), upstream::Reply::SILENCE], &limits).await;
    let end = end_of(&log);
    assert_eq!(
        (end.status, end.reason),
        (Status::Stopped, Some(StopReason::Unread))
    );
    assert_eq!(end.ms.total, 11_000);
}

#[tokio::test]
async fn text_over_the_limit_ends_the_reply_and_what_came_before_is_kept() {
    let limits = limits(&["--max-reply-bytes=12"]);
    let three = DELTA.repeat(3);
    let log = played(&[three.as_bytes(), FINISH.as_bytes()], &limits).await;
    assert_eq!(code(&log), ErrorCode::TooLong);
    assert_eq!(log.snapshot().await.unwrap().text, "1234512345");
    assert_eq!(end_of(&log).bytes, 10);
}

#[tokio::test]
async fn a_stop_request_ends_the_reply_with_its_reason() {
    for (request, status, error) in [
        (StopRequest::Viewer, Status::Stopped, None),
        (
            StopRequest::Shutdown,
            Status::Failed,
            Some(ErrorCode::ServerShutdown),
        ),
    ] {
        let store = store();
        let writer = writer(&store).await;
        let log = Log::from(Arc::clone(writer.log()));
        writer.log().request_stop(request);
        let limits = limits(&[]);
        let work = async |_: &mut Writer, _: &mut Progress| std::future::pending().await;
        supervise_work(writer, &limits, Instant::now(), work).await;
        let end = end_of(&log);
        assert_eq!(
            (end.status, end.error.map(|error| error.code)),
            (status, error)
        );
    }
}
