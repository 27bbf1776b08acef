//! The properties of the fuzz targets, on the stable toolchain: every golden transcript as a seed,
//! changed at random places, and bytes that are nothing at all. `CONTRIBUTING.md` tells how to run
//! the fuzzer itself.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

use rasta_stream::upstream::{
    dialect::error_object::{self, RefusalHead},
    sse::{Decoder, MAX_FRAME_BYTES},
};

#[path = "../../fuzz/properties.rs"]
mod properties;

use properties::{
    chat_body, encode_parse, normalizer, refusal, responses, sse_bounds, sse_decoder,
};

/// No cut; two cuts; after every byte.
const PREFIXES: [&[u8]; 3] = [b"\x00", b"\x02\x00\x21\x00\x80", b"\x07"];
/// 400; 429 with a wait in either header; 503 with a date.
const REFUSALS: [&[u8]; 3] = [
    b"\x01\x90\x00\x00",
    b"\x01\xad\x03\x061500\n2",
    b"\x01\xf7\x02\x1dSun, 22 Nov 2126 10:00:07 GMT",
];

fn transcripts() -> Vec<Vec<u8>> {
    transcripts_in("tests/transcripts")
}

fn transcripts_in(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut transcripts: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    transcripts.sort();
    assert!(transcripts.len() > 50);
    transcripts
}

/// The data of every frame, which is where error bodies are.
fn bodies() -> Vec<Vec<u8>> {
    let lines = transcripts().concat();
    let mut bodies: Vec<Vec<u8>> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data: "))
        .map(<[u8]>::to_vec)
        .collect();
    bodies.sort();
    bodies.dedup();
    bodies
}

/// A transcript in which bytes were replaced, taken away, or doubled.
fn changed(
    seeds: Vec<Vec<u8>>,
    prefixes: &'static [&'static [u8]],
) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), 0..3_u8, any::<u8>());
    (
        prop::sample::select(seeds),
        prop::sample::select(prefixes),
        vec(change, 0..6),
    )
        .prop_map(|(seed, prefix, changes)| {
            let mut bytes = [prefix, seed.as_slice()].concat();
            for (at, how, byte) in changes {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte)))),
                    _ => {
                        let part = bytes[at..bytes.len().min(at + usize::from(byte))].to_vec();
                        bytes.splice(at..at, part);
                    }
                }
                if bytes.is_empty() {
                    bytes.push(byte);
                }
            }
            bytes
        })
}

