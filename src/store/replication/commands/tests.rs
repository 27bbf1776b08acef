//! What is read back of Redis, and what is not.

use super::*;
use crate::store::idempotency::IdempotencyKey;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn stored(id: &str, fields: &[&str]) -> Value {
    let fields = fields.iter().map(|field| text(field)).collect();
    Value::Array(vec![text(id), Value::Array(fields)])
}

#[test]
fn an_entry_is_a_number_a_block_and_whether_it_is_the_end() {
    let value = Value::Array(vec![
        stored("1-0", &["start", "a", "owner", "somebody"]),
        stored("2-0", &["e", "b"]),
        stored("3-0", &["end", "c"]),
    ]);
    let entries = entries(value).unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.seq.0,
                &entry.block[..],
                entry.ends,
                entry.owner.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, &b"a"[..], false, Some("somebody")),
            (2, b"b", false, None),
            (3, b"c", true, None)
        ]
    );
}

#[test]
fn what_is_not_of_our_making_is_no_entry() {
    for foreign in [
        Value::Nil,
        text("1-0"),
        Value::Array(vec![text("1-0")]),
        Value::Array(vec![stored("1-1", &["e", "a"])]),
        Value::Array(vec![stored("x-0", &["e", "a"])]),
        Value::Array(vec![stored("1-0", &["e"])]),
        Value::Array(vec![stored("1-0", &[])]),
    ] {
        assert_eq!(entries(foreign.clone()), None, "for {foreign:?}");
    }
    assert_eq!(entries(Value::Array(Vec::new())), Some(Vec::new()));
}

#[test]
fn an_append_is_done_when_every_event_is_in_and_none_is_missing_before_it() {
    let (id, refused) = (|| text("5-0"), || Value::Nil);
    let done = |answers: &[Value]| appended(answers, Seq(4), 2);
    assert!(done(&[id(), id(), Value::Int(6), Value::Int(0)]));
    assert!(!done(&[id(), id(), Value::Int(5), Value::Int(0)]));
    assert!(!done(&[refused(), id(), Value::Int(6), Value::Int(0)]));
    assert!(!done(&[id(), refused(), Value::Int(6), Value::Int(0)]));
    assert!(!done(&[id(), id()]));
    assert!(!done(&[]));
}

#[test]
fn a_message_names_the_reply_that_it_is_about() {
    let id = ReplyId::random();
    assert_eq!(woken(&wake_channel(id)), Some(id));
    assert_eq!(woken(&stop_channel("somebody")), None);
    assert_eq!(woken("rasta:{}:wake"), None);
}

#[test]
fn a_key_leads_to_its_reply_only_for_the_same_request_and_is_not_stored_itself() {
    let request = |fingerprint| Request {
        key: IdempotencyKey::parse("0123456789abcdef").unwrap(),
        fingerprint: [fingerprint; 32],
    };
    let (first, second) = (ReplyId::random(), ReplyId::random());
    let pointer = Pointer::new(first, &request(1));
    let stored = pointer.value.as_bytes();
    assert!(pointer.is(stored));
    assert!(!pointer.key.contains("0123456789abcdef"));
    let again = Pointer::new(second, &request(1));
    assert_eq!(
        (again.key.as_str(), again.leads_to(stored)),
        (pointer.key.as_str(), Some(first))
    );
    assert!(!again.is(stored));
    assert_eq!(Pointer::new(second, &request(2)).leads_to(stored), None);
    assert_eq!(again.leads_to(b"whatever"), None);
}
