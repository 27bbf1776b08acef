//! Scripts: what each scenario does to a stream.
//!
//! From a valid request to the response that is to be played. Faults in mid-stream come
//! after several deltas of an ordinary verse. Refusals are elsewhere.

use serde_json::json;

use super::{
    body::ChatBody,
    http::Head,
    pace::Beat,
    peculiar,
    performance::{Act, Framing, Performance, Writing},
    scenario::Scenario,
    tape::{Style, Tape},
    verse,
    wire::{Chunks, Filter},
};

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// An interim response that nobody asked for.
pub(super) const EARLY_HINTS: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n";

/// The deltas of a reply, and why it ends.
pub(super) fn reply(scenario: Option<Scenario>, body: &ChatBody) -> (Vec<String>, &'static str) {
    let verse = match scenario {
        Some(Scenario::Multibyte) => verse::compose_multibyte(&body.prompt, body.turn),
        _ => verse::compose(&body.prompt, body.turn),
    };
    let verse = match scenario {
        // A stanza will do: each byte is a write.
        Some(Scenario::OneByte) => verse.split("\n\n").next().unwrap_or_default().to_owned(),
        _ => verse,
    };
    let mut deltas = verse::deltas(&verse);
    let mut limit = body.limit.unwrap_or(usize::MAX);
    match scenario {
        Some(Scenario::Length) => limit = limit.min(deltas.len() / 2),
        Some(Scenario::LengthEmpty) => limit = 0,
        Some(Scenario::Empty) => return (Vec::new(), "stop"),
        _ => {}
    }
    let reason = if limit < deltas.len() {
        "length"
    } else {
        "stop"
    };
    deltas.truncate(limit);
    (deltas, reason)
}

/// Writes the response to a request for a stream.
pub(super) fn stream(scenario: Option<Scenario>, body: &ChatBody, head: Head) -> Performance {
    let (deltas, reason) = reply(scenario, body);
    let mut head = head.with("Content-Type", EVENT_STREAM);
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        Some(Scenario::Silent) => return Performance::stream(&head, [Act::Silence].into_iter()),
        Some(Scenario::NoHead) => return Performance::bare(0, Vec::new(), vec![Act::Silence]),
        Some(Scenario::ResetBeforeHead) => {
            return Performance::bare(0, Vec::new(), vec![Act::Reset]);
        }
        Some(Scenario::InformationalOnly) => {
            return Performance::bare(103, EARLY_HINTS.to_vec(), vec![Act::Silence]);
        }
        _ => {}
    }
    let tape = Tape::new(Chunks::new(body), deltas);
    let mut performance = match scenario {
        Some(Scenario::Endless) => {
            let opening = tape.opening().acts().into_iter();
            Performance::stream(&head, opening.chain(endless(body)))
        }
        _ => Performance::stream(&head, record(scenario, tape, reason).acts().into_iter()),
    };
    match scenario {
        Some(Scenario::OneByte) => performance.writing = Writing::Bytes,
        Some(Scenario::Multibyte) => performance.writing = Writing::InsideCharacters,
        Some(Scenario::Informational) => {
            performance.opening = [EARLY_HINTS, &performance.opening].concat();
        }
        Some(Scenario::CloseDelimited) => {
            performance.framing = Framing::Plain;
            performance.opening = head.bytes();
        }
        _ => {}
    }
    performance
}

