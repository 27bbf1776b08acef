//! The judge: compares what every viewer of a reply saw with each other and with what upstream sent.
//!
//! It knows nothing of connections, replicas or faults, only which of two promises holds: the whole
//! reply, or a prefix of it that ends in one of a few ways.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::Digest as _;

use super::viewer::Sight;

/// One event as one viewer saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub viewer: usize,
    pub connection: usize,
    pub id: u64,
    pub name: String,
    /// The bytes that are stored: the block without a `retry` line.
    pub block: String,
    pub at: Instant,
}

/// What a fault leaves of the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    Whole,
    /// The whole, or a prefix that ends in one of these ways, as `status/why`.
    Prefix(&'static [&'static str]),
}

/// What is to be said about one reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its text is all that upstream sent, and it says so.
    pub complete: bool,
    /// How it ended, as `status` or `status/why`.
    pub end: String,
    pub lost: usize,
    pub doubled: usize,
    pub reordered: usize,
    /// Viewers that never saw an end.
    pub hung: usize,
    /// From the moment that counts to each viewer's end.
    pub waits: Vec<Duration>,
    /// Every violation in words.
    pub wrongs: Vec<String>,
}

/// Judges one reply; waits are counted `since` then.
pub fn judge(sights: &[Sight], sent: &str, promise: Promise, since: Instant) -> Verdict {
    let mut verdict = Verdict::default();
    let mut agreed: BTreeMap<u64, &Seen> = BTreeMap::new();
    for sight in sights {
        let number = sight.viewer;
        for (wrong, times) in &sight.wrongs {
            let wrong = format!("viewer {number}: {wrong}, {times} times");
            verdict.wrongs.push(wrong);
        }
        count_ids(number, sight, &mut verdict);
        for seen in &sight.seen {
            let first = agreed.entry(seen.id).or_insert(seen);
            if first.block != seen.block {
                verdict.wrongs.push(format!(
                    "viewer {number} on connection {} has other bytes at event {} than viewer {} on \
                     connection {}: {:?} and {:?}",
                    seen.connection, seen.id, first.viewer, first.connection, seen.block, first.block,
                ));
            }
        }
        match sight.ended {
            Some(_) if sight.late => {}
            Some(at) => verdict.waits.push(at.saturating_duration_since(since)),
            None => {
                verdict.hung += 1;
                let last = sight.seen.last().map(|seen| seen.id);
                verdict
                    .wrongs
                    .push(format!("viewer {number} saw no end after event {last:?}"));
            }
        }
    }
    let events: Vec<&Seen> = agreed.into_values().collect();
    judge_transcript(&events, sent, promise, &mut verdict);
    verdict
}

/// The ids that a viewer saw, against 1, 2, 3 …
fn count_ids(number: usize, sight: &Sight, verdict: &mut Verdict) {
    let mut seen = BTreeSet::new();
    let mut before = 0;
    let (mut doubled, mut reordered) = (0, 0);
    for event in &sight.seen {
        if !seen.insert(event.id) {
            doubled += 1;
        } else if event.id < before {
            reordered += 1;
        }
        before = event.id;
    }
    let highest = seen.last().copied().unwrap_or_default();
    let lost = (1..=highest).filter(|id| !seen.contains(id)).count();
    verdict.lost += lost;
    verdict.doubled += doubled;
    verdict.reordered += reordered;
    if lost + doubled + reordered > 0 {
        let ids: Vec<String> = sight
            .seen
            .iter()
            .map(|event| format!("{}:{}", event.connection, event.id))
            .collect();
        verdict.wrongs.push(format!(
            "viewer {number} lost {lost}, saw {doubled} twice and {reordered} out of order; \
             connection:id were {}",
            ids.join(" ")
        ));
    }
    let ends = sight
        .seen
        .iter()
        .filter(|event| event.name == "end")
        .count();
    let last = sight.seen.last().is_some_and(|event| event.name == "end");
    if ends > 1 || ends == 1 && !last {
        verdict.wrongs.push(format!(
            "viewer {number} saw {ends} ends, or something after one"
        ));
    }
}

