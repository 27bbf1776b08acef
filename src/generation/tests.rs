//! Generations without a network: golden transcripts, and everything that can interrupt the work.

mod golden;

use std::{rc::Rc, sync::Arc, time::Duration};

use serde_json::{Value, json};

use futures_util::FutureExt as _;
use tokio::{task::LocalSet, time::Instant};

use super::{
    follow::Following,
    run::Run,
    start::{Started, start},
    supervise::{interruption, supervise},
    *,
};
use crate::{
    chat::ChatRequest,
    event::{self, End, ErrorCode, Estimate, ReplyEvent, Status, StopReason, TokenUsage},
    store::{self, Log, StopRequest, Store, Writer},
    upstream::{self, Api, DeploymentStates, Fault, Network, NetworkOptions, Upstream},
};

/// Runs `work` to the end of its reply.
async fn supervised<W>(writer: Writer, limits: &Limits, work: W)
where
    W: AsyncFnOnce(&mut Run) -> Result<(), Fault>,
{
    let mut run = Run::new(writer, Instant::now(), OnEnd::nothing());
    let interruption = interruption(&mut run, limits, work).await;
    run.end(interruption);
}

/// Plays `parts` as the body of a chat completion; gives the finished log.
async fn played(parts: &[&[u8]], limits: &Limits) -> Log {
    played_over(Api::ChatCompletions, parts, limits).await
}

