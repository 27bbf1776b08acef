//! How many connections a worker may have, and which of them makes room.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use super::activity::Activity;

/// The connections of one worker. A cheap handle, to be cloned.
#[derive(Clone, Debug)]
pub struct Pool(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    open: RefCell<HashMap<u64, Activity>>,
    next: Cell<u64>,
}

/// A place in the pool, left when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    pool: Pool,
}

impl Pool {
    /// For at most `limit` connections.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Rc::new(Shared {
            limit,
            open: RefCell::default(),
            next: Cell::default(),
        }))
    }

    /// Adds a connection that begins. If there is no room, the one that has been idle for longest is
    /// closed; if none is idle, the new one has no room and should be refused.
    pub(super) fn add(&self) -> (Activity, Place) {
        let shared = &self.0;
        let has_room = shared.open.borrow().len() < shared.limit || self.close_idle();
        let activity = Activity::new(has_room);
        let number = shared.next.replace(shared.next.get().wrapping_add(1));
        shared.open.borrow_mut().insert(number, activity.clone());
        let pool = self.clone();
        (activity, Place { number, pool })
    }

    fn close_idle(&self) -> bool {
        let mut open = self.0.open.borrow_mut();
        let idle = open
            .iter()
            .filter_map(|(number, activity)| Some((activity.idle_since()?, *number)))
            .min();
        // It leaves its place at once: until it is polled, it could be chosen again.
        let closing = idle.and_then(|(_, number)| open.remove(&number));
        closing.inspect(Activity::close).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.0.open.borrow_mut().remove(&self.number);
    }
}
