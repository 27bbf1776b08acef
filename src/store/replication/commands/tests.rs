//! Claims as they are stored, and answers as they are judged.

use super::*;
use crate::store::idempotency::IdempotencyKey;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

#[test]
fn an_append_is_done_when_every_event_is_in_and_none_is_missing_before_it() {
    let batch = Batch {
        after: Seq(4),
        events: vec![Bytes::from("a"), Bytes::from("b")],
        ended: false,
    };
    let (id, refused) = (|| text("5-0"), || Value::Nil);
    let done = |answers: &[Value]| appended(answers, &batch);
    assert!(done(&[id(), id(), Value::Int(6)]));
    assert!(done(&[id(), id(), Value::Int(6), Value::Int(1)]));
    assert!(!done(&[id(), id(), Value::Int(5)]));
    assert!(!done(&[refused(), id(), Value::Int(6)]));
    assert!(!done(&[id(), refused(), Value::Int(6)]));
    assert!(!done(&[id(), id()]));
    assert!(!done(&[]));
    assert!(rewritten(
        &[Value::Int(1), id(), id(), Value::Int(6)],
        &batch
    ));
    assert!(!rewritten(&[], &batch), "it was interrupted");
}

#[test]
fn a_channel_names_the_reply_that_it_is_about() {
    let id = ReplyId::random();
    assert_eq!(reply_of_channel(&events_channel(id)), Some(id));
    assert_eq!(reply_of_channel(&inbox("other-replica")), None);
    assert_eq!(reply_of_channel("rasta:{}:appended"), None);
}

#[test]
fn a_claim_leads_to_its_reply_only_for_the_same_request_and_its_key_is_not_stored() {
    let request = |fingerprint| Request {
        key: IdempotencyKey::parse("0123456789abcdef").unwrap(),
        fingerprint: [fingerprint; 32],
    };
    let (first, second) = (ReplyId::random(), ReplyId::random());
    let claim = Claim::new(first, &request(1));
    assert!(!claim.key.contains("0123456789abcdef"));
    let stored = text(&claim.value);
    assert_eq!(claim.compare(Some(&stored)), Stored::This);
    let same = Claim::new(second, &request(1));
    assert_eq!(same.key, claim.key);
    assert_eq!(same.compare(Some(&stored)), Stored::Reply(first));
    let other = Claim::new(second, &request(2));
    assert_eq!(other.compare(Some(&stored)), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&text("whatever"))), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&Value::Int(1))), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&Value::Nil)), Stored::Nothing);
    assert_eq!(same.compare(None), Stored::Nothing);
}

#[test]
fn an_inbox_holds_requests_and_whatever_else_was_put_there() {
    let id = ReplyId::random();
    let (stop, read) = (InboxRequest::Stop(id), InboxRequest::Read(id));
    let list = [
        text(&stop.encode()),
        text("stop it"),
        Value::Int(1),
        text(&read.encode()),
    ];
    let requests = inbox_requests(Value::Array(list.into()));
    assert_eq!(requests, Ok(vec![Some(stop), None, None, Some(read)]));
    assert_eq!(inbox_requests(Value::Nil), Err(Value::Nil));
}
