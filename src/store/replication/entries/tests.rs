//! What is read back of Redis, and what is not.

use super::*;
use crate::event::{Padding, ReplyEvent, ReplyId};

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn stored(id: &str, fields: &[&str]) -> Value {
    let fields = fields.iter().map(|field| text(field)).collect();
    Value::Array(vec![text(id), Value::Array(fields)])
}

fn event(seq: u64, name: &str) -> String {
    format!("id: {seq}\nevent: {name}\ndata: {{}}\n\n")
}

fn delta(seq: u64) -> Value {
    stored(&format!("{seq}-0"), &[EVENT, &event(seq, "delta")])
}

fn end(seq: u64) -> Value {
    stored(&format!("{seq}-0"), &[END, &event(seq, "end")])
}

/// How many events a read after `cursor` gives, and whether they end, diverge, or are a full page.
fn read(cursor: u64, entries: &[Value]) -> (usize, bool, bool, bool) {
    let answers = vec![Value::Int(99), Value::Array(entries.to_vec())];
    let (length, page) = page(answers, Seq(cursor), 3);
    assert_eq!((length, page.batch.after), (99, Seq(cursor)));
    (
        page.batch.events.len(),
        page.batch.ended,
        page.diverged,
        page.full,
    )
}

#[test]
fn a_page_holds_what_follows_without_a_gap_up_to_the_first_end() {
    let (no, yes) = (false, true);
    assert_eq!(read(4, &[]), (0, no, no, no));
    assert_eq!(read(4, &[delta(5), delta(6)]), (2, no, no, no));
    assert_eq!(read(4, &[delta(5), delta(6), delta(7)]), (3, no, no, yes));
    assert_eq!(read(4, &[delta(5), delta(7)]), (1, no, yes, no));
    assert_eq!(read(4, &[delta(6)]), (0, no, yes, no));
    assert_eq!(read(4, &[delta(5), end(6), delta(7)]), (2, yes, no, no));
}

#[test]
fn what_is_not_exactly_one_event_is_not_passed_on() {
    let good = event(1, "delta");
    assert_eq!(read(0, &[stored("1-0", &[EVENT, &good])]).0, 1);
    for foreign in [
        Value::Nil,
        text("1-0"),
        Value::Array(vec![text("1-0")]),
        stored("1-1", &[EVENT, &good]),
        stored("x-0", &[EVENT, &good]),
        stored("1-0", &[EVENT]),
        stored("1-0", &[]),
        stored("1-0", &[EVENT, ""]),
        stored("1-0", &[END, &good]),
        stored("1-0", &[EVENT, &event(1, "end")]),
        stored("1-0", &[EVENT, &event(2, "delta")]),
        stored("1-0", &[EVENT, &event(1, "")]),
        stored("1-0", &[EVENT, &format!("{good}{}", event(2, "delta"))]),
        stored("1-0", &[EVENT, &format!("retry: 0\n{good}")]),
        stored("1-0", &[EVENT, &good[..good.len() - 1]]),
        stored("1-0", &[EVENT, &format!("{good}\n")]),
        stored("1-0", &[EVENT, "id: 1\nevent: delta\ndata: a\rdata: b\n\n"]),
        stored(
            "1-0",
            &[EVENT, "id: 1\nevent: delta\ndata: a\nretry: 1\n\n"],
        ),
    ] {
        let (events, ended, diverged, _) = read(0, std::slice::from_ref(&foreign));
        assert_eq!(
            (events, ended, diverged),
            (0, false, true),
            "for {foreign:?}"
        );
    }
    let wrong_type = page(vec![Value::Nil, Value::Nil], Seq(0), 3);
    assert!(wrong_type.1.diverged && wrong_type.0 == 0);
}

#[test]
fn every_event_that_is_encoded_here_is_one() {
    let mut encoded = Vec::new();
    let text = "a\r\nb\nc\u{2028}\0".to_owned();
    ReplyEvent::Delta { text }.encode(Seq(7), Padding::Off, &mut encoded);
    assert!(is_event(&encoded, Seq(7), false));
    assert!(!is_event(&encoded, Seq(7), true));
}

fn start() -> String {
    let (reply, created) = (ReplyId::random(), Created::now());
    let mut encoded = Vec::new();
    ReplyEvent::Start { reply, created }.encode(Seq(1), Padding::Off, &mut encoded);
    String::from_utf8(encoded).unwrap()
}

fn outlined(
    length: i64,
    first: Option<Value>,
    last: Option<Value>,
) -> Result<Option<u64>, Foreign> {
    let list = |entry: Option<Value>| Value::Array(entry.into_iter().collect());
    let outline = outline(vec![Value::Int(length), list(first), list(last)])?;
    Ok(outline.map(|outline| {
        assert_eq!(outline.leader, "other-replica");
        let last = outline.newest.position().seq.0.cast_signed();
        assert_eq!(outline.has_more, last != length);
        outline.newest.position().seq.0
    }))
}

#[test]
fn an_outline_trusts_the_last_event_only_if_none_is_missing() {
    let first = || Some(stored("1-0", &[START, &start(), LEADER, "other-replica"]));
    assert_eq!(outlined(0, None, None), Ok(None));
    assert_eq!(outlined(1, first(), first()), Ok(Some(1)));
    assert_eq!(outlined(7, first(), Some(delta(7))), Ok(Some(7)));
    assert_eq!(outlined(6, first(), Some(delta(7))), Ok(Some(1)));
    assert_eq!(
        outlined(7, first(), Some(stored("7-0", &["x"]))),
        Ok(Some(1))
    );
}

#[test]
fn the_owner_is_read_from_the_first_event_and_a_malformed_one_is_foreign() {
    let ann = Owner::one("token ann");
    let digest = ann.encode().unwrap();
    let owner_of = |more: &[&str]| {
        let start = start();
        let fields = [&[START, &start, LEADER, "other-replica"], more].concat();
        let entry = || Value::Array(vec![stored("1-0", &fields)]);
        let outline = outline(vec![Value::Int(1), entry(), entry()])?;
        Ok(outline.map(|outline| outline.owner))
    };
    assert_eq!(owner_of(&[OWNER, &digest]), Ok(Some(ann)));
    // A version without owners wrote it.
    assert_eq!(owner_of(&[]), Ok(Some(Owner::Anyone)));
    assert_eq!(owner_of(&[OWNER, "ann"]), Err(Foreign));
    assert_eq!(owner_of(&[OWNER]), Err(Foreign));
}

#[test]
fn a_log_without_its_first_event_is_foreign() {
    for first in [
        delta(1),
        delta(2),
        stored("1-0", &[START, &start()]),
        stored("1-0", &[START, &event(1, "start"), LEADER, "other-replica"]),
    ] {
        assert_eq!(outlined(2, Some(first), Some(delta(2))), Err(Foreign));
    }
    assert_eq!(
        outline(vec![Value::Nil, Value::Nil, Value::Nil]),
        Err(Foreign)
    );
}

#[test]
fn the_ids_of_a_read_are_those_of_all_entries_whatever_they_hold() {
    let id = |id: &str| Value::BulkString(id.into());
    let entries = vec![
        Value::Array(vec![id("6-0"), Value::Array(vec![])]),
        Value::Array(vec![id("9223372036854775808-7"), Value::Nil]),
        Value::Nil,
    ];
    let read = vec![Value::Int(3), Value::Array(entries)];
    assert_eq!(ids(read), [&b"6-0"[..], b"9223372036854775808-7"]);
    assert!(ids(vec![Value::Int(0)]).is_empty());
}
