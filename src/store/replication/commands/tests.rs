//! Answers as they are judged.

use super::*;

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
    assert_eq!(reply_of_channel(&inbox::key("other-replica")), None);
    assert_eq!(reply_of_channel("rasta:{}:appended"), None);
}
