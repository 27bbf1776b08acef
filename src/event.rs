//! The contract: the events of a reply, their numbers, names and bytes on the wire.
//!
//! A generation makes [`ReplyEvent`]s, the store numbers and encodes them once, and every viewer
//! sends those very bytes. Each event is one SSE block of exactly three lines, `id`, `event` and
//! `data`, the form on which all SSE clients agree.
//!
//! This module knows nothing of HTTP, of Azure or of where events are kept.

use std::{fmt, io::Write as _, str::FromStr};

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The name of a reply, and the right to read it: 122 random bits in a version 4 UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplyId(Uuid);

impl ReplyId {
    /// Draws a new id from the operating system's random source.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The first eight hexadecimal digits: enough to find a reply in a log, not enough to read it.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyId({}…)", self.short())
    }
}

impl FromStr for ReplyId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// An event's number in its reply: 1, 2, 3 … without gaps. It is the SSE `id`, and a viewer's
/// cursor; as a cursor it may be 0, "nothing seen yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The cursor of a viewer that has seen nothing.
    pub const ZERO: Self = Self(0);

    /// The number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a reply was accepted. Written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created(jiff::Timestamp);

impl Created {
    /// The system clock's present time.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Milliseconds since then by the system clock; 0 if the clock was set back.
    #[must_use]
    pub fn elapsed_ms(self) -> u64 {
        let elapsed = jiff::Timestamp::now().as_millisecond() - self.0.as_millisecond();
        u64::try_from(elapsed).unwrap_or_default()
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Created {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One entry of a reply's log.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyEvent {
    /// Always number 1, written before the POST is answered.
    Start {
        /// The reply's id.
        reply: ReplyId,
        /// When the POST was accepted.
        created: Created,
    },
    /// More text: what one upstream chunk held.
    Delta {
        /// Never empty.
        text: String,
    },
    /// The whole text so far is replaced; later deltas append to this one.
    Replace {
        /// What stands instead; may be empty.
        text: String,
        /// Why it was replaced.
        why: Why,
    },
    /// Something that the person waiting should know.
    Notice(Notice),
    /// Exactly once, always last.
    End(End),
}

/// Why shown text was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Azure's asynchronous content filter condemned it after it was shown.
    ContentFilter,
}

/// A message of ours beside the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What it is about.
    pub code: NoticeCode,
    /// One sentence for people.
    pub message: String,
    /// How long the wait is that it announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Which attempt follows, the first retry being 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

impl Notice {
    /// A notice that announces no wait.
    #[must_use]
    pub fn new(code: NoticeCode, message: String) -> Self {
        Self {
            code,
            message,
            retry_after_ms: None,
            attempt: None,
        }
    }
}

/// What a [`Notice`] can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCode {
    /// The oldest messages were not sent, since the history is longer than `MAX_HISTORY_CHARS`.
    HistoryTrimmed,
    /// Upstream is asked again after a wait.
    Retrying,
    /// Another deployment is asked, since one is busy or cannot be reached.
    OtherDeployment,
}

/// How a reply ended, with what a client needs to prove that it has all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Completed, failed or stopped.
    pub status: Status,
    /// The model's own reason to finish; `None` where it never gave one.
    pub finish_reason: Option<FinishReason>,
    /// Why it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StopReason>,
    /// The model's version as upstream names it; `None` where nobody answered.
    pub model: Option<String>,
    /// Upstream's count of tokens; `None` where it never came.
    pub usage: Option<Usage>,
    /// Length of the text after the last `replace`, in bytes of UTF-8.
    pub bytes: u64,
    /// SHA-256 of the same text, in lower-case hexadecimal.
    pub sha256: String,
    /// How long it took.
    pub ms: Timing,
    /// What went wrong, where the status is failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
}

/// The three ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The model finished and all of its text is there.
    Completed,
    /// It broke off; `error` says why.
    Failed,
    /// Somebody, or nobody's reading, stopped it.
    Stopped,
}

/// Why the model finished, in the words of the Chat Completions API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It had said all.
    Stop,
    /// It met the limit of output tokens.
    Length,
    /// It wants to call tools.
    ToolCalls,
    /// The same, in the old form.
    FunctionCall,
    /// The content filter cut it off.
    ContentFilter,
}