fn holds(cases: u32, inputs: impl Strategy<Value = Vec<u8>>, property: fn(&[u8])) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&inputs, |bytes| {
            property(&bytes);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn every_transcript_holds_the_properties() {
    for transcript in transcripts() {
        for prefix in PREFIXES {
            let input = [prefix, transcript.as_slice()].concat();
            sse_decoder(&input);
            normalizer(&input);
        }
    }
    for transcript in transcripts_in("tests/transcripts/responses") {
        for prefix in PREFIXES {
            responses(&[prefix, transcript.as_slice()].concat());
        }
    }
    for body in bodies() {
        for prefix in REFUSALS {
            refusal(&[prefix, body.as_slice()].concat());
        }
    }
}

#[test]
fn changed_transcripts_hold_the_properties() {
    holds(400, changed(transcripts(), &PREFIXES), |input| {
        sse_decoder(input);
        normalizer(input);
    });
    let of_responses = transcripts_in("tests/transcripts/responses");
    holds(400, changed(of_responses, &PREFIXES), responses);
    holds(400, changed(bodies(), &REFUSALS), refusal);
}

/// Bodies of a POST and texts of a model, changed at random places.
#[test]
fn bodies_and_texts_hold_the_properties() {
    let bodies: Vec<Vec<u8>> = [
        r#"{"prompt":"Hail","idle_reader_seconds":2.5}"#,
        r#"{"messages":[{"role":"user","content":"a\u0000"},{"role":"assistant","content":"b\n"},{"role":"user","content":"\ud83d\ude00 c"}]}"#,
        r#"{"prompt":[[[[{"a":{"b":[1e3,null,true]}}]]]]}"#,
    ]
    .map(|body| body.as_bytes().to_vec())
    .to_vec();
    holds(400, changed(bodies, &[b" "]), chat_body);
    let mut texts = transcripts();
    texts.push("a\r\n\r\nevent: end\ndata: {}\n\n\u{0}\u{85}\u{2028}\u{feff}\"}".into());
    holds(400, changed(texts, &[b" "]), encode_parse);
    holds(400, vec(any::<u8>(), 0..200), encode_parse);
}

/// Lines of a stream in any order, with every line end, split anywhere.
#[test]
fn lines_of_any_kind_hold_the_properties() {
    let pieces = vec![
        "data",
        "data:",
        "data: ",
        ":",
        "event: x",
        "id: 1",
        "id: 1\0",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "a",
        " ",
        "é",
        "\u{1F981}",
        "{\"x\":1}",
        "retry: 5",
        "\u{FEFF}",
        "unknown: x",
    ];
    let stream = vec(prop::sample::select(pieces), 0..40);
    // How many cuts, where two bytes each say, or a cut after every byte.
    let cuts = vec(any::<u8>(), 1..14);
    let inputs = (cuts, stream).prop_map(|(mut cuts, stream)| {
        let most = (cuts.len() - 1) / 2;
        cuts.truncate(2 * most + 1);
        cuts[0] = if cuts[0] < 32 {
            7
        } else {
            u8::try_from(most).unwrap()
        };
        if cuts[0] == 7 {
            cuts.truncate(1);
        }
        [cuts, stream.concat().into_bytes()].concat()
    });
    holds(1000, inputs, sse_decoder);
}

#[test]
fn bytes_that_are_nothing_hold_the_properties() {
    holds(400, vec(any::<u8>(), 0..200), |input| {
        sse_decoder(input);
        normalizer(input);
        responses(input);
        refusal(input);
    });
}

#[test]
fn lines_and_frames_about_the_bound_hold_the_properties() {
    for more in [126, 127, 128, 129, 130, 255] {
        // One line; one comment; one frame of lines of two bytes.
        sse_bounds(&[&[5, 1, more, 0], &b"data:x\n\ndata: y\n\n"[..]].concat());
        sse_bounds(&[&[1, 1, more, 0], &b": \n\ndata: y\n\n"[..]].concat());
        sse_bounds(&[&[0, 8, more, 0], &b"data: x\ndata: y\n\ndata: z"[..]].concat());
        // One string, which ends or does not; strings with escapes; many short strings.
        sse_bounds(&[&[7, 1, more, 0], &b"data: \"x\"\n\ndata: y\n\n"[..]].concat());
        sse_bounds(&[&[7, 1, more, 0], &b"data: \"x\n\ndata: y\n\n"[..]].concat());
        sse_bounds(&[&[7, 2, more, 0], &b"data: \"\\\"\\\"\"\n\n"[..]].concat());
        sse_bounds(&[&[6, 4, more, 0], &b"data: \"x\",y\n\n"[..]].concat());
    }
}

#[test]
fn a_line_over_the_bound_is_refused_in_one_read_as_in_many() {
    let mut comment = vec![b'x'; MAX_FRAME_BYTES + 1];
    comment[0] = b':';
    comment.push(b'\n');
    let in_many = |size| {
        let mut decoder = Decoder::default();
        comment
            .chunks(size)
            .all(|part| decoder.push(part, |_| {}).is_ok())
    };
    assert!(!in_many(4096));
    assert!(!in_many(comment.len()));
}

#[test]
fn the_cause_of_a_refusal_is_short_whatever_the_body() {
    for field in ["message", "code", "type", "param"] {
        let body = format!("{{\"error\":{{\"{field}\":\"{}\"}}}}", "x".repeat(100_000));
        let fault = error_object::refusal(
            &RefusalHead {
                status: 400,
                ..RefusalHead::default()
            },
            body.as_bytes(),
        );
        let cause = fault.cause.to_string();
        assert!(cause.len() < 256, "{field}: {} bytes", cause.len());
    }
}
