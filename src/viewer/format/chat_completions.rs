//! The chunks of OpenAI's [Chat Completions API], for clients that know no other.
//!
//! | event | chunk |
//! |---|---|
//! | `start` | the role |
//! | `delta` | `content`; the pad is its `obfuscation` |
//! | `reasoning` | `reasoning_content`, as DeepSeek and vLLM have it |
//! | `notice`, `ping` | a comment |
//! | `replace` | an error, since this API cannot take text back; the body ends |
//! | `end`, completed or filtered | the finish reason, the usage if asked for, and `[DONE]` |
//! | `end`, failed or stopped | an error, and no `[DONE]` |
//!
//! OpenAI's clients ignore the `id:` lines. Other clients resume by them.
//!
//! [Chat Completions API]: https://platform.openai.com/docs/api-reference/chat-streaming

use std::io::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::encoded::Encoded;
use crate::event::{
    Created, End, ErrorCode, FinishReason, ReplyId, Seq, Status, TokenUsage, name_and_data,
};

/// The name by which clients ask for this server's one model.
pub const MODEL: &str = "rasta-stream";

/// Writes a reply as chunks.
#[derive(Debug)]
pub struct ChatCompletions {
    id: String,
    created: i64,
    usage: UsageChunk,
}

/// Whether the last chunk has the usage, which a client asks for with `stream_options.include_usage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageChunk {
    /// It has.
    Included,
    /// There is none.
    LeftOut,
}

#[derive(Serialize)]
struct Chunk<'a, D> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'static str,
    choices: [Choice<D>; 1],
    /// `null` if the usage is to come, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Choice<D> {
    index: u8,
    delta: D,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Content<'a> {
    content: &'a RawValue,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    reasoning_content: &'a RawValue,
}

/// The data of a `delta` or a `reasoning`, not decoded: both APIs write the same JSON.
#[derive(Deserialize)]
struct TextData<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
    #[serde(borrow)]
    pad: Option<&'a RawValue>,
}

impl ChatCompletions {
    /// The format of one reply.
    #[must_use]
    pub fn new(id: ReplyId, created: Created, usage: UsageChunk) -> Self {
        Self {
            id: completion_id(id),
            created: created.unix_seconds(),
            usage,
        }
    }

    pub(super) fn encode(&self, seq: Seq, stored: &[u8]) -> Encoded {
        let Some((name, data)) = name_and_data(stored) else {
            return Encoded::nothing();
        };
        match name {
            b"start" => {
                let role = json!({"role": "assistant", "content": ""});
                Encoded::more(frame(Some(seq), &self.chunk(role, None, None)))
            }
            b"delta" => match serde_json::from_slice(data) {
                Ok(TextData { text, pad }) => {
                    let chunk = self.chunk(Content { content: text }, None, pad);
                    Encoded::more(frame(Some(seq), &chunk))
                }
                Err(_) => Encoded::nothing(),
            },
            b"reasoning" => match serde_json::from_slice(data) {
                Ok(TextData { text, pad }) => {
                    let delta = Reasoning {
                        reasoning_content: text,
                    };
                    Encoded::more(frame(Some(seq), &self.chunk(delta, None, pad)))
                }
                Err(_) => Encoded::nothing(),
            },
            b"notice" => Encoded::more(comment(data)),
            b"replace" => {
                let message = "The text so far was replaced, which this API cannot express.";
                Encoded::last(error(Some(seq), message, "server_error", "replaced"))
            }
            b"end" => match serde_json::from_slice(data) {
                Ok(end) => Encoded::last(self.end(seq, &end)),
                Err(_) => Encoded::nothing(),
            },
            _ => Encoded::nothing(),
        }
    }