fn judge_transcript(events: &[&Seen], sent: &str, promise: Promise, verdict: &mut Verdict) {
    let mut wrongs = Vec::new();
    let ends: Vec<u64> = events
        .iter()
        .filter(|event| event.name == "end")
        .map(|event| event.id)
        .collect();
    let last = events.last();
    if ends.len() != 1 || last.is_none_or(|last| last.name != "end") {
        wrongs.push(format!("ends stand at {ends:?} of {} events", events.len()));
    }
    if events.first().is_none_or(|first| first.name != "start") {
        wrongs.push("the first event is no start".to_owned());
    }
    let text = text_of(events);
    if !sent.starts_with(&text) {
        wrongs.push(format!(
            "the text is no prefix of what upstream sent: {text:?} of {sent:?}"
        ));
    }
    if let Some(end) = last
        .filter(|last| last.name == "end")
        .map(|last| data(last))
    {
        let hash: String = sha2::Sha256::digest(&text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if end["bytes"] != text.len() || end["sha256"] != hash {
            wrongs.push(format!(
                "the end's bytes or sha256 are not those of {text:?}: {end}"
            ));
        }
        verdict.end = way(&end);
        verdict.complete = verdict.end == "completed" && text == sent;
        let kept = match promise {
            Promise::Whole => verdict.complete,
            Promise::Prefix(ways) => verdict.complete || ways.contains(&verdict.end.as_str()),
        };
        if !kept {
            wrongs.push(format!(
                "it ended as {} with {} of {} bytes, which {promise:?} does not allow: {end}",
                verdict.end,
                text.len(),
                sent.len()
            ));
        }
    }
    verdict.wrongs.extend(wrongs);
}

/// The way a reply ended: its status, and what explains it.
fn way(end: &Value) -> String {
    let status = end["status"].as_str().unwrap_or("?");
    let why = end["error"]["code"].as_str().or(end["reason"].as_str());
    why.map_or_else(|| status.to_owned(), |why| format!("{status}/{why}"))
}

fn data(event: &Seen) -> Value {
    let line = event
        .block
        .lines()
        .nth(2)
        .and_then(|line| line.strip_prefix("data: "));
    line.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

fn text_of(events: &[&Seen]) -> String {
    let mut text = String::new();
    for event in events {
        let data = data(event);
        let piece = data["text"].as_str().unwrap_or_default();
        match event.name.as_str() {
            "delta" => text.push_str(piece),
            "replace" => piece.clone_into(&mut text),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SENT: &str = "one love";

    fn event(id: u64, name: &str, data: &Value) -> Seen {
        Seen {
            viewer: 0,
            connection: 1,
            id,
            name: name.to_owned(),
            block: format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
            at: Instant::now(),
        }
    }

    fn end(id: u64, text: &str, mut data: Value) -> Seen {
        let hash: String = sha2::Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        data["bytes"] = text.len().into();
        data["sha256"] = hash.into();
        event(id, "end", &data)
    }

    fn whole() -> Vec<Seen> {
        vec![
            event(1, "start", &json!({})),
            event(2, "delta", &json!({"text": "one"})),
            event(3, "delta", &json!({"text": " love"})),
            end(4, SENT, json!({"status": "completed"})),
        ]
    }

    fn broken(code: &str) -> Vec<Seen> {
        let mut events = whole();
        events.truncate(2);
        let data = json!({"status": "failed", "error": {"code": code}});
        events.push(end(3, "one", data));
        events
    }

    fn sight(seen: Vec<Seen>) -> Sight {
        let ended = seen
            .iter()
            .find(|event| event.name == "end")
            .map(|event| event.at);
        Sight {
            seen,
            ended,
            ..Sight::default()
        }
    }

    fn verdict(promise: Promise, seen: Vec<Vec<Seen>>) -> Verdict {
        let mut sights: Vec<Sight> = seen.into_iter().map(sight).collect();
        for (number, sight) in sights.iter_mut().enumerate() {
            sight.viewer = number;
        }
        judge(&sights, SENT, promise, Instant::now())
    }

    const PREFIX: Promise = Promise::Prefix(&["failed/producer_lost"]);

    #[test]
    fn a_whole_reply_keeps_both_promises() {
        for promise in [Promise::Whole, PREFIX] {
            let verdict = verdict(promise, vec![whole(), whole()]);
            assert_eq!(verdict.wrongs, Vec::<String>::new());
            assert!(verdict.complete);
            assert_eq!(verdict.waits.len(), 2);
        }
    }

    #[test]
    fn a_prefix_keeps_only_the_lesser_promise_and_only_for_its_reasons() {
        let good = verdict(PREFIX, vec![broken("producer_lost")]);
        assert_eq!((good.wrongs.len(), good.complete), (0, false));
        assert_eq!(good.end, "failed/producer_lost");
        for (promise, code) in [(Promise::Whole, "producer_lost"), (PREFIX, "internal")] {
            let verdict = verdict(promise, vec![broken(code)]);
            assert!(verdict.wrongs[0].contains("does not allow"), "{verdict:?}");
        }
    }

    #[test]
    fn a_lost_event_is_found() {
        let mut seen = whole();
        seen.remove(2);
        let verdict = verdict(Promise::Whole, vec![whole(), seen]);
        assert_eq!(
            (verdict.lost, verdict.doubled, verdict.reordered),
            (1, 0, 0)
        );
        assert!(
            verdict.wrongs[0].contains("connection:id were 1:1 1:2 1:4"),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_doubled_event_is_found() {
        let mut seen = whole();
        seen.insert(2, seen[1].clone());
        let verdict = verdict(Promise::Whole, vec![seen]);
        assert_eq!(
            (verdict.lost, verdict.doubled, verdict.reordered),
            (0, 1, 0)
        );
        assert_eq!(verdict.wrongs.len(), 1);
    }

    #[test]
    fn events_out_of_order_are_found() {
        let mut seen = whole();
        seen.swap(1, 2);
        let verdict = verdict(Promise::Whole, vec![seen]);
        assert_eq!(
            (verdict.lost, verdict.doubled, verdict.reordered),
            (0, 0, 1)
        );
        assert_eq!(verdict.wrongs.len(), 1);
    }

    #[test]
    fn a_reply_without_an_end_hangs() {
        let mut seen = whole();
        seen.pop();
        let verdict = verdict(Promise::Whole, vec![whole(), seen]);
        assert_eq!(verdict.hung, 1);
        assert_eq!(verdict.wrongs, ["viewer 1 saw no end after event Some(3)"]);
    }

    #[test]
    fn other_bytes_at_the_same_id_are_found() {
        let mut seen = whole();
        seen[2].block = seen[2].block.replace(" love", " life");
        let verdict = verdict(Promise::Whole, vec![whole(), seen]);
        assert!(
            verdict.wrongs[0].contains("other bytes at event 3"),
            "{verdict:?}"
        );
    }

    #[test]
    fn two_different_ends_are_found() {
        let verdict = verdict(PREFIX, vec![whole(), broken("producer_lost")]);
        let all = verdict.wrongs.join("\n");
        assert!(all.contains("other bytes at event 3"), "{all}");
        assert!(
            all.contains("ends stand at [4] of 4") || all.contains("viewer 1"),
            "{all}"
        );
    }

    #[test]
    fn something_after_the_end_is_found() {
        let mut seen = whole();
        seen.push(event(5, "delta", &json!({"text": "!"})));
        let verdict = verdict(Promise::Whole, vec![seen]);
        let all = verdict.wrongs.join("\n");
        assert!(all.contains("something after one"), "{all}");
        assert!(all.contains("ends stand at [4] of 5"), "{all}");
    }

    #[test]
    fn a_text_that_upstream_never_sent_is_found() {
        let mut seen = whole();
        seen[1] = event(2, "delta", &json!({"text": "two"}));
        seen[3] = end(4, "two love", json!({"status": "completed"}));
        let verdict = verdict(PREFIX, vec![seen]);
        assert!(verdict.wrongs[0].contains("no prefix"), "{verdict:?}");
    }

    #[test]
    fn a_proof_that_does_not_fit_is_found() {
        let mut seen = whole();
        seen[3] = end(4, "one live", json!({"status": "completed"}));
        let verdict = verdict(Promise::Whole, vec![seen]);
        assert!(verdict.wrongs[0].contains("bytes or sha256"), "{verdict:?}");
    }

    #[test]
    fn a_completed_reply_that_lacks_text_is_found() {
        let mut seen = whole();
        seen.remove(2);
        seen[2] = end(3, "one", json!({"status": "completed"}));
        for promise in [Promise::Whole, PREFIX] {
            let verdict = verdict(promise, vec![seen.clone()]);
            assert!(
                verdict.wrongs[0].contains("with 3 of 8 bytes"),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_reply_that_no_viewer_saw_is_no_reply() {
        let verdict = verdict(PREFIX, vec![Vec::new()]);
        assert_eq!(verdict.hung, 1);
        assert!(verdict.wrongs.len() > 1);
    }

    #[test]
    fn what_a_viewer_complains_of_is_a_violation() {
        let mut complaint = sight(whole());
        complaint.complain("404".to_owned());
        complaint.complain("404".to_owned());
        let verdict = judge(&[complaint], SENT, Promise::Whole, Instant::now());
        assert_eq!(verdict.wrongs, ["viewer 0: 404, 2 times"]);
    }
}
