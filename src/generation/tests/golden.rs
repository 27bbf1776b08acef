//! Golden transcripts: the body of a response, byte for byte, with the events that it must produce.

use std::{fs, path::Path};

use super::*;

/// The transcripts in a folder, by their paths without an extension.
fn transcripts(folder: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| (path.with_extension(""), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    assert!(all.len() >= 20, "only {} transcripts were found", all.len());
    all
}

/// Each transcript gives the events beside it, whole, byte by byte, and at every two-way split.
/// `UPDATE_EXPECT=1` writes them anew, to be read in review.
async fn give_their_events(api: Api, folder: &str, limits: &Limits) {
    for (path, bytes) in transcripts(folder) {
        let name = path.file_name().unwrap().display();
        let file = path.with_extension("events");
        let play = async |parts: &[&[u8]]| events(&played_over(api, parts, limits).await).await;
        let whole = play(&[&bytes]).await;
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, &whole).unwrap();
        }
        let expected = fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{name}.events is missing: run with UPDATE_EXPECT=1"));
        assert_eq!(whole, expected, "{name}, whole");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(play(&single).await, expected, "{name}, by the byte");
        for at in 1..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let split = play(&[head, tail]).await;
            assert_eq!(split, expected, "{name}, split at byte {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn golden_transcripts_give_their_events_however_they_are_split() {
    let (api, limits) = (Api::ChatCompletions, Limits::default());
    give_their_events(api, "tests/transcripts", &limits).await;
}

/// Those of the Responses API are played with the reasoning shown.
#[tokio::test(start_paused = true)]
async fn golden_transcripts_of_responses_give_their_events_however_they_are_split() {
    let limits = Limits {
        reasoning_bytes: Some(1 << 20),
        ..Limits::default()
    };
    give_their_events(Api::Responses, "tests/transcripts/responses", &limits).await;
}

const DELTA: &str = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Irie\"}\n\n";

#[tokio::test(start_paused = true)]
async fn the_terminal_event_ends_the_reply_though_the_connection_stays_open() {
    let begun = Instant::now();
    let terminal = "data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
    let parts = [
        DELTA.as_bytes(),
        terminal.as_bytes(),
        upstream::Reply::SILENCE,
    ];
    let log = played_over(Api::Responses, &parts, &Limits::default()).await;
    assert_eq!(end_of(&log).status, Status::Completed);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_three_seconds_for_its_reason() {
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n";
    let comment = ": still here\n\n";
    let parts = [
        failed.as_bytes(),
        comment.as_bytes(),
        upstream::Reply::SILENCE,
    ];
    let begun = Instant::now();
    let log = played_over(Api::Responses, &parts, &Limits::default()).await;
    assert_eq!(code(&log), ErrorCode::UpstreamError);
    assert_eq!(begun.elapsed().as_secs(), 3);

    let reason = "data: {\"type\":\"error\",\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n";
    for before in ["", DELTA] {
        let parts = [before.as_bytes(), failed.as_bytes(), reason.as_bytes()];
        let log = played_over(Api::Responses, &parts, &Limits::default()).await;
        assert_eq!(code(&log), ErrorCode::RateLimited);
    }
}
