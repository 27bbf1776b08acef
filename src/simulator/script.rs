//! Scripts: what each scenario does to a stream.
//!
//! A script turns a valid request into the plan of a streamed response. Faults in the middle of a
//! stream come after several deltas of an ordinary verse. Refusals are in
//! [`refusal`](super::refusal).

use serde_json::json;

use super::{
    body::ChatBody,
    chunks::{Chunks, Filter},
    frames::{Frames, Style},
    http::Head,
    pace::FrameKind,
    quirks,
    response::{Framing, ResponsePlan, Step, WriteMode},
    scenario::Scenario,
    verse,
};

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// An interim response that the client did not ask for.
pub(super) const EARLY_HINTS: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n";

/// The deltas of a reply, and its finish reason.
pub(super) fn reply(scenario: Option<Scenario>, body: &ChatBody) -> (Vec<String>, &'static str) {
    let verse = match scenario {
        Some(Scenario::Multibyte) => verse::compose_multibyte(&body.prompt, body.message_count),
        _ => verse::compose(&body.prompt, body.message_count),
    };
    let verse = match scenario {
        // One stanza is enough: each byte is a write.
        Some(Scenario::OneByte) => verse.split("\n\n").next().unwrap_or_default().to_owned(),
        _ => verse,
    };
    let mut deltas = verse::deltas(&verse);
    let mut limit = body.max_deltas.unwrap_or(usize::MAX);
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

/// Plans the response to a request for a stream.
pub(super) fn respond(scenario: Option<Scenario>, body: &ChatBody, head: Head) -> ResponsePlan {
    let (deltas, reason) = reply(scenario, body);
    let mut head = head.with("Content-Type", EVENT_STREAM);
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        Some(Scenario::Silent) => return ResponsePlan::stream(&head, [Step::Hang].into_iter()),
        Some(Scenario::NoHead) => return ResponsePlan::raw(0, Vec::new(), vec![Step::Hang]),
        Some(Scenario::ResetBeforeHead) => {
            return ResponsePlan::raw(0, Vec::new(), vec![Step::Reset]);
        }
        Some(Scenario::InformationalOnly) => {
            return ResponsePlan::raw(103, EARLY_HINTS.to_vec(), vec![Step::Hang]);
        }
        _ => {}
    }
    let frames = Frames::new(Chunks::new(body), deltas);
    let mut plan = match scenario {
        Some(Scenario::Endless) => {
            let preamble = frames.preamble().into_steps().into_iter();
            ResponsePlan::stream(&head, preamble.chain(endless(body)))
        }
        _ => ResponsePlan::stream(
            &head,
            frames_of(scenario, frames, reason).into_steps().into_iter(),
        ),
    };
    match scenario {
        Some(Scenario::OneByte) => plan.write_mode = WriteMode::PerByte,
        Some(Scenario::Multibyte) => plan.write_mode = WriteMode::SplitCharacters,
        Some(Scenario::Informational) => {
            plan.first_bytes = [EARLY_HINTS, &plan.first_bytes].concat();
        }
        Some(Scenario::CloseDelimited) => {
            plan.framing = Framing::Identity;
            plan.first_bytes = head.bytes();
        }
        _ => {}
    }
    plan
}

