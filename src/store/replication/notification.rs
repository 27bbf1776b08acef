//! The message that tells followers what was stored: the events themselves if they are small.
//!
//! A leader publishes it only after Redis has acknowledged the append, and that no event is missing
//! before it. So a notification never has an event that the log does not have, and a follower that
//! is up to date needs no other read. Nothing relies on it: it may be lost, doubled or late.
//!
//! The form is a line of decimal numbers, then the encoded events one after the other. The line has
//! the number of the last event; if events follow, then also the number before the first one, 1 if
//! the last one is the `end` and 0 if not, and the length of each.

use std::io::Write as _;

use bytes::Bytes;

use super::entries::is_event;
use crate::{event::Seq, store::batch::Batch};

/// The most bytes of events in one notification. Keeps a subscriber that is briefly slow below the
/// limit at which Redis disconnects it.
const EVENTS_BYTES_LIMIT: usize = 16 << 10;

/// A notification, as a follower receives it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notification {
    /// These events were stored.
    Events(Batch),
    /// Events up to this one were stored.
    UpTo(Seq),
}

/// The message about a batch that was stored.
pub(super) fn encode(batch: &Batch) -> Vec<u8> {
    let bytes: usize = batch.events.iter().map(Bytes::len).sum();
    let mut message =
        Vec::with_capacity(64 + 8 * batch.events.len() + bytes.min(EVENTS_BYTES_LIMIT));
    // Writing to a Vec cannot fail.
    let _ = write!(message, "{}", batch.position().seq);
    if bytes > EVENTS_BYTES_LIMIT {
        return message;
    }
    let _ = write!(message, " {} {}", batch.after, u8::from(batch.ended));
    for event in &batch.events {
        let _ = write!(message, " {}", event.len());
    }
    message.push(b'\n');
    for event in &batch.events {
        message.extend_from_slice(event);
    }
    message
}

/// Parses a message; `None` if [`encode`] did not make it.
pub(super) fn decode(message: &[u8]) -> Option<Notification> {
    let line = message.split(|byte| *byte == b'\n').next()?;
    let mut rest = message.get(line.len() + 1..).unwrap_or_default();
    let mut numbers = std::str::from_utf8(line).ok()?.split(' ');
    let mut number = || numbers.next().map(str::parse::<u64>);
    let last = Seq(number()?.ok()?);
    let Some(after) = number() else {
        return Some(Notification::UpTo(last));
    };
    let mut batch = Batch {
        after: Seq(after.ok()?),
        events: Vec::new(),
        ended: false,
    };
    let ended = number()?.ok()? == 1;
    while let Some(length) = number() {
        let event = rest.split_off(..usize::try_from(length.ok()?).ok()?)?;
        let seq = Seq(batch.position().seq.0.checked_add(1)?);
        if !is_event(event, seq, ended && seq == last) {
            return None;
        }
        batch.events.push(Bytes::copy_from_slice(event));
    }
    batch.ended = ended;
    let complete = rest.is_empty() && !batch.events.is_empty() && batch.position().seq == last;
    complete.then_some(Notification::Events(batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, name: &str) -> Bytes {
        format!("id: {seq}\nevent: {name}\ndata: {{}}\n\n").into()
    }

    fn batch(ended: bool) -> Batch {
        let last = if ended { "end" } else { "delta" };
        Batch {
            after: Seq(4),
            events: vec![event(5, "delta"), event(6, last)],
            ended,
        }
    }

    #[test]
    fn a_small_batch_is_read_as_it_was_sent() {
        for ended in [false, true] {
            let sent = batch(ended);
            assert_eq!(decode(&encode(&sent)), Some(Notification::Events(sent)));
        }
    }

    #[test]
    fn a_large_batch_is_announced_by_its_last_number() {
        let mut sent = batch(false);
        let data = "x".repeat(EVENTS_BYTES_LIMIT);
        sent.events[0] = format!("id: 5\nevent: delta\ndata: {data}\n\n").into();
        let message = encode(&sent);
        assert_eq!(message, b"6");
        assert_eq!(decode(&message), Some(Notification::UpTo(Seq(6))));
    }

    #[test]
    fn a_message_with_anything_changed_is_refused() {
        let message = encode(&batch(true));
        assert!(decode(&message).is_some());
        for length in 2..message.len() {
            assert_eq!(decode(&message[..length]), None, "cut to {length}");
        }
        for (from, to) in [
            ("6 4", "7 4"),
            ("6 4", "6 5"),
            ("6 4 1", "6 4 0"),
            ("id: 5", "id: 7"),
            ("event: end", "event: dne"),
            ("data: {}\n\n", "data: {}\n\nx"),
        ] {
            let changed = String::from_utf8(message.clone())
                .unwrap()
                .replacen(from, to, 1);
            assert_eq!(decode(changed.as_bytes()), None, "{from} to {to}");
        }
        for foreign in [
            "",
            "x",
            "-1",
            "1 0",
            "1 0 0",
            "1 0 0 0",
            "2 18446744073709551615 0 1\nx",
        ] {
            assert_eq!(decode(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
