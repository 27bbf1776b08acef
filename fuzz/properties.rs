//! Properties that hold for every input from upstream. The fuzz targets use them, and so does
//! `tests/upstream/fuzz.rs`, which runs them on the stable toolchain.
//!
//! Each takes arbitrary bytes, whose beginning says how to split the rest into reads. It panics if the
//! property does not hold.

use rasta_stream::{
    chat::{ChatRequest, MESSAGE_LIMIT, Role},
    event::{ErrorCode, FinishReason, Padding, ReplyError, ReplyEvent, Seq, Why},
    upstream::{
        Chunk, Fault, Progress,
        dialect::{
            Normalizer,
            error_object::{self, RefusalHead},
        },
        secrets::{RequestId, Secrets},
        sse::{Decoder, MAX_FRAME_BYTES},
    },
};

/// More than an HTTP client returns in one read.
const MAX_READ_BYTES: usize = 1 << 16;
/// The longest string that stays in a line which is too long.
const MAX_KEPT_STRING_BYTES: usize = 4096;
/// The most bytes of output per byte of input: an invalid byte becomes U+FFFD, which takes three.
const MAX_GROWTH: usize = 3;
/// The most cuts that an input can ask for; one more means a cut after every byte.
const CUT_LIMIT: usize = 6;

/// A frame: its event name, its data, and the last event id.
type Frame = (String, String, String);

/// The result of a whole stream.
#[derive(Default, PartialEq, Eq)]
struct Decoded {
    frames: Vec<Frame>,
    /// The frame that the end of the stream left incomplete.
    rest: Option<Frame>,
    too_long: bool,
    /// `None` if decoding stopped early.
    recognized: Option<bool>,
}

/// A body is refused, or it is a conversation that keeps the contract and survives being written again.
pub fn chat_body(data: &[u8]) {
    let Ok(request) = ChatRequest::from_json(data) else {
        return;
    };
    let messages = request.messages();
    assert!((1..=MESSAGE_LIMIT).contains(&messages.len()));
    assert_eq!(messages.last().map(|last| last.role), Some(Role::User));
    for message in messages {
        assert!(!message.content.trim().is_empty());
    }
    let again = serde_json::json!({ "messages": messages }).to_string();
    let Ok(again) = ChatRequest::from_json(again.as_bytes()) else {
        panic!("what was accepted is refused");
    };
    assert_eq!(again.messages(), messages);
    assert_eq!(again.fingerprint(), request.fingerprint());
}

/// Any text of a model is one event, from which a decoder of the standard gets it back.
pub fn encode_parse(data: &[u8]) {
    // Shorter than a frame may be, whatever its escapes.
    let data = data.get(..MAX_READ_BYTES).unwrap_or(data);
    let text = String::from_utf8_lossy(data).into_owned();
    let events = [
        ReplyEvent::Delta { text: text.clone() },
        ReplyEvent::Replace {
            text: text.clone(),
            why: Why::ContentFilter,
        },
    ];
    let mut encoded = Vec::new();
    for (event, seq) in events.iter().zip(1..) {
        event.encode(Seq(seq), Padding::ToClass, &mut encoded);
    }
    let frames = reference_decode(&encoded, LongLines::Refused).frames;
    assert_eq!(frames.len(), events.len());
    for (frame, seq) in frames.iter().zip(1..) {
        let (_, data, id) = frame;
        assert_eq!(*id, seq.to_string());
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(data["text"], text);
    }
}

/// The frames are those of the standard, wherever the stream is split into reads.
pub fn sse_decoder(data: &[u8]) {
    let (cuts, stream) = Cuts::of(data);
    let expected = reference_decode(stream, LongLines::Refused);
    let decode = |parts: &mut dyn Iterator<Item = &[u8]>| decode(Decoder::default(), parts);
    assert!(
        decode(&mut stream.chunks(MAX_READ_BYTES)) == expected,
        "in large reads"
    );
    let parts = &mut cuts.parts(stream);
    assert!(decode(parts) == expected, "cut at {cuts:?}");
}

