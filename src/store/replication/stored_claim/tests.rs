//! Where a stored claim leads.

use super::*;
use crate::store::{idempotency::IdempotencyKey, owner::Owner};

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn request(fingerprint: u8) -> Request {
    Request {
        key: IdempotencyKey::parse("0123456789abcdef").unwrap(),
        fingerprint: [fingerprint; 32],
    }
}

#[test]
fn a_claim_leads_to_its_reply_only_for_the_same_request_and_its_key_is_not_stored() {
    let (first, second) = (ReplyId::random(), ReplyId::random());
    let claim = Claim::new(first, Owner::Anyone, &request(1));
    assert!(!claim.key.contains("0123456789abcdef"));
    let stored = text(&claim.value);
    assert_eq!(claim.compare(Some(&stored)), Stored::This);
    let same = Claim::new(second, Owner::Anyone, &request(1));
    assert_eq!(same.key, claim.key);
    assert_eq!(same.compare(Some(&stored)), Stored::Reply(first));
    let other = Claim::new(second, Owner::Anyone, &request(2));
    assert_eq!(other.compare(Some(&stored)), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&text("whatever"))), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&Value::Int(1))), Stored::OtherRequest);
    assert_eq!(same.compare(Some(&Value::Nil)), Stored::Nothing);
    assert_eq!(same.compare(None), Stored::Nothing);
}

#[test]
fn the_same_key_of_another_owner_is_another_claim() {
    let claim = |owner| Claim::new(ReplyId::random(), owner, &request(1)).key;
    let (ann, bob) = (Owner::one("token ann"), Owner::one("token bob"));
    assert_eq!(claim(ann), claim(ann));
    assert_ne!(claim(ann), claim(bob));
    assert_ne!(claim(ann), claim(Owner::Anyone));
    // As versions without owners stored it.
    let hash = Sha256::digest("0123456789abcdef");
    let hash = base16ct::lower::encode_string(&hash);
    assert_eq!(claim(Owner::Anyone), format!("rasta:key:{hash}"));
}
