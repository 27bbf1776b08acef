//! The contract: the events of a reply, their sequence numbers, their names, and their bytes on the
//! wire.
//!
//! A generation makes [`ReplyEvent`]s. The store numbers and encodes each one once, and every viewer
//! sends those same bytes. An encoded event is an SSE event of exactly three lines, `id`, `event` and
//! `data`: the form on which all SSE clients agree.
//!
//! This module knows nothing of HTTP, of Azure, or of where events are kept.

mod id;
mod created;
mod error;
mod end;
mod reply_event;
mod pad;
mod encode;
mod decode;
mod transcript;

#[cfg(test)]
mod tests;

pub use self::{
    created::Created,
    decode::{Content, decode_created, name_and_data, replay},
    encode::encode_ping,
    end::{
        CompletionTokensDetails, End, Estimate, FinishReason, PromptTokensDetails, Status,
        StopReason, Timing, TokenUsage, Usage,
    },
    error::{ErrorCode, ReplyError},
    id::{NotAnId, ReplyId, Seq},
    pad::Padding,
    reply_event::{Notice, NoticeCode, ReplyEvent, Why},
    transcript::Transcript,
};
