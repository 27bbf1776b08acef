//! The parts of the hot path: bytes → frames → chunks, events → bytes, log → viewers.
//!
//! `cargo bench` prints the time per event. Compare rows of one run only: absolute times depend on the
//! machine.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use actix_web::body::MessageBody as _;
use divan::{Bencher, black_box, counter::ItemsCount};
use futures_util::FutureExt as _;
use rasta_stream::{
    event::{Padding, ReplyEvent, Seq},
    shutdown::DrainSignal,
    store::{self, Created, Log, Next, Owner, Store},
    upstream::{dialect::Normalizer, sse::Decoder},
    viewer::{Format, OnDrain, Viewer},
};

/// A delta chunk with the results of Azure's default filter, about 400 bytes.
const CHUNK: &str = concat!(
    r#"data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"#,
    r#""delta":{"content":" river"},"finish_reason":null,"index":0,"logprobs":null}],"#,
    r#""created":1790000000,"id":"chatcmpl-0123456789abcdefghijklmnopqrs","#,
    r#""model":"gpt-x-2026-01-01","obfuscation":"q7Zp0","object":"chat.completion.chunk","#,
    r#""service_tier":"default","system_fingerprint":null,"usage":null}"#,
    "\n\n"
);
/// The same delta as the Responses API sends it, about 300 bytes.
const EVENT: &str = concat!(
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":4,"#,
    r#""item_id":"msg_0123456789abcdef0123456789abcdef0123456789abcdef01","output_index":0,"#,
    r#""content_index":0,"delta":" river","logprobs":[],"obfuscation":"q7Zp0Qm3vK"}"#,
    "\n\n"
);
const EVENTS: usize = 1000;

fn main() {
    divan::main();
}

/// Decodes the bytes of a chat completion into chunks, `read` bytes at a time.
#[divan::bench(args = [usize::MAX, 4096, 400, 37])]
fn decode(bencher: Bencher<'_, '_>, read: usize) {
    let normalizer = || Normalizer::ChatCompletions(Default::default());
    decode_with(normalizer, CHUNK, bencher, read);
}

/// Decodes the bytes of a response of the Responses API in the same way.
#[divan::bench(args = [usize::MAX, 4096, 400, 37])]
fn decode_responses(bencher: Bencher<'_, '_>, read: usize) {
    let normalizer = || Normalizer::Responses(Default::default());
    decode_with(normalizer, EVENT, bencher, read);
}

fn decode_with(
    normalizer: impl Fn() -> Normalizer + Sync,
    delta: &str,
    bencher: Bencher<'_, '_>,
    read: usize,
) {
    let stream = delta.repeat(EVENTS);
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut normalizer = normalizer();
        let mut decoder = normalizer.decoder();
        let mut chunks = Vec::new();
        for part in stream.as_bytes().chunks(read.min(stream.len())) {
            decoder
                .push(part, |frame| {
                    normalizer
                        .read(&frame.event, &frame.data, &mut chunks)
                        .unwrap();
                    black_box(&mut chunks).clear();
                })
                .unwrap();
        }
    });
}

/// Decodes frames only, without JSON.
#[divan::bench(args = [usize::MAX, 4096, 400, 37])]
fn frames(bencher: Bencher<'_, '_>, read: usize) {
    let stream = CHUNK.repeat(EVENTS);
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut decoder = Decoder::default();
        for part in stream.as_bytes().chunks(read.min(stream.len())) {
            decoder.push(part, |frame| drop(black_box(frame))).unwrap();
        }
    });
}

/// Encodes events, with and without padding.
#[divan::bench(args = [true, false])]
fn encode(bencher: Bencher<'_, '_>, padded: bool) {
    let event = ReplyEvent::Delta {
        text: " river".to_owned(),
    };
    let padding = if padded {
        Padding::ToClass
    } else {
        Padding::Off
    };
    let mut out = Vec::with_capacity(256);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        for seq in 0..EVENTS as u64 {
            out.clear();
            event.encode(Seq(seq), padding, &mut out);
            black_box(&out);
        }
    });
}

fn store() -> Store {
    let retention = std::time::Duration::from_secs(600);
    Store::in_memory(store::Options {
        max_replies: 10,
        max_running: usize::MAX,
        retention,
        padding: Padding::ToClass,
    })
}

/// Appends events to a log, in batches of one and of ten.
#[divan::bench(args = [1, 10])]
fn append(bencher: Bencher<'_, '_>, batch: usize) {
    let events = vec![
        ReplyEvent::Delta {
            text: " river".to_owned()
        };
        batch
    ];
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let created = store()
            .create(Owner::Anyone, None)
            .now_or_never()
            .unwrap()
            .unwrap();
        let Created::New(mut writer) = created else {
            panic!("no key was given")
        };
        for _ in 0..EVENTS / batch {
            writer.append(&events).unwrap();
        }
    });
}

/// Reads a log from its beginning, for several viewers.
#[divan::bench(args = [1, 10])]
fn replay(bencher: Bencher<'_, '_>, viewers: usize) {
    let created = store()
        .create(Owner::Anyone, None)
        .now_or_never()
        .unwrap()
        .unwrap();
    let Created::New(mut writer) = created else {
        panic!("no key was given")
    };
    let events = vec![
        ReplyEvent::Delta {
            text: " river".to_owned()
        };
        EVENTS - 1
    ];
    writer.append(&events).unwrap();
    let log = Log::from(writer.log().clone());
    bencher
        .counter(ItemsCount::new(EVENTS * viewers))
        .bench_local(|| {
            for _ in 0..viewers {
                let (mut reader, mut cursor) = (log.reader(), Seq::ZERO);
                while let Some(Next::Event { seq, bytes, .. }) =
                    reader.read_after(cursor).now_or_never()
                {
                    black_box(bytes);
                    cursor = seq;
                }
            }
        });
}

/// Sends each event when it is appended, to several viewers, which then wait for the next one.
#[divan::bench(args = [1, 10])]
fn follow(bencher: Bencher<'_, '_>, viewers: usize) {
    // For the viewers' timers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let signal = DrainSignal::default();
    let event = ReplyEvent::Delta {
        text: " river".to_owned(),
    };
    let mut cx = Context::from_waker(Waker::noop());
    bencher
        .counter(ItemsCount::new(EVENTS * viewers))
        .bench_local(|| {
            let created = store()
                .create(Owner::Anyone, None)
                .now_or_never()
                .unwrap()
                .unwrap();
            let Created::New(mut writer) = created else {
                panic!("no key was given")
            };
            let log = Log::from(writer.log().clone());
            let mut viewers: Vec<Viewer> = (0..viewers)
                .map(|_| {
                    let on_drain = OnDrain::Leave(signal.watch().unwrap());
                    let ping = Duration::from_secs(10);
                    Viewer::new(log.reader(), Seq(1), Format::Native, ping, on_drain)
                })
                .collect();
            for _ in 0..EVENTS {
                writer.append(std::slice::from_ref(&event)).unwrap();
                for viewer in &mut viewers {
                    while let std::task::Poll::Ready(piece) =
                        Pin::new(&mut *viewer).poll_next(&mut cx)
                    {
                        let _ = black_box(piece);
                    }
                }
            }
        });
}