/// Why a reply was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A `DELETE`.
    Viewer,
    /// Nobody read it for `IDLE_READER_SECONDS`.
    Unread,
}

/// Token counts as upstream sent them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of everything that was sent.
    pub prompt_tokens: u64,
    /// Tokens of everything that came back, hidden reasoning included.
    pub completion_tokens: u64,
    /// The sum, as upstream gave it.
    pub total_tokens: u64,
    /// Parts of the prompt's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Parts of the completion's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

/// Parts of [`Usage::prompt_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that came from upstream's prompt cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
}

/// Parts of [`Usage::completion_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning that is not part of the text.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}

/// Milliseconds since the POST was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// To the first delta; `None` where there was none.
    pub first: Option<u64>,
    /// To the end.
    pub total: u64,
}

/// What a client is told of a failure. Upstream's own words are never in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyError {
    /// From a closed list.
    pub code: ErrorCode,
    /// One sentence of ours.
    pub message: String,
    /// Whether the same prompt may succeed later.
    pub retryable: bool,
    /// How long upstream asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Upstream's correlation id, to quote in a support case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ReplyError {
    /// The error that `code` stands for, with its sentence.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: code.message().to_owned(),
            retryable: code.retryable(),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

/// Every way in which a reply can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "`message` says in a sentence what each one means"
)]
pub enum ErrorCode {
    PromptFiltered,
    ReplyFiltered,
    ContextTooLong,
    UpstreamRejected,
    UpstreamAuth,
    DeploymentNotFound,
    RateLimited,
    UpstreamUnavailable,
    UpstreamTimeout,
    UpstreamStalled,
    UpstreamTruncated,
    UpstreamError,
    UpstreamProtocol,
    ReplyTimeout,
    TooLong,
    ServerShutdown,
    ProducerLost,
    Internal,
}

impl ErrorCode {
    /// What happened, in one sentence for the person who waits for the reply.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::PromptFiltered => "The content filter refused the prompt; please reword it.",
            Self::ReplyFiltered => "The content filter cut the reply off.",
            Self::ContextTooLong => {
                "The conversation is longer than the model can read; please start a new one."
            }
            Self::UpstreamRejected => "The model's service refused the request.",
            Self::UpstreamAuth => "The model's service did not accept this server's credentials.",
            Self::DeploymentNotFound => {
                "The model's service does not know the deployment that this server asks for."
            }
            Self::RateLimited => "The model's service is at its rate limit; please try again.",
            Self::UpstreamUnavailable => {
                "The model's service could not be reached; please try again."
            }
            Self::UpstreamTimeout => "The model's service did not answer in time.",
            Self::UpstreamStalled => "The model's service fell silent in mid-reply.",
            Self::UpstreamTruncated => {
                "The connection to the model's service ended before the reply did."
            }
            Self::UpstreamError => "The model's service reported a fault in mid-reply.",
            Self::UpstreamProtocol => {
                "The model's service answered in a form that is not understood."
            }
            Self::ReplyTimeout => "The reply took longer than this server allows.",
            Self::TooLong => "The reply grew longer than this server allows.",
            Self::ServerShutdown => "The server was shut down in mid-reply; please try again.",
            Self::ProducerLost => "The server that produced the reply was lost; please try again.",
            Self::Internal => "The server met a fault of its own; please try again.",
        }
    }

    /// Whether the same prompt may succeed later without anybody changing anything.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::PromptFiltered
            | Self::ReplyFiltered
            | Self::ContextTooLong
            | Self::UpstreamRejected
            | Self::UpstreamAuth
            | Self::DeploymentNotFound
            | Self::ReplyTimeout
            | Self::TooLong => false,
            Self::RateLimited
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::UpstreamStalled
            | Self::UpstreamTruncated
            | Self::UpstreamError
            | Self::UpstreamProtocol
            | Self::ServerShutdown
            | Self::ProducerLost
            | Self::Internal => true,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Random characters that hide a delta's length from whoever watches the encrypted line.
///
/// Azure evens its chunks out with an `obfuscation` field. A proxy that drops the field lets the
/// lengths of the deltas, and from them the topic, be read off its own hop ("Whisper Leak").
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    length: usize,
    characters: [u8; Self::MAX],
}

impl Pad {
    /// The most characters a pad has.
    pub const MAX: usize = 31;

