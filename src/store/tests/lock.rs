//! The lock of a log under the model checker loom, which sees it if it is made within a model.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

thread_local! {
    // Loom runs all threads of a model on the thread that called it.
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `model` in every order that its threads can take, with at most `preemptions` preemptions.
/// Returns the number of orders.
pub(in crate::store) fn explore(
    preemptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) -> usize {
    struct Exploring;
    impl Drop for Exploring {
        fn drop(&mut self) {
            EXPLORING.set(false);
        }
    }
    EXPLORING.set(true);
    let _until_the_end = Exploring;
    let orders = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&orders);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    orders.load(Ordering::Relaxed)
}

/// A lock that loom sees if it is made within a model.
#[derive(Debug)]
pub(in crate::store) struct Mutex<T> {
    loom: Option<loom::sync::Mutex<()>>,
    value: parking_lot::Mutex<T>,
}

pub(in crate::store) struct Guard<'a, T> {
    // Declared first, so that it is dropped first: once loom's lock is free, another thread
    // may run.
    value: parking_lot::MutexGuard<'a, T>,
    _loom: Option<loom::sync::MutexGuard<'a, ()>>,
}

impl<T> Mutex<T> {
    pub(in crate::store) fn new(value: T) -> Self {
        Self {
            loom: EXPLORING.get().then(|| loom::sync::Mutex::new(())),
            value: parking_lot::Mutex::new(value),
        }
    }

    pub(in crate::store) fn lock(&self) -> Guard<'_, T> {
        // After loom has found a deadlock it panics, and takes no locks while readers drop.
        let loom = self.loom.as_ref().filter(|_| !std::thread::panicking());
        let loom = loom.map(|lock| lock.lock().unwrap());
        Guard {
            value: self.value.lock(),
            _loom: loom,
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