    fn end(&self, seq: Seq, end: &End) -> Vec<u8> {
        let reason = match finish_reason(end) {
            Ok(reason) => reason,
            Err(Unfinished {
                message,
                kind,
                code,
            }) => return error(Some(seq), &message, kind, &code),
        };
        // Only the last of these has the id, so that a client that was cut off gets them all again.
        let mut frames = frame(None, &self.chunk(json!({}), Some(reason), None));
        if self.usage == UsageChunk::Included
            && let Some(usage) = &end.usage
        {
            let mut chunk = json!(self.chunk(json!({}), None, None));
            chunk["choices"] = json!([]);
            chunk["usage"] = json!(usage);
            frames.extend_from_slice(&frame(None, &chunk));
        }
        frames.extend_from_slice(format!("id: {seq}\ndata: [DONE]\n\n").as_bytes());
        frames
    }

    fn chunk<'a, D>(
        &'a self,
        delta: D,
        finish_reason: Option<&'static str>,
        obfuscation: Option<&'a RawValue>,
    ) -> Chunk<'a, D> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: MODEL,
            choices: [Choice {
                index: 0,
                delta,
                logprobs: None,
                finish_reason,
            }],
            usage: (self.usage == UsageChunk::Included).then_some(()),
            obfuscation,
        }
    }
}

/// Why a reply has no finish reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// One sentence for people.
    pub message: String,
    /// OpenAI's `type` of the error.
    pub kind: &'static str,
    /// OpenAI's `code` of the error.
    pub code: String,
}

/// The finish reason of a reply in OpenAI's words.
///
/// # Errors
///
/// [`Unfinished`] if the reply failed or was stopped. OpenAI has no word for that, and with any other
/// a part of the text would look like the whole.
pub fn finish_reason(end: &End) -> Result<&'static str, Unfinished> {
    match (end.status, end.finish_reason, &end.error) {
        // That the filter cut the reply off is a finish reason there.
        (Status::Completed | Status::Failed, Some(FinishReason::ContentFilter), _) => {
            Ok("content_filter")
        }
        (Status::Completed, Some(FinishReason::Length), _) => Ok("length"),
        // No tools are ever offered, so a model that asks for one has said all that it has to say.
        (Status::Completed, _, _) => Ok("stop"),
        (_, _, Some(error)) => Err(Unfinished {
            message: error.message.clone(),
            kind: kind(error.code),
            code: error.code.to_string(),
        }),
        (_, _, None) => Err(Unfinished {
            message: "The reply was stopped before it was complete.".to_owned(),
            kind: "server_error",
            code: "stopped".to_owned(),
        }),
    }
}

/// OpenAI's `type` of a failure.
const fn kind(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::PromptFiltered | ErrorCode::ContextTooLong => "invalid_request_error",
        ErrorCode::RateLimited => "rate_limit_error",
        _ => "server_error",
    }
}

/// The whole reply in one object, for clients that do not stream.
#[must_use]
pub fn completion(
    id: ReplyId,
    created: Created,
    text: &str,
    finish_reason: &str,
    usage: Option<&TokenUsage>,
) -> serde_json::Value {
    json!({
        "id": completion_id(id),
        "object": "chat.completion",
        "created": created.unix_seconds(),
        "model": MODEL,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null},
            "logprobs": null,
            "finish_reason": finish_reason,
        }],
        "usage": usage,
    })
}

fn completion_id(id: ReplyId) -> String {
    format!("chatcmpl-{id}")
}

fn frame(id: Option<Seq>, data: &impl Serialize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    if let Some(id) = id {
        frame.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    frame.extend_from_slice(b"data: ");
    // Plain data serializes into memory.
    let _ = serde_json::to_writer(frame.by_ref(), data);
    frame.extend_from_slice(b"\n\n");
    frame
}

/// The JSON of a notice, which has no line break, as a comment.
///
/// It is a line of the event that follows: OpenAI's client for Python takes a block without data for
/// an event, once there was an `id:`.
fn comment(data: &[u8]) -> Vec<u8> {
    [b": ", data, b"\n"].concat()
}

/// For a reply whose log can no longer be read here.
pub(super) fn lost() -> Encoded {
    let message = "This server can no longer read the reply; please try again.";
    Encoded::last(error(None, message, "server_error", "store_unavailable"))
}

fn error(id: Option<Seq>, message: &str, kind: &str, code: &str) -> Vec<u8> {
    let error = json!({"message": message, "type": kind, "code": code, "param": null});
    frame(id, &json!({"error": error}))
}
