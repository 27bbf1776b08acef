//! What an inbox holds.

use super::*;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
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
    let found = requests(Value::Array(list.into()));
    assert_eq!(found, Ok(vec![Some(stop), None, None, Some(read)]));
    assert_eq!(requests(Value::Nil), Err(Value::Nil));
}