/// Adds the frames of a scenario.
fn frames_of(scenario: Option<Scenario>, frames: Frames, reason: &str) -> Frames {
    let Some(scenario) = scenario else {
        return frames.preamble().remainder(reason);
    };
    match scenario {
        Scenario::Refusal => quirks::refusal(frames),
        Scenario::ToolCalls => quirks::tool_calls(frames),
        Scenario::Surrogates => quirks::surrogates(frames).remainder(reason),
        Scenario::LongLine => {
            quirks::long_line(frames.preamble().several_deltas()).remainder(reason)
        }
        Scenario::Oddities => quirks::oddities(frames).remainder(reason),
        Scenario::NoDone => frames
            .preamble()
            .remaining_deltas()
            .finish(reason)
            .usage()
            .step(Step::End),
        Scenario::Crlf => styled(frames, Style::CrLf, reason),
        Scenario::Cr => styled(frames, Style::Cr, reason),
        Scenario::NoSpace => styled(frames, Style::NoSpace, reason),
        Scenario::MultiLine => styled(frames, Style::MultiLine, reason),
        Scenario::Bom => {
            let mark = Step::Body("\u{feff}".into());
            frames.step(mark).preamble().remainder(reason)
        }
        Scenario::Comments => frames
            .with(|frames| frames.comments = true)
            .preamble()
            .remainder(reason),
        Scenario::Burst => frames
            .preamble()
            .remaining_deltas()
            .finish(reason)
            .usage()
            .done()
            .burst()
            .step(Step::End),
        Scenario::UsageOnDeltas => {
            let role = frames.chunks.role();
            let frames = frames
                .with(|frames| frames.running_usage = true)
                .chunk(&role);
            frames.remainder(reason)
        }
        Scenario::AsyncFilter => annotated(frames.filter(Filter::Asynchronous), reason),
        Scenario::FilterOutage => frames.filter(Filter::Outage).preamble().remainder(reason),
        Scenario::Slow => frames
            .with(|frames| frames.slow = true)
            .preamble()
            .remainder(reason),
        Scenario::Think => frames.preamble().pause(60).remainder(reason),
        // Azure sends no usage chunk after content_filter, even if the request asked for it.
        Scenario::ReplyFiltered => frames
            .preamble()
            .several_deltas()
            .finish("content_filter")
            .done()
            .step(Step::End),
        Scenario::ReplyFilteredCut => frames
            .preamble()
            .several_deltas()
            .finish("content_filter")
            .step(Step::Cut),
        Scenario::AsyncFiltered => {
            let frames = frames
                .filter(Filter::Asynchronous)
                .preamble()
                .several_deltas();
            let frames = frames.annotation("hate", false, None).several_deltas();
            frames
                .annotation("violence", true, Some("content_filter"))
                .done()
                .step(Step::End)
        }
        Scenario::AsyncFilteredLate => {
            let frames = frames
                .filter(Filter::Asynchronous)
                .preamble()
                .remaining_deltas()
                .finish(reason);
            let frames = frames
                .annotation("hate", false, None)
                .annotation("violence", true, None);
            frames.usage().done().step(Step::End)
        }
        Scenario::Truncated => frames.preamble().several_deltas().step(Step::Cut),
        Scenario::TruncatedClean => frames.preamble().several_deltas().step(Step::End),
        Scenario::TruncatedFrame => frames
            .preamble()
            .several_deltas()
            .deltas(1)
            .cut_last_frame(),
        Scenario::Reset => frames.preamble().several_deltas().step(Step::Reset),
        Scenario::DoneWithoutFinish => frames.preamble().several_deltas().done().step(Step::End),
        Scenario::ErrorInStream => frames
            .preamble()
            .several_deltas()
            .chunk(&quirks::server_error())
            .done()
            .step(Step::End),
        Scenario::ErrorFirst => frames.chunk(&quirks::server_error()).step(Step::End),
        Scenario::ErrorEvent => {
            let message = "The model has crashed without additional information.";
            let error = json!({"error": {"message": message}, "message": message});
            let bytes = format!("event: error\ndata: {error}\n\n").into_bytes();
            let frame = Step::Frame {
                bytes,
                kind: FrameKind::Immediate,
            };
            frames
                .preamble()
                .several_deltas()
                .step(frame)
                .step(Step::End)
        }
        Scenario::ErrorNumeric => {
            let error = json!({"error": {
                "message": "the engine is gone", "type": "InternalServerError", "param": null,
                "code": 500,
            }});
            frames
                .preamble()
                .several_deltas()
                .chunk(&error)
                .done()
                .step(Step::End)
        }
        Scenario::BadJson => {
            let frames = frames
                .preamble()
                .several_deltas()
                .data("{\"choices\":[{\"delta\":", FrameKind::Delta);
            frames.remainder(reason)
        }
        Scenario::BadChunk => {
            let frames = frames.preamble().several_deltas();
            frames.step(Step::Raw(b"zion\r\n".to_vec())).step(Step::Cut)
        }
        Scenario::Stall => frames.preamble().several_deltas().step(Step::Hang),
        Scenario::StallAfterFinish => frames
            .preamble()
            .remaining_deltas()
            .finish(reason)
            .step(Step::Hang),
        _ => frames.preamble().remainder(reason),
    }
}

fn styled(frames: Frames, style: Style, reason: &str) -> Frames {
    frames
        .with(|frames| frames.style = style)
        .preamble()
        .remainder(reason)
}

/// The asynchronous filter without an objection: one annotation in between, four after the finish.
fn annotated(frames: Frames, reason: &str) -> Frames {
    let frames =
        frames
            .preamble()
            .several_deltas()
            .annotation("protected_material_code", false, None);
    let frames = frames.remaining_deltas().finish(reason);
    let frames = ["hate", "self_harm", "sexual", "violence"]
        .into_iter()
        .fold(frames, |frames, filter| {
            frames.annotation(filter, false, None)
        });
    frames.usage().done().step(Step::End)
}

/// The deltas of one verse after the other, made on demand.
fn endless(body: &ChatBody) -> impl Iterator<Item = Step> + Send + 'static {
    let chunks = Chunks::new(body);
    let prompt = body.prompt.clone();
    (body.message_count..).flat_map(move |message_count| {
        let mut deltas = verse::deltas(&verse::compose(&prompt, message_count));
        deltas.push("\n\n".to_owned());
        Frames::new(chunks.clone(), deltas)
            .remaining_deltas()
            .into_steps()
    })
}
