//! Scripts: what each scenario does to a stream, over either API.
//!
//! A script turns a valid request into the plan of a streamed response. Faults in the middle of a
//! stream come after several deltas of an ordinary verse. Scenarios that only one API has are in that
//! API's own `script`; refusals are in [`refused`](super::refused).

use super::{
    failure::Failure,
    frames::{Frames, Style},
    http::Head,
    parameters::Parameters,
    reply::{Finish, Reply},
    response::{Framing, ResponsePlan, Step, WriteMode},
    scenario::Scenario,
    verse,
    wire::Wire,
};

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// The length of the line of the scenario `long-line`.
const LONG_LINE_BYTES: usize = 2 * 1024 * 1024;

/// An interim response that the client did not ask for.
pub(super) const EARLY_HINTS: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n";

/// The steps of a stream, and the wire after them.
pub(super) struct Played<W> {
    pub(super) steps: Steps,
    pub(super) wire: W,
}

/// The steps of a stream, made on demand where they never end.
pub(super) type Steps = Box<dyn Iterator<Item = Step> + Send>;

/// Plays a scenario over a wire. `script` adds its frames.
pub(super) fn play<W: Wire>(
    scenario: Option<Scenario>,
    parameters: &Parameters,
    wire: W,
    script: fn(Scenario, Frames<W>, Finish) -> Frames<W>,
) -> Played<W> {
    let Reply { deltas, finish } = Reply::new(scenario, parameters);
    let frames = Frames::new(wire, deltas);
    let frames = match scenario {
        None => frames.opening().remainder(finish),
        Some(Scenario::Endless) => frames.opening(),
        Some(scenario) => script(scenario, frames, finish),
    };
    let (steps, wire) = frames.into_parts();
    let steps = steps.into_iter();
    let steps: Steps = match scenario {
        Some(Scenario::Endless) => Box::new(steps.chain(endless(wire.clone(), parameters))),
        _ => Box::new(steps),
    };
    Played { steps, wire }
}