/// Records the stream of a scenario.
fn record(scenario: Option<Scenario>, tape: Tape, reason: &str) -> Tape {
    let Some(scenario) = scenario else {
        return tape.opening().rest().close(reason);
    };
    match scenario {
        Scenario::Refusal => peculiar::refusal(tape),
        Scenario::ToolCalls => peculiar::tool_calls(tape),
        Scenario::Surrogates => peculiar::surrogates(tape).rest().close(reason),
        Scenario::LongLine => peculiar::long_line(tape.opening().several())
            .rest()
            .close(reason),
        Scenario::Oddities => peculiar::oddities(tape).rest().close(reason),
        Scenario::NoDone => tape.opening().rest().finish(reason).usage().act(Act::End),
        Scenario::Crlf => styled(tape, Style::CrLf, reason),
        Scenario::Cr => styled(tape, Style::Cr, reason),
        Scenario::NoSpace => styled(tape, Style::NoSpace, reason),
        Scenario::MultiLine => styled(tape, Style::MultiLine, reason),
        Scenario::Bom => {
            let mark = Act::Loose("\u{feff}".into());
            tape.act(mark).opening().rest().close(reason)
        }
        Scenario::Comments => tape
            .with(|tape| tape.comments = true)
            .opening()
            .rest()
            .close(reason),
        Scenario::Burst => tape
            .opening()
            .rest()
            .finish(reason)
            .usage()
            .done()
            .burst()
            .act(Act::End),
        Scenario::UsageOnDeltas => {
            let role = tape.chunks.role();
            let tape = tape.with(|tape| tape.running_usage = true).chunk(&role);
            tape.rest().close(reason)
        }
        Scenario::AsyncFilter => annotated(tape.filter(Filter::Asynchronous), reason),
        Scenario::FilterOutage => tape.filter(Filter::Outage).opening().rest().close(reason),
        Scenario::Slow => tape
            .with(|tape| tape.slow = true)
            .opening()
            .rest()
            .close(reason),
        Scenario::Think => tape.opening().pause(60).rest().close(reason),
        // No usage chunk follows a verdict of the filter, asked for or not.
        Scenario::ReplyFiltered => tape
            .opening()
            .several()
            .finish("content_filter")
            .done()
            .act(Act::End),
        Scenario::ReplyFilteredCut => tape
            .opening()
            .several()
            .finish("content_filter")
            .act(Act::Cut),
        Scenario::AsyncFiltered => {
            let tape = tape.filter(Filter::Asynchronous).opening().several();
            let tape = tape.annotation("hate", false, None).several();
            tape.annotation("violence", true, Some("content_filter"))
                .done()
                .act(Act::End)
        }
        Scenario::AsyncFilteredLate => {
            let tape = tape
                .filter(Filter::Asynchronous)
                .opening()
                .rest()
                .finish(reason);
            let tape = tape
                .annotation("hate", false, None)
                .annotation("violence", true, None);
            tape.usage().done().act(Act::End)
        }
        Scenario::Truncated => tape.opening().several().act(Act::Cut),
        Scenario::TruncatedClean => tape.opening().several().act(Act::End),
        Scenario::TruncatedFrame => tape.opening().several().next(1).halve(),
        Scenario::Reset => tape.opening().several().act(Act::Reset),
        Scenario::DoneWithoutFinish => tape.opening().several().done().act(Act::End),
        Scenario::ErrorInStream => tape
            .opening()
            .several()
            .chunk(&peculiar::server_error())
            .done()
            .act(Act::End),
        Scenario::ErrorFirst => tape.chunk(&peculiar::server_error()).act(Act::End),
        Scenario::ErrorEvent => {
            let message = "The model has crashed without additional information.";
            let error = json!({"error": {"message": message}, "message": message});
            let bytes = format!("event: error\ndata: {error}\n\n").into_bytes();
            let frame = Act::Frame {
                bytes,
                beat: Beat::Prompt,
            };
            tape.opening().several().act(frame).act(Act::End)
        }
        Scenario::ErrorNumeric => {
            let error = json!({"error": {
                "message": "the engine is gone", "type": "InternalServerError", "param": null,
                "code": 500,
            }});
            tape.opening().several().chunk(&error).done().act(Act::End)
        }
        Scenario::BadJson => {
            let tape = tape
                .opening()
                .several()
                .data("{\"choices\":[{\"delta\":", Beat::Delta);
            tape.rest().close(reason)
        }
        Scenario::BadChunk => {
            let tape = tape.opening().several();
            tape.act(Act::Raw(b"zion\r\n".to_vec())).act(Act::Cut)
        }
        Scenario::Stall => tape.opening().several().act(Act::Silence),
        Scenario::StallAfterFinish => tape.opening().rest().finish(reason).act(Act::Silence),
        _ => tape.opening().rest().close(reason),
    }
}

fn styled(tape: Tape, style: Style, reason: &str) -> Tape {
    tape.with(|tape| tape.style = style)
        .opening()
        .rest()
        .close(reason)
}

/// The asynchronous filter that has no objection: annotations between, and four after the end.
fn annotated(tape: Tape, reason: &str) -> Tape {
    let tape = tape
        .opening()
        .several()
        .annotation("protected_material_code", false, None);
    let tape = tape.rest().finish(reason);
    let tape = ["hate", "self_harm", "sexual", "violence"]
        .into_iter()
        .fold(tape, |tape, filter| tape.annotation(filter, false, None));
    tape.usage().done().act(Act::End)
}

/// Deltas of verse after verse, made as they are asked for.
fn endless(body: &ChatBody) -> impl Iterator<Item = Act> + Send + 'static {
    let chunks = Chunks::new(body);
    let prompt = body.prompt.clone();
    (body.turn..).flat_map(move |turn| {
        let mut deltas = verse::deltas(&verse::compose(&prompt, turn));
        deltas.push("\n\n".to_owned());
        Tape::new(chunks.clone(), deltas).rest().acts()
    })
}