/// The same near the size limit: the first three bytes say which part of the stream is repeated, and
/// how far the result is from the limit.
pub fn sse_bounds(data: &[u8]) {
    let Some(([at, length, more], data)) = data.split_first_chunk() else {
        return;
    };
    let (cuts, stream) = Cuts::of(data);
    let at = usize::from(*at) % (stream.len() + 1);
    let (head, tail) = stream.split_at(at);
    let length = usize::from(*length) % (tail.len() + 1);
    let (middle, tail) = tail.split_at(length);
    let middle = if middle.is_empty() { b"x" } else { middle };
    // Thousands of complete frames do not test the limit, and take long.
    let twice = middle.repeat(2);
    let blank_lines = [&b"\n\n"[..], b"\r\r", b"\r\n\r\n", b"\n\r"];
    if blank_lines
        .iter()
        .any(|blank| twice.windows(blank.len()).any(|window| window == *blank))
    {
        return;
    }
    // From 128 bytes below the limit to 128 bytes above it.
    let size = (MAX_FRAME_BYTES - 128 + usize::from(*more)).saturating_sub(head.len());
    let mut long = head.to_vec();
    long.extend(middle.iter().cycle().take(size));
    long.extend_from_slice(tail);

    assert_bounded(&cuts, &long, LongLines::Refused, Decoder::default);
    assert_bounded(
        &cuts,
        &long,
        LongLines::Shortened,
        Decoder::without_long_strings,
    );
}

fn assert_bounded(cuts: &Cuts, long: &[u8], lines: LongLines, decoder: fn() -> Decoder) {
    let expected = reference_decode(long, lines);
    let decode = |parts: &mut dyn Iterator<Item = &[u8]>| decode(decoder(), parts);
    assert!(
        decode(&mut long.chunks(MAX_READ_BYTES)) == expected,
        "in large reads"
    );
    assert!(decode(&mut long.chunks(4093)) == expected, "in small reads");
    let mut parts = cuts
        .parts(long)
        .flat_map(|part| part.chunks(MAX_READ_BYTES));
    assert!(decode(&mut parts) == expected, "cut at {cuts:?}");
}

/// The chunks are the same wherever the stream is split, they are bounded, and no text is damaged.
pub fn normalizer(data: &[u8]) {
    let (cuts, stream) = Cuts::of(data);
    assert_chunks(&cuts, stream, chat_completions);
    assert_split_text_is_whole(&cuts, stream);
}

/// The same over the Responses API. Its whole text overrides the deltas.
pub fn responses(data: &[u8]) {
    let (cuts, stream) = Cuts::of(data);
    assert_chunks(&cuts, stream, responses_normalizer);
    assert_whole_text_counts(&cuts, stream);
}

fn chat_completions() -> Normalizer {
    Normalizer::ChatCompletions(Default::default())
}

fn responses_normalizer() -> Normalizer {
    Normalizer::Responses(Default::default())
}

fn assert_chunks(cuts: &Cuts, stream: &[u8], normalizer: fn() -> Normalizer) {
    let whole = normalize(normalizer(), stream.chunks(MAX_READ_BYTES));
    let split = normalize(normalizer(), cuts.parts(stream));
    assert_eq!(split, whole, "cut at {cuts:?}");

    let (chunks, end) = whole;
    let texts = || chunks.iter().filter_map(|chunk| chunk.text.as_deref());
    let corrected = || chunks.iter().filter_map(|chunk| chunk.corrected.as_deref());
    let longest = corrected().map(str::len).max().unwrap_or_default();
    assert!(longest <= MAX_GROWTH * stream.len(), "a longer correction");
    assert!(texts().all(|text| !text.is_empty()), "an empty delta");
    let length: usize = texts().map(str::len).sum();
    assert!(
        length <= MAX_GROWTH * stream.len(),
        "more text than was sent"
    );
    for name in chunks.iter().filter_map(|chunk| chunk.model.as_ref()) {
        let name = name.as_str();
        assert!((1..=128).contains(&name.len()), "model {name:?}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_graphic()),
            "model {name:?}"
        );
    }
    if let Some(fault) = end {
        assert_of_upstream(&fault);
        assert_public(&fault);
    }
}

