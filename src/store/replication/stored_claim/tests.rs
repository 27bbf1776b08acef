//! Where a stored claim leads.

use super::*;
use crate::store::idempotency::IdempotencyKey;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
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
