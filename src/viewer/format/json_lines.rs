//! Newline-delimited JSON: the native events for clients that have a JSON parser and no SSE client.
//!
//! Each line is `{"id":ID,"event":NAME,"data":DATA}`. The data is that of the native event, byte for
//! byte, which has no line break.

use bytes::Bytes;

use super::encoded::Encoded;
use crate::event::{Seq, name_and_data};

pub(super) fn encode(seq: Seq, stored: &[u8]) -> Encoded {
    match name_and_data(stored) {
        Some((name, data)) => Encoded::more(line(seq, name, data)),
        None => Encoded::nothing(),
    }
}

pub(super) fn ping(cursor: Seq) -> Bytes {
    let data = format!(r#"{{"last":{cursor}}}"#);
    line(cursor, b"ping", data.as_bytes()).into()
}

fn line(seq: Seq, name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut line = format!(r#"{{"id":{seq},"event":""#).into_bytes();
    line.extend_from_slice(name);
    line.extend_from_slice(br#"","data":"#);
    line.extend_from_slice(data);
    line.extend_from_slice(b"}\n");
    line
}
