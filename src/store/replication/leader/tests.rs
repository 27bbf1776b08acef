//! How a stored log compares with the log, and what one append holds.

use super::*;

fn batch(after: u64, events: &[&'static str], ended: bool) -> Batch {
    let events = events.iter().copied().map(Bytes::from);
    Batch {
        after: Seq(after),
        events: events.collect(),
        ended,
    }
}

fn compared(stored: &Batch) -> Option<Compared> {
    let all = batch(0, &["a", "b", "c", "d"], false);
    let after = stored.after;
    let events = all.events_after(after).to_vec();
    first_difference(
        stored,
        &Batch {
            after,
            events,
            ended: false,
        },
    )
}

#[test]
fn a_prefix_of_the_log_does_not_differ() {
    assert_eq!(compared(&batch(0, &[], false)), None);
    assert_eq!(compared(&batch(0, &["a", "b"], false)), None);
    assert_eq!(compared(&batch(2, &["c", "d"], false)), None);
}

#[test]
fn another_event_or_one_too_many_is_a_divergence() {
    assert_eq!(
        compared(&batch(0, &["a", "x"], false)),
        Some(Compared::Diverged)
    );
    let more = batch(0, &["a", "b", "c", "d", "e"], false);
    assert_eq!(compared(&more), Some(Compared::Diverged));
    let before_end = batch(0, &["x", "end"], true);
    assert_eq!(compared(&before_end), Some(Compared::Diverged));
}

#[test]
fn the_end_of_another_replica_is_found_at_its_place() {
    let ended = |after| {
        let (after, end) = (Seq(after), Bytes::from("end"));
        Some(Compared::Ended { after, end })
    };
    assert_eq!(compared(&batch(0, &["a", "end"], true)), ended(1));
    assert_eq!(compared(&batch(1, &["b", "end"], true)), ended(2));
    assert_eq!(compared(&batch(4, &["end"], true)), ended(4));
}

#[test]
fn an_append_holds_what_fits_and_one_event_at_least() {
    let sizes = |sizes: &[usize]| {
        let events = sizes.iter().map(|size| Bytes::from(vec![0; *size]));
        let batch = limited(Batch {
            after: Seq::ZERO,
            events: events.collect(),
            ended: true,
        });
        (batch.events.len(), batch.ended)
    };
    assert_eq!(sizes(&[100; 512]), (512, true));
    assert_eq!(sizes(&[BATCH_BYTES_LIMIT / 2; 3]), (2, false));
    assert_eq!(sizes(&[BATCH_BYTES_LIMIT + 1, 1]), (1, false));
    assert_eq!(sizes(&[BATCH_BYTES_LIMIT + 1]), (1, true));
}