/// A refusal is one fault, and no part of it has text from upstream.
pub fn refusal(data: &[u8]) {
    let Some(([high, low, flags, length], rest)) = data.split_first_chunk() else {
        return;
    };
    let (header, body) = rest.split_at(usize::from(*length).min(rest.len()));
    let header = String::from_utf8_lossy(header);
    let (ms, seconds) = header.split_once('\n').unwrap_or((&header, &header));
    let status = u16::from_be_bytes([*high, *low]) % 1000;
    let head = RefusalHead {
        status,
        retry_after_ms: (flags & 1 != 0).then_some(ms),
        retry_after: (flags & 2 != 0).then_some(seconds),
    };
    let id = RequestId::accept(seconds, &Secrets::default(), b"");
    let fault = error_object::refusal(&head, body).with_request_id(id.as_ref());

    assert_public(&fault);
    assert!(
        fault
            .cause
            .to_string()
            .starts_with(&format!("status={status}"))
    );
    if let Some(wait) = fault.error.retry_after_ms {
        assert!(fault.error.retryable, "a wait without a retry");
        assert!((1..=7 * 24 * 3600 * 1000).contains(&wait), "wait of {wait}");
    }
    if let Some(id) = &fault.error.request_id {
        assert_eq!(id, seconds);
        assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    // For these, only the status decides, whatever the body says.
    match status {
        0..=299 => assert_eq!(fault.error.code, ErrorCode::UpstreamProtocol),
        429 => assert_eq!(fault.error.code, ErrorCode::RateLimited),
        500..=599 => assert_eq!(fault.error.code, ErrorCode::UpstreamUnavailable),
        _ => assert!(status == 408 || status == 409 || !fault.error.retryable),
    }
    let in_stream = error_object::in_stream(&String::from_utf8_lossy(body));
    assert_of_upstream(&in_stream);
    assert_public(&in_stream);
}

/// A fault inside the stream is none of this program's own.
fn assert_of_upstream(fault: &Fault) {
    let code = fault.error.code;
    let ours = [
        ErrorCode::UpstreamTimeout,
        ErrorCode::UpstreamStalled,
        ErrorCode::UpstreamTruncated,
        ErrorCode::ReplyTimeout,
        ErrorCode::TooLong,
        ErrorCode::ServerShutdown,
        ErrorCode::ProducerLost,
        ErrorCode::Internal,
    ];
    assert!(!ours.contains(&code), "{fault:?}");
    assert!(
        fault.error.retryable || !fault.is_retryable(),
        "a retry against the contract: {fault:?}"
    );
    if let Some(wait) = fault.error.retry_after_ms {
        assert!(fault.error.retryable, "a wait without a retry");
        assert!((1..=7 * 24 * 3600 * 1000).contains(&wait), "wait of {wait}");
    }
}

/// The message is ours, and the cause is one line.
fn assert_public(fault: &Fault) {
    let ours = ReplyError {
        retry_after_ms: fault.error.retry_after_ms,
        request_id: fault.error.request_id.clone(),
        ..ReplyError::new(fault.error.code)
    };
    assert_eq!(fault.error, ours);
    let cause = fault.cause.to_string();
    assert!(
        cause.len() < 256 && !cause.contains(char::is_control),
        "{cause}"
    );
}

/// The places at which a stream is split into reads.
#[derive(Debug)]
enum Cuts {
    Everywhere,
    At(Vec<usize>),
}

impl Cuts {
    /// Reads the cuts from the beginning of an input: their number, and two bytes for each.
    fn of(data: &[u8]) -> (Self, &[u8]) {
        let Some((count, data)) = data.split_first() else {
            return (Self::At(Vec::new()), data);
        };
        let count = usize::from(*count) % (CUT_LIMIT + 2);
        if count > CUT_LIMIT {
            return (Self::Everywhere, data);
        }
        let (places, stream) = data.split_at((2 * count).min(data.len()));
        let mut at: Vec<usize> = places
            .chunks_exact(2)
            .map(|place| usize::from(u16::from_be_bytes([place[0], place[1]])))
            .collect();
        at.sort_unstable();
        (Self::At(at), stream)
    }

    fn parts<'a>(&self, stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut at: Vec<usize> = match self {
            Self::Everywhere if stream.len() <= MAX_READ_BYTES => (0..stream.len()).collect(),
            // One read per byte would take too long.
            Self::Everywhere => (0..stream.len()).step_by(997).collect(),
            Self::At(places) => places.iter().map(|at| at % (stream.len() + 1)).collect(),
        };
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let ends = at.clone().into_iter().skip(1);
        at.into_iter()
            .zip(ends)
            .map(|(start, end)| &stream[start..end])
    }
}

