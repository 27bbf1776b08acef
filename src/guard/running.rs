//! How many replies a caller may have running at once.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::caller::Caller;

/// The running replies of this process, by caller.
#[derive(Debug)]
pub(super) struct Running {
    per_caller: u32,
    total: u32,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    callers: HashMap<Caller, u32>,
    all: u32,
}

/// The place of one running reply, which is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    caller: Caller,
    counts: Arc<Mutex<Counts>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The caller has as many running replies as it may have.
    ForCaller,
    /// All callers together have.
    ForAll,
}

impl Running {
    pub(super) fn new(per_caller: u32, total: u32) -> Self {
        Self {
            per_caller,
            total,
            counts: Arc::default(),
        }
    }

    /// Takes a place for a reply of this caller.
    pub(super) fn take(&self, caller: &Caller) -> Result<Place, NoPlace> {
        let mut counts = self.counts.lock();
        let running = counts.callers.get(caller).copied().unwrap_or_default();
        if running >= self.per_caller {
            return Err(NoPlace::ForCaller);
        }
        if counts.all >= self.total {
            return Err(NoPlace::ForAll);
        }
        counts.callers.insert(caller.clone(), running + 1);
        counts.all += 1;
        Ok(Place {
            caller: caller.clone(),
            counts: Arc::clone(&self.counts),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.all -= 1;
        match counts.callers.get_mut(&self.caller) {
            Some(running) if *running > 1 => *running -= 1,
            _ => {
                counts.callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_reply_has_ended() {
        let running = Running::new(2, 3);
        let (ann, bob) = (Caller::Token("ann".into()), Caller::Token("bob".into()));
        let (first, second) = (running.take(&ann).unwrap(), running.take(&ann).unwrap());
        assert_eq!(running.take(&ann).unwrap_err(), NoPlace::ForCaller);
        let third = running.take(&bob).unwrap();
        assert_eq!(running.take(&bob).unwrap_err(), NoPlace::ForAll);
        drop(first);
        let fourth = running.take(&ann).unwrap();
        drop((second, third, fourth));
        assert!(running.counts.lock().callers.is_empty());
        assert_eq!(running.counts.lock().all, 0);
    }
}
