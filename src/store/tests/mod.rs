//! What a log promises beyond its own file: to threads, to a copy, and to readers of what is no
//! longer kept.

mod copied;
mod elsewhere;
mod wakeups;

use std::sync::Arc;

use bytes::Bytes;

use super::log::{Log, Next, Origin};
use crate::event::{Created, ReplyId, Seq};

fn log(origin: Origin) -> Arc<Log> {
    Arc::new(Log::new(ReplyId::random(), Created::now(), origin))
}

fn bytes(block: &'static str) -> Bytes {
    Bytes::from_static(block.as_bytes())
}

fn add(log: &Log, blocks: &[&'static str], ends: bool) -> bool {
    let blocks = blocks.iter().map(|block| bytes(block));
    log.add(blocks, ends, &mut Vec::new())
}

fn block(seq: u64, block: &'static str, last: bool) -> Next {
    Next::Block {
        seq: Seq(seq),
        block: bytes(block),
        last,
    }
}
