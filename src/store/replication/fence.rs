//! Removes what a fenced leader stored after the `end` of its reply.
//!
//! Redis refuses the first event of a batch whose number another replica's `end` has taken, but it
//! stores the others. If the stream is then as long as its last number says, a replica that finds the
//! reply takes it for a running one. The fenced leader removes these events; if it is lost, the
//! failover does. This module does not decide where a reply ends.

use super::{
    commands::{self, PAGE_EVENTS},
    connection::{Connection, Redis},
    entries,
};
use crate::event::{ReplyId, Seq};

/// The most pages that are removed at a time: more than one batch can fill. Bounds the work if another
/// client goes on adding entries.
const REMOVED_PAGES_LIMIT: usize = 16;

/// Removes all entries after `end`. If that fails, they stay: readers stop at the first `end`.
pub(super) async fn remove_after(redis: &Redis, connection: &Connection, id: ReplyId, end: Seq) {
    for _ in 0..REMOVED_PAGES_LIMIT {
        let read = commands::read(id, end, PAGE_EVENTS);
        let Ok(answers) = redis.ask(connection, &read).await else {
            return;
        };
        // Only ids that were read: the numbers do not tell how many entries there are.
        let ids = entries::ids(answers);
        let delete = commands::delete(id, &ids);
        if ids.is_empty() || redis.ask(connection, &delete).await.is_err() {
            return;
        }
    }
}
