//! What can happen to a reply, in any order.

use proptest::{collection::vec, prelude::*, sample::select};

use rasta_stream::event::{Notice, NoticeCode, ReplyEvent, Why};

/// The most viewers of one reply.
pub const VIEWERS: usize = 4;

/// What happens to one reply, one operation after the other.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The replica that the reply is created on.
    pub home: usize,
    pub viewers: usize,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub enum Operation {
    /// One upstream read.
    Append(Vec<ReplyEvent>),
    Attach {
        viewer: usize,
        at: At,
        /// As a response body; else as a bare reader.
        body: bool,
    },
    /// Takes so many events as far as they are there.
    Read {
        viewer: usize,
        events: usize,
        /// Its task has moved: what it leaves is another waker.
        moved: bool,
    },
    Leave {
        viewer: usize,
    },
    Snapshot,
    Stop,
    /// The same POST again, with the same key.
    PostAgain,
    /// Another POST with the same key.
    PostOther,
    End,
    /// The generation is dropped without an end.
    Abandon,
    /// The retention passes, if the reply has ended.
    Expire,
    /// Other replies need the room.
    Crowd,
}

/// Where a viewer begins to read.
#[derive(Clone, Copy, Debug)]
pub enum At {
    Start,
    /// So many events before the newest; 0 is the newest.
    Behind(u64),
    /// So many events that are not yet written.
    Ahead(u64),
    /// At its own cursor, as one that reconnects.
    Kept,
}

pub fn schedules() -> impl Strategy<Value = Schedule> {
    (0..3_usize, 1..=VIEWERS, vec(operation(), 0..40)).prop_map(|(home, viewers, operations)| {
        Schedule {
            home,
            viewers,
            operations,
        }
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let viewer = 0..VIEWERS;
    prop_oneof![
        8 => vec(event(), 1..=5).prop_map(Operation::Append),
        5 => (viewer.clone(), at(), any::<bool>())
            .prop_map(|(viewer, at, body)| Operation::Attach { viewer, at, body }),
        14 => (viewer.clone(), 1..20_usize, prop::bool::weighted(0.2))
            .prop_map(|(viewer, events, moved)| Operation::Read { viewer, events, moved }),
        3 => viewer.prop_map(|viewer| Operation::Leave { viewer }),
        2 => Just(Operation::Snapshot),
        1 => Just(Operation::Stop),
        1 => Just(Operation::PostAgain),
        1 => Just(Operation::PostOther),
        1 => Just(Operation::End),
        1 => Just(Operation::Abandon),
        1 => Just(Operation::Expire),
        1 => Just(Operation::Crowd),
    ]
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        3 => Just(At::Kept),
        2 => Just(At::Start),
        2 => (0..4_u64).prop_map(At::Behind),
        1 => (1..6_u64).prop_map(At::Ahead),
    ]
}

fn event() -> impl Strategy<Value = ReplyEvent> {
    prop_oneof![
        9 => text().prop_map(|text| ReplyEvent::Delta { text }),
        3 => text().prop_map(|text| ReplyEvent::Reasoning { text }),
        1 => Just(ReplyEvent::Notice(Notice::new(NoticeCode::Retrying, "again".to_owned()))),
        1 => prop_oneof![Just(String::new()), text()].prop_map(|text| ReplyEvent::Replace {
            text,
            why: Why::ContentFilter,
        }),
    ]
}

fn text() -> impl Strategy<Value = String> {
    const SHORT: [&str; 8] = [
        "a",
        " word",
        "\n\n",
        "\r",
        "Größe",
        "🧵",
        "\"\\",
        "event: end\ndata: {}\n\n",
    ];
    prop_oneof![
        400 => select(&SHORT[..]).prop_map(str::to_owned),
        // In more than one piece of a response body.
        1 => (0..20_usize).prop_map(|more| "x".repeat(16 * 1024 - 10 + more)),
    ]
}