fn decode(mut decoder: Decoder, parts: &mut dyn Iterator<Item = &[u8]>) -> Decoded {
    let mut decoded = Decoded::default();
    for part in parts {
        let pushed = decoder.push(part, |frame| decoded.frames.push(owned(frame)));
        if pushed.is_err() {
            decoded.too_long = true;
            return decoded;
        }
    }
    let finished = decoder.finish(|frame| {
        assert!(decoded.rest.is_none(), "two frames at the end");
        decoded.rest = Some(owned(frame));
    });
    if finished.is_err() {
        decoded.too_long = true;
        return decoded;
    }
    decoded.recognized = Some(decoder.has_recognized());
    decoded
}

fn owned(frame: rasta_stream::upstream::sse::Frame<'_>) -> Frame {
    let most = MAX_GROWTH * MAX_FRAME_BYTES;
    assert!(frame.data.len() <= most && frame.event.len() <= most && frame.id.len() <= most);
    (
        frame.event.into_owned(),
        frame.data.into_owned(),
        frame.id.to_owned(),
    )
}

/// What becomes of a line over the size limit.
#[derive(Clone, Copy)]
enum LongLines {
    Refused,
    Shortened,
}

impl LongLines {
    /// The line as it is read; `None` if it is too long.
    fn read(self, line: &[u8]) -> Option<Vec<u8>> {
        match self {
            _ if line.len() <= MAX_FRAME_BYTES => Some(line.to_vec()),
            Self::Refused => None,
            Self::Shortened => without_long_strings(line),
        }
    }
}

/// The line with `false` in place of each long string. A string that does not end counts for the
/// limit only if it is long.
fn without_long_strings(line: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut at, mut open) = (Vec::new(), 0, 0);
    while at < line.len() {
        let begin = at;
        at += 1;
        if line[begin] != b'"' {
            out.push(line[begin]);
            continue;
        }
        while at < line.len() && line[at] != b'"' {
            at += if line[at] == b'\\' { 2 } else { 1 };
        }
        let ends = at < line.len();
        at = (at + 1).min(line.len());
        let string = &line[begin..at];
        if string.len() > MAX_KEPT_STRING_BYTES {
            out.extend_from_slice(b"false");
        } else {
            out.extend_from_slice(string);
            open = if ends { 0 } else { string.len() };
        }
    }
    (out.len() - open <= MAX_FRAME_BYTES).then_some(out)
}

/// The algorithm of the HTML standard, word for word, on a whole stream, with our size limit.
fn reference_decode(stream: &[u8], lines: LongLines) -> Decoded {
    let mut decoded = Decoded::default();
    let mut reading = Reading::default();
    let mut rest = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let line = &rest[..end];
        let ends_in_crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + if ends_in_crlf { 2 } else { 1 }..];
        if line.is_empty() {
            decoded.frames.extend(reading.dispatch());
        } else if !lines.read(line).is_some_and(|line| reading.line(&line)) {
            decoded.too_long = true;
            return decoded;
        }
    }
    if !rest.is_empty() && !lines.read(rest).is_some_and(|line| reading.line(&line)) {
        decoded.too_long = true;
        return decoded;
    }
    decoded.rest = reading.dispatch();
    decoded.recognized = Some(reading.recognized);
    decoded
}

#[derive(Default)]
struct Reading {
    event: Vec<u8>,
    data: Vec<u8>,
    id: String,
    recognized: bool,
}