    /// Draws 0 to [`Pad::MAX`] characters.
    #[must_use]
    pub fn random() -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // One byte more than the pad can have, for its length.
        let mut characters: [u8; Self::MAX + 1] = rand::rng().random();
        for byte in &mut characters {
            *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        let [_, kept @ ..] = characters;
        Self {
            length: rand::rng().random_range(0..=Self::MAX),
            characters: kept,
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.characters[..self.length]).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct StartData {
    reply: ReplyId,
    created: Created,
}

#[derive(Serialize)]
struct DeltaData<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pad: Option<&'a str>,
}

#[derive(Serialize)]
struct ReplaceData<'a> {
    text: &'a str,
    why: Why,
}

impl ReplyEvent {
    /// The SSE event name. Never `error`, `open` or `message`: `EventSource` fires those itself.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Delta { .. } => "delta",
            Self::Replace { .. } => "replace",
            Self::Notice(_) => "notice",
            Self::End(_) => "end",
        }
    }

    /// Appends the whole SSE block to `out`; `pad` is written into deltas only.
    pub fn encode(&self, seq: Seq, pad: Option<&Pad>, out: &mut Vec<u8>) {
        open_block(seq, self.name(), out);
        match self {
            Self::Start { reply, created } => {
                json(
                    &StartData {
                        reply: *reply,
                        created: *created,
                    },
                    out,
                );
            }
            Self::Delta { text } => json(
                &DeltaData {
                    text,
                    pad: pad.map(Pad::as_str),
                },
                out,
            ),
            Self::Replace { text, why } => json(&ReplaceData { text, why: *why }, out),
            Self::Notice(notice) => json(notice, out),
            Self::End(end) => json(end, out),
        }
        out.extend_from_slice(b"\n\n");
    }
}

/// A `ping`: the one event that is not in the log. Its id is the connection's own cursor, so that
/// a client that reconnects after it resumes where it was.
pub fn encode_ping(cursor: Seq, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct PingData {
        last: Seq,
    }
    open_block(cursor, "ping", out);
    json(&PingData { last: cursor }, out);
    out.extend_from_slice(b"\n\n");
}

fn open_block(seq: Seq, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    json(&seq, out);
    out.extend_from_slice(b"\nevent: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}

#[expect(
    clippy::expect_used,
    reason = "writing to a Vec cannot fail, and no type of this module has a key that is not a string"
)]
fn json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out.by_ref(), value).expect("plain data serialises into memory");
}

/// The text of a reply as it stands, with what [`End`] says of it. Fed either by the generation
/// as it goes, or from the stored blocks of a log.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    hash: Sha256,
    bytes: u64,
}

impl Transcript {
    /// Takes a delta's text.
    pub fn append(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.bytes += text.len() as u64;
    }

    /// Takes a replacement of all that came before.
    pub fn replace(&mut self, text: &str) {
        *self = Self::default();
        self.append(text);
    }

    /// Length of the text in bytes of UTF-8.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the text in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        use fmt::Write as _;
        self.hash
            .clone()
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }
}

/// Reads the text back out of stored blocks, in order: the text after the last `replace`, and the
/// `end` if it is there.
///
/// Blocks that are not ours are passed over; a log holds none.
pub fn read_back<'a>(blocks: impl IntoIterator<Item = &'a [u8]>) -> (String, Option<End>) {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    let mut text = String::new();
    let mut end = None;
    for block in blocks {
        let Some((name, data)) = split_block(block) else {
            continue;
        };
        match name {
            b"delta" => {
                if let Ok(delta) = serde_json::from_slice::<Text>(data) {
                    text.push_str(&delta.text);
                }
            }
            b"replace" => {
                if let Ok(replace) = serde_json::from_slice::<Text>(data) {
                    text = replace.text;
                }
            }
            b"end" => end = serde_json::from_slice(data).ok(),
            _ => {}
        }
    }
    (text, end)
}