/// Plays `parts` as the body of the upstream response; gives the finished log.
async fn played_over(api: Api, parts: &[&[u8]], limits: &Limits) -> Log {
    let store = Store::for_tests();
    let writer = store.writer().await;
    let log = Log::from(Arc::clone(writer.log()));
    let reply = upstream::Reply::of_parts(api, parts);
    supervised(writer, limits, async |run| {
        Following::new(reply, run, limits)
            .follow_to_end(run, limits)
            .await
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
            // Not upstream's.
            if object
                .get("usage")
                .is_some_and(|usage| usage["estimated"] == true)
            {
                object.insert("usage".to_owned(), Value::Null);
            }
        }
        lines.push_str(&format!("{seq} {name} {data}\n"));
        cursor = seq;
    }
    lines
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
    let store = Store::for_tests();
    let writer = store.writer().await;
    let log = Log::from(Arc::clone(writer.log()));
    let limits = Limits::default();
    supervised(writer, &limits, async |run| {
        run.append(&[ReplyEvent::Delta {
            text: "before".into(),
        }])?;
        panic!("a bug")
    })
    .await;
    assert_eq!(code(&log), ErrorCode::Internal);
    assert_eq!(end_of(&log).bytes, 6);
    assert_eq!(log.snapshot().await.unwrap().content.text, "before");
    assert_eq!(store.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_first_delta_and_after_it_have_their_own_patience() {
    let limits = Limits {
        first_delta: Duration::from_secs(300),
        stall: Duration::from_secs(7),
        idle_reader: Duration::from_secs(400),
        ..Limits::default()
    };
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
    assert_eq!(log.snapshot().await.unwrap().content.text, "12345");
}

const REASONING: &str = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm. \"}}]}\n\n";

fn with_reasoning(bytes: u64) -> Limits {
    Limits {
        reasoning_bytes: Some(bytes),
        ..Limits::default()
    }
}

#[tokio::test]
async fn reasoning_is_an_event_of_its_own_and_no_part_of_the_text() {
    let both = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"So: \",\"content\":\"Wah\"}}]}\n\n";
    let parts = [REASONING.as_bytes(), both.as_bytes(), FINISH.as_bytes()];
    let log = played(&parts, &with_reasoning(100)).await;
    assert_eq!(
        names_and_texts(&events(&log).await),
        ["reasoning Hm. ", "reasoning So: ", "delta Wah"]
    );
    assert_eq!(end_of(&log).bytes, 3);
    let content = log.snapshot().await.unwrap().content;
    assert_eq!(
        (content.text.as_str(), content.reasoning.as_str()),
        ("Wah", "Hm. So: ")
    );

    let log = played(&parts, &Limits::default()).await;
    assert_eq!(names_and_texts(&events(&log).await), ["delta Wah"]);
}

/// The events between `start` and `end`, each with its text or its code.
fn names_and_texts(events: &str) -> Vec<String> {
    let mut lines: Vec<String> = events
        .lines()
        .map(|line| {
            let (_, event) = line.split_once(' ').unwrap();
            let (name, data) = event.split_once(' ').unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            let told = data["text"].as_str().or(data["code"].as_str());
            format!("{name} {}", told.unwrap_or_default())
        })
        .collect();
    assert_eq!(lines.remove(0), "start ");
    assert_eq!(lines.pop().unwrap(), "end ");
    lines
}

#[tokio::test]
async fn reasoning_over_the_limit_is_left_out_with_a_notice_and_the_reply_goes_on() {
    let parts = [REASONING, REASONING, REASONING, DELTA, FINISH].map(str::as_bytes);
    let log = played(&parts, &with_reasoning(4)).await;
    assert_eq!(
        names_and_texts(&events(&log).await),
        ["reasoning Hm. ", "notice reasoning_trimmed", "delta 12345"]
    );
    assert_eq!(end_of(&log).status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn while_the_model_reasons_it_is_not_silent_and_the_first_delta_is_still_to_come() {
    for reasoning_bytes in [None, Some(100)] {
        let limits = Limits {
            first_delta: Duration::from_secs(300),
            idle_reader: Duration::from_secs(900),
            reasoning_bytes,
            ..Limits::default()
        };
        let store = Store::for_tests();
        let mut run = Run::new(store.writer().await, Instant::now(), OnEnd::nothing());
        let reply = upstream::Reply::of_timed_parts(
            Api::ChatCompletions,
            &[
                (Duration::from_secs(200), REASONING.as_bytes()),
                (Duration::from_secs(200), REASONING.as_bytes()),
                (Duration::from_secs(200), DELTA.as_bytes()),
                (Duration::ZERO, FINISH.as_bytes()),
            ],
        );
        let mut following = Following::new(reply, &mut run, &limits);
        following.follow_to_end(&mut run, &limits).await.unwrap();
        assert_eq!(run.first_delta, Some(Duration::from_secs(600)));

        let parts = [REASONING.as_bytes(), upstream::Reply::SILENCE];
        let begun = Instant::now();
        let log = played(&parts, &limits).await;
        assert_eq!(code(&log), ErrorCode::UpstreamStalled);
        assert_eq!(begun.elapsed().as_secs(), 300);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_finish_reason_silence_completes_the_reply() {
    let begun = Instant::now();
    let parts = [
        DELTA.as_bytes(),
        FINISH.as_bytes(),
        upstream::Reply::SILENCE,
    ];
    let log = played(&parts, &Limits::default()).await;
    assert_eq!(end_of(&log).status, Status::Completed);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn text_after_a_finish_reason_may_pause_as_long_as_other_text() {
    let finished = DELTA.replace("}]}", ",\"finish_reason\":\"stop\"}]}");
    let pause = Duration::from_secs(30);
    let reply = upstream::Reply::of_timed_parts(
        Api::ChatCompletions,
        &[
            (Duration::ZERO, finished.as_bytes()),
            (Duration::from_secs(4), finished.as_bytes()),
            (pause, finished.as_bytes()),
            (pause, b"data: [DONE]\n\n"),
        ],
    );
    let (store, limits) = (Store::for_tests(), Limits::default());
    let mut run = Run::new(store.writer().await, Instant::now(), OnEnd::nothing());
    let mut following = Following::new(reply, &mut run, &limits);
    following.follow_to_end(&mut run, &limits).await.unwrap();
    assert_eq!(run.text_bytes(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_reply_ends_when_its_time_is_up() {
    let limits = Limits {
        total: Duration::from_secs(9),
        idle_reader: Duration::from_secs(100),
        ..Limits::default()
    };
    let begun = Instant::now();
    let log = played(&[DELTA.as_bytes(), upstream::Reply::SILENCE], &limits).await;
    assert_eq!(code(&log), ErrorCode::ReplyTimeout);
    assert_eq!(begun.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_readers_is_stopped() {
    let limits = Limits {
        idle_reader: Duration::from_secs(11),
        ..Limits::default()
    };
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
    let limits = Limits {
        bytes: 12,
        ..Limits::default()
    };
    let three = DELTA.repeat(3);
    let log = played(&[three.as_bytes(), FINISH.as_bytes()], &limits).await;
    assert_eq!(code(&log), ErrorCode::TooLong);
    assert_eq!(log.snapshot().await.unwrap().content.text, "1234512345");
    assert_eq!(end_of(&log).bytes, 10);
}

#[tokio::test(start_paused = true)]
async fn usage_is_estimated_where_upstream_counts_nothing() {
    let limits = Limits::default();
    let usage = async |parts: &[&[u8]]| end_of(&played(parts, &limits).await).usage;
    let estimate = |completion| Some(TokenUsage::Estimated(Estimate::new(0, completion)));
    let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\
        \"completion_tokens\":2,\"total_tokens\":3}}\n\n";
    let counted = usage(&[DELTA, FINISH, counts].map(str::as_bytes)).await;
    assert!(
        matches!(counted, Some(TokenUsage::Reported(_))),
        "{counted:?}"
    );
    // Five digits, and two words of reasoning.
    assert_eq!(
        usage(&[DELTA, FINISH].map(str::as_bytes)).await,
        estimate(2)
    );
    assert_eq!(usage(&[DELTA.as_bytes()]).await, estimate(2), "cut");
    let hidden = [REASONING, DELTA].map(str::as_bytes);
    assert_eq!(usage(&hidden).await, estimate(4), "\"Hm.\" takes two");
    let silent = [DELTA.as_bytes(), upstream::Reply::SILENCE];
    assert_eq!(usage(&silent).await, estimate(2), "stalled");
    assert_eq!(usage(&[FINISH.as_bytes()]).await, estimate(0), "empty");
    assert_eq!(usage(&[]).await, None, "failed before a word");
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
        let store = Store::for_tests();
        let writer = store.writer().await;
        let log = Log::from(Arc::clone(writer.log()));
        writer.log().request_stop(request);
        let limits = Limits::default();
        let work = async |_: &mut Run| std::future::pending().await;
        supervised(writer, &limits, work).await;
        let end = end_of(&log);
        assert_eq!(
            (end.status, end.error.map(|error| error.code)),
            (status, error)
        );
    }
}

/// An upstream that answers nothing.
fn no_deployment() -> Upstream {
    let model = upstream::ModelOptions {
        system_prompt: String::new(),
        max_output_tokens: None,
        temperature: None,
        reasoning_effort: None,
        reasoning_summary: None,
        first_byte: Duration::from_secs(60),
    };
    Upstream::new(
        &[],
        &model,
        &Network::new(&NetworkOptions::default()).unwrap(),
        &DeploymentStates::new(0),
        None,
    )
}

fn request() -> ChatRequest {
    ChatRequest::from_json(br#"{"prompt":"river"}"#).unwrap()
}

fn idempotency() -> Option<store::Request> {
    Some(store::Request {
        key: store::IdempotencyKey::parse("0123456789abcdef").unwrap(),
        fingerprint: request().fingerprint(),
    })
}

#[tokio::test]
async fn a_reply_whose_caller_has_gone_is_generated_and_found_by_its_key() {
    let (store, upstream) = (Store::for_tests(), Rc::new(no_deployment()));
    let started = || {
        let (store, upstream) = (store.clone(), Rc::clone(&upstream));
        let ask = Ask {
            request: request(),
            memory: None,
            owner: store::Owner::Anyone,
            idempotency: idempotency(),
            limits: Limits::default(),
            accepted: Instant::now(),
            on_end: OnEnd::nothing(),
        };
        start(store, upstream, ask)
    };
    let tasks = async {
        // Polled once and dropped.
        assert!(started().now_or_never().is_none());
        tokio::task::yield_now().await;
        let Ok(Started::Existing(log)) = started().await else {
            panic!("the key has started a reply")
        };
        log.reader().read_after(event::Seq(1)).await;
        assert_eq!(code(&log), ErrorCode::Internal);
    };
    LocalSet::new().run_until(tasks).await;
}

#[tokio::test]
async fn while_it_waits_a_generation_takes_little_memory() {
    let (store, upstream, limits) = (Store::for_tests(), no_deployment(), Limits::default());
    let writer = store.writer().await;
    let on_end = OnEnd::nothing();
    let task = supervise(
        &upstream,
        writer,
        (request(), None),
        &limits,
        Instant::now(),
        on_end,
    );
    let size = size_of_val(&task);
    // With the opening's future inside it would be 3,064 bytes.
    assert!(size <= 2_048, "{size}");
}