impl Reading {
    /// Processes a line. Returns whether the frame is still within the size limit.
    fn line(&mut self, line: &[u8]) -> bool {
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        self.recognized |= [&b""[..], b"data", b"event", b"id", b"retry"].contains(&field);
        match field {
            b"event" => self.event = value.to_vec(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            _ => {}
        }
        self.data.len() <= MAX_FRAME_BYTES
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let (event, data) = (
            std::mem::take(&mut self.event),
            std::mem::take(&mut self.data),
        );
        let data = data.strip_suffix(b"\n")?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&event), text(data), self.id.clone()))
    }
}

/// Decodes and normalizes like the upstream does, up to the first fault or the end.
fn normalize<'a>(
    mut normalizer: Normalizer,
    parts: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Chunk>, Option<Fault>) {
    let mut chunks = Vec::new();
    let mut decoder = normalizer.decoder();
    let mut outcome = Ok(Progress::More);
    for part in parts {
        let pushed = decoder.push(part, |frame| {
            if outcome == Ok(Progress::More) {
                outcome = normalizer.read(&frame.event, &frame.data, &mut chunks);
            }
        });
        if pushed.is_err() || outcome != Ok(Progress::More) {
            break;
        }
    }
    if let Some(text) = normalizer.finish() {
        chunks.push(Chunk {
            text: Some(text),
            ..Chunk::default()
        });
    }
    assert_eq!(normalizer.finish(), None, "a lone surrogate twice");
    (chunks, outcome.err().or(normalizer.failure()))
}

/// No text is damaged, wherever upstream splits it, even between the two halves of a surrogate pair.
fn assert_split_text_is_whole(cuts: &Cuts, bytes: &[u8]) {
    let mut normalizer = chat_completions();
    let mut chunks = Vec::new();
    for part in cuts.parts(bytes) {
        let escaped: String = units(part).map(|unit| format!("\\u{unit:04x}")).collect();
        let data = format!("{{\"choices\":[{{\"delta\":{{\"content\":\"{escaped}\"}}}}]}}");
        let read = normalizer.read("", &data, &mut chunks);
        assert_eq!(read, Ok(Progress::More));
    }
    let data = "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
    assert_eq!(normalizer.read("", data, &mut chunks), Ok(Progress::More));
    assert!(matches!(chunks.last(), Some(chunk) if chunk.finish == Some(FinishReason::Stop)));
    let text: String = chunks.into_iter().filter_map(|chunk| chunk.text).collect();
    let whole: Vec<u16> = cuts.parts(bytes).flat_map(units).collect();
    assert_eq!(text, String::from_utf16_lossy(&whole));
}

/// However much of the text the deltas have, right or wrong, the reply has the whole text in the end.
fn assert_whole_text_counts(cuts: &Cuts, bytes: &[u8]) {
    let escaped =
        |bytes: &[u8]| -> String { units(bytes).map(|unit| format!("\\u{unit:04x}")).collect() };
    let parts: Vec<&[u8]> = cuts.parts(bytes).collect();
    // An empty whole text counts as none.
    if bytes.is_empty() {
        return;
    }
    for sent in 0..=parts.len().min(CUT_LIMIT + 1) {
        let mut normalizer = responses_normalizer();
        let mut chunks = Vec::new();
        let mut read = |kind: &str, field: &str, text: &str| {
            let data = format!("{{\"type\":\"{kind}\",\"{field}\":\"{text}\"}}");
            let read = normalizer.read("", &data, &mut chunks);
            assert_eq!(read, Ok(Progress::More));
        };
        for part in &parts[..sent] {
            read("response.output_text.delta", "delta", &escaped(part));
        }
        read("response.output_text.done", "text", &escaped(bytes));
        let mut text = String::new();
        for chunk in chunks {
            text = chunk.corrected.unwrap_or(text) + chunk.text.as_deref().unwrap_or_default();
        }
        let whole: Vec<u16> = units(bytes).collect();
        assert_eq!(text, String::from_utf16_lossy(&whole), "{sent} deltas");
    }
}

/// One UTF-16 code unit per byte; half of them are surrogates.
fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.iter().map(|byte| match byte {
        0x80..=0xBF => 0xD800 | u16::from(byte & 0x3F) << 4,
        0xC0..=0xFF => 0xDC00 | u16::from(byte & 0x3F) << 4,
        _ => u16::from(*byte),
    })
}