/// Plans a streamed response of these steps.
pub(super) fn respond(scenario: Option<Scenario>, head: Head, steps: Steps) -> ResponsePlan {
    if let Some(plan) = scenario.and_then(without_head) {
        return plan;
    }
    let mut head = head.with("Content-Type", EVENT_STREAM);
    match scenario {
        Some(Scenario::NoContentType) => head = head.without("Content-Type"),
        Some(Scenario::BlankContentType) => head = head.with("Content-Type", ""),
        Some(Scenario::Silent) => return ResponsePlan::stream(&head, [Step::Hang].into_iter()),
        _ => {}
    }
    let mut plan = ResponsePlan::stream(&head, steps);
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

/// The plan of a scenario that sends no response head; `None` for the others.
pub(super) fn without_head(scenario: Scenario) -> Option<ResponsePlan> {
    match scenario {
        Scenario::NoHead => Some(ResponsePlan::raw(0, Vec::new(), vec![Step::Hang])),
        Scenario::ResetBeforeHead => Some(ResponsePlan::raw(0, Vec::new(), vec![Step::Reset])),
        Scenario::InformationalOnly => Some(ResponsePlan::raw(
            103,
            EARLY_HINTS.to_vec(),
            vec![Step::Hang],
        )),
        _ => None,
    }
}

/// Adds the frames of a scenario that both APIs have. A scenario without effect on frames gets an
/// ordinary stream.
pub(super) fn general<W: Wire>(scenario: Scenario, frames: Frames<W>, finish: Finish) -> Frames<W> {
    if let Some(failure) = Failure::of(scenario) {
        return frames.failure(&failure).step(Step::End);
    }
    if let Some(failure) = Failure::after_text(scenario) {
        let frames = frames.opening().several_deltas();
        return frames.failure(&failure).step(Step::End);
    }
    match scenario {
        Scenario::Refusal => frames
            .with(|frames| frames.wire.refuse())
            .opening()
            .remainder(finish),
        Scenario::Surrogates => surrogates(frames.opening().several_deltas()).remainder(finish),
        Scenario::LongLine => long_line(frames.opening().several_deltas()).remainder(finish),
        Scenario::Crlf => styled(frames, Style::CrLf, finish),
        Scenario::Cr => styled(frames, Style::Cr, finish),
        Scenario::NoSpace => styled(frames, Style::NoSpace, finish),
        Scenario::MultiLine => styled(frames, Style::MultiLine, finish),
        Scenario::Bom => {
            let mark = Step::Body("\u{feff}".into());
            frames.step(mark).opening().remainder(finish)
        }
        Scenario::Comments => frames
            .with(|frames| frames.comments = true)
            .opening()
            .remainder(finish),
        Scenario::Burst => frames.opening().remainder(finish).burst(),
        Scenario::Slow => frames
            .with(|frames| frames.slow = true)
            .opening()
            .remainder(finish),
        Scenario::Think => frames.opening().pause(60).remainder(finish),
        Scenario::ReplyFiltered => {
            let frames = frames.opening().several_deltas();
            frames.complete(Finish::ContentFilter)
        }
        Scenario::Truncated => frames.opening().several_deltas().step(Step::Cut),
        Scenario::TruncatedClean => frames.opening().several_deltas().step(Step::End),
        Scenario::TruncatedFrame => {
            let frames = frames.opening().several_deltas();
            frames.deltas(1).cut_last_frame()
        }
        Scenario::Reset => frames.opening().several_deltas().step(Step::Reset),
        Scenario::ErrorFirst => frames.failure(&Failure::of_model()).step(Step::End),
        Scenario::BadJson => broken_json(frames.opening().several_deltas()).remainder(finish),
        Scenario::BadChunk => {
            let frames = frames.opening().several_deltas();
            frames.step(Step::Raw(b"zion\r\n".to_vec())).step(Step::Cut)
        }
        Scenario::Stall => frames.opening().several_deltas().step(Step::Hang),
        Scenario::StallAfterFinish => {
            let frames = frames.opening().remaining_deltas();
            frames.finish(finish).step(Step::Hang)
        }
        _ => frames.opening().remainder(finish),
    }
}

fn styled<W: Wire>(frames: Frames<W>, style: Style, finish: Finish) -> Frames<W> {
    frames
        .with(|frames| frames.style = style)
        .opening()
        .remainder(finish)
}

/// Adds deltas that are escaped by hand: no JSON encoder writes half a surrogate pair.
fn surrogates<W: Wire>(frames: Frames<W>) -> Frames<W> {
    let deltas = [
        // Complete pairs in one delta.
        ("☀\u{fe0f} 🌱 ", r"\u2600\ufe0f \ud83c\udf31 "),
        // A pair split over two deltas.
        ("sun", r"sun\ud83c"),
        ("🌞rise ", r"\udf1erise "),
        // A lone surrogate.
        ("half\u{fffd} moon\n", r"half\ud83c moon\n"),
    ];
    deltas.into_iter().fold(frames, |frames, (text, escaped)| {
        frames.escaped_delta(text, escaped)
    })
}

/// Adds one delta that makes a very long line.
fn long_line<W: Wire>(frames: Frames<W>) -> Frames<W> {
    let empty = frames.wire.clone().delta("");
    let frame = empty.last().map_or(0, |event| event.data.len());
    let length = LONG_LINE_BYTES.saturating_sub(frame);
    let text = " one love, one heart,".chars().cycle().take(length);
    frames.delta(&text.collect::<String>())
}

/// Adds a frame that is not JSON.
fn broken_json<W: Wire>(frames: Frames<W>) -> Frames<W> {
    let mut events = frames.wire.clone().delta("irie");
    for event in &mut events {
        event.data.truncate(event.data.len() / 2);
    }
    frames.paced(events)
}

/// The deltas of one verse after the other, made on demand.
fn endless<W: Wire>(
    mut wire: W,
    parameters: &Parameters,
) -> impl Iterator<Item = Step> + Send + 'static {
    let prompt = parameters.prompt.clone();
    (parameters.message_count..).flat_map(move |message_count| {
        let mut deltas = verse::deltas(&verse::compose(&prompt, message_count));
        deltas.push("\n\n".to_owned());
        let frames = Frames::new(wire.clone(), deltas);
        let (steps, after) = frames.remaining_deltas().into_parts();
        wire = after;
        steps
    })
}