fn split_block(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = block.split(|byte| *byte == b'\n').skip(1);
    let name = lines.next()?.strip_prefix(b"event: ")?;
    let data = lines.next()?.strip_prefix(b"data: ")?;
    Some((name, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(event: &ReplyEvent, seq: u64) -> String {
        let mut out = Vec::new();
        event.encode(Seq(seq), None, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn end() -> End {
        End {
            status: Status::Completed,
            finish_reason: Some(FinishReason::Stop),
            reason: None,
            model: Some("m".into()),
            usage: None,
            bytes: 2,
            sha256: "ab".into(),
            ms: Timing {
                first: Some(1),
                total: 2,
            },
            error: None,
        }
    }

    #[test]
    fn an_event_is_one_block_of_three_lines() {
        let event = ReplyEvent::Delta {
            text: "a\r\n\"b\"\u{2028}".into(),
        };
        assert_eq!(
            encoded(&event, 7),
            "id: 7\nevent: delta\ndata: {\"text\":\"a\\r\\n\\\"b\\\"\u{2028}\"}\n\n"
        );
    }

    #[test]
    fn a_replace_says_why() {
        let event = ReplyEvent::Replace {
            text: String::new(),
            why: Why::ContentFilter,
        };
        assert_eq!(
            encoded(&event, 3),
            "id: 3\nevent: replace\ndata: {\"text\":\"\",\"why\":\"content_filter\"}\n\n"
        );
    }

    #[test]
    fn an_end_names_every_field_of_the_contract() {
        assert_eq!(
            encoded(&ReplyEvent::End(end()), 9),
            "id: 9\nevent: end\ndata: {\"status\":\"completed\",\"finish_reason\":\"stop\",\
             \"model\":\"m\",\"usage\":null,\"bytes\":2,\"sha256\":\"ab\",\
             \"ms\":{\"first\":1,\"total\":2}}\n\n"
        );
    }

    #[test]
    fn a_ping_carries_the_cursor_of_its_connection() {
        let mut out = Vec::new();
        encode_ping(Seq(4), &mut out);
        assert_eq!(out, b"id: 4\nevent: ping\ndata: {\"last\":4}\n\n");
    }

    #[test]
    fn pads_vary_in_length_within_their_bound() {
        let lengths: std::collections::BTreeSet<usize> =
            (0..2000).map(|_| Pad::random().as_str().len()).collect();
        assert_eq!(
            lengths.iter().copied().collect::<Vec<_>>(),
            (0..=31).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_pad_is_written_into_a_delta() {
        let pad = Pad {
            length: 2,
            characters: [b'x'; Pad::MAX],
        };
        let mut out = Vec::new();
        ReplyEvent::Delta { text: "a".into() }.encode(Seq(2), Some(&pad), &mut out);
        assert_eq!(
            out,
            b"id: 2\nevent: delta\ndata: {\"text\":\"a\",\"pad\":\"xx\"}\n\n"
        );
    }

    #[test]
    fn the_text_is_what_stands_after_the_last_replace() {
        let events = [
            ReplyEvent::Start {
                reply: ReplyId::random(),
                created: Created::now(),
            },
            ReplyEvent::Delta {
                text: "taken back".into(),
            },
            ReplyEvent::Replace {
                text: "One ".into(),
                why: Why::ContentFilter,
            },
            ReplyEvent::Delta {
                text: "\"love\"".into(),
            },
            ReplyEvent::End(end()),
        ];
        let blocks: Vec<String> = (1..).zip(&events).map(|(n, e)| encoded(e, n)).collect();
        let (text, read_end) = read_back(blocks.iter().map(String::as_bytes));
        assert_eq!(text, "One \"love\"");
        assert_eq!(read_end, Some(end()));

        let mut transcript = Transcript::default();
        transcript.append("taken back");
        transcript.replace("One ");
        transcript.append("\"love\"");
        let mut direct = Transcript::default();
        direct.append(&text);
        assert_eq!(transcript.sha256(), direct.sha256());
        assert_eq!(transcript.bytes(), 10);
    }

    #[test]
    fn the_hash_is_sha_256_in_lower_case() {
        let mut transcript = Transcript::default();
        transcript.append("abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            transcript.sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_reply_id_in_a_log_line_cannot_be_used() {
        let id = ReplyId::random();
        assert!(!format!("{id:?}").contains(&id.to_string()));
        assert_eq!(id.short().len(), 8);
    }

    #[test]
    fn created_is_rfc_3339_with_milliseconds_in_utc() {
        let text = Created(jiff::Timestamp::from_millisecond(1_790_000_000_120).unwrap());
        assert_eq!(text.to_string(), "2026-09-21T14:13:20.120Z");
    }
}
