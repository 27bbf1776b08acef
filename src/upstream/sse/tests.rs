//! What one read of a stream decodes to. That the reads' borders make no difference is a property in
//! `fuzz/properties.rs`, checked by `tests/upstream/fuzz.rs`.

use super::*;

type Owned = (String, String, String);

fn decode(bytes: &[u8]) -> Vec<Owned> {
    let mut frames = Vec::new();
    let push = |frame: Frame<'_>| {
        frames.push((frame.event.into(), frame.data.into(), frame.id.into()));
    };
    Decoder::default().push(bytes, push).unwrap();
    frames
}

fn data_of(bytes: &[u8]) -> Vec<String> {
    decode(bytes).into_iter().map(|(_, data, _)| data).collect()
}

/// The oddities of the standard: what the stream is, and the data of its frames.
const VECTORS: &[(&[u8], &[&str])] = &[
    (b"data: a\n\n", &["a"]),
    (b"data:a\n\n", &["a"]),
    (b"data:  a\n\n", &[" a"]),
    (b"data\n\n", &[""]),
    (b"data:\n\n", &[""]),
    (b"data\ndata\n\n", &["\n"]),
    (b"data: a\ndata: b\n\n", &["a\nb"]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
    (b"data: a\r\rdata: b\r\r", &["a", "b"]),
    (b"data: a\n\rdata: b\r\n\n", &["a", "b"]),
    (b"\xEF\xBB\xBFdata: a\n\n", &["a"]),
    (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n", &["b"]),
    (b"\xEF\xBBdata: a\n\ndata: b\n\n", &["b"]),
    (b": comment\n\ndata: a\n\n", &["a"]),
    (b":\n\n\n\ndata: a\n\n", &["a"]),
    (b"event: x\n\ndata: a\n\n", &["a"]),
    (b"unknown: x\ndata: a\nDATA: b\n\n", &["a"]),
    (b"data: a:b: c\n\n", &["a:b: c"]),
    (b"data: a", &[]),
    (b"data: a\n", &[]),
    (
        "data: \u{1F1EF}\u{1F1F2} é\n\n".as_bytes(),
        &["\u{1F1EF}\u{1F1F2} é"],
    ),
    (b"data: \xFF\xC3\n\n", &["\u{FFFD}\u{FFFD}"]),
    (b"data: a\0b\n\n", &["a\0b"]),
    (b"data: \xEF\xBB\xBFa\n\n", &["\u{FEFF}a"]),
    (b"comment: :\nretry: 10\ndata: a\n\n", &["a"]),
];

#[test]
fn every_rule_of_the_standard_is_followed() {
    for (bytes, expected) in VECTORS {
        assert_eq!(data_of(bytes), *expected, "for {}", bytes.escape_ascii());
    }
}

#[test]
fn event_names_belong_to_one_frame_and_ids_to_all_that_follow() {
    let frames = decode(b"event: error\nid: 7\ndata: a\n\ndata: b\nid: 8\0\n\nid\ndata: c\n\n");
    let expected = [("error", "a", "7"), ("", "b", "7"), ("", "c", "")];
    let expected: Vec<Owned> = expected
        .iter()
        .map(|(e, d, i)| ((*e).to_owned(), (*d).to_owned(), (*i).to_owned()))
        .collect();
    assert_eq!(frames, expected);
}

#[test]
fn a_body_that_is_not_an_event_stream_is_recognized() {
    for (body, is_one) in [
        (&b"<html>\n<style>a: b</style>\n"[..], false),
        (b"{\"id\": \"data\"}", false),
        (b"", false),
        (b": keep-alive\n", true),
        (b"retry: 10\n\n", true),
        (b"data: x", true),
    ] {
        let mut decoder = Decoder::default();
        decoder.push(body, |_| {}).unwrap();
        decoder.finish(|_| {}).unwrap();
        assert_eq!(
            decoder.has_recognized(),
            is_one,
            "for {}",
            body.escape_ascii()
        );
    }
}

#[test]
fn finish_returns_the_frame_that_the_end_left_unfinished() {
    for bytes in [&b"data: [DONE]"[..], b"data: [DONE]\n", b"data: [DONE]\r"] {
        let mut decoder = Decoder::default();
        decoder
            .push(bytes, |_| panic!("no blank line came"))
            .unwrap();
        let mut frames = Vec::new();
        decoder
            .finish(|frame| frames.push(frame.data.into_owned()))
            .unwrap();
        assert_eq!(frames, ["[DONE]"]);
    }
    let mut decoder = Decoder::default();
    decoder.push(b"data: a\n\n: bye", |_| {}).unwrap();
    decoder.finish(|_| panic!("nothing was left")).unwrap();
}

#[test]
fn a_line_without_an_end_is_refused_at_the_bound() {
    let mut decoder = Decoder::default();
    let block = [b'x'; 4096];
    let pushed = (0..)
        .take_while(|_| decoder.push(&block, |_| {}).is_ok())
        .count();
    assert_eq!(pushed * block.len(), MAX_FRAME_BYTES);
}

#[test]
fn an_unfinished_last_line_counts_towards_the_bound() {
    let mut decoder = Decoder::default();
    let half = "x".repeat(MAX_FRAME_BYTES / 2);
    decoder
        .push(format!("data: {half}\ndata: {half}").as_bytes(), |_| {})
        .unwrap();
    assert_eq!(decoder.finish(|_| panic!("it is too long")), Err(TooLong));
}

#[test]
fn a_frame_of_many_lines_is_refused_at_the_bound() {
    let mut decoder = Decoder::default();
    let line = format!("data: {}\n", "x".repeat(1023));
    let pushed = (0..)
        .take_while(|_| decoder.push(line.as_bytes(), |_| {}).is_ok())
        .count();
    assert_eq!(pushed, MAX_FRAME_BYTES / 1024);
}
