//! The lock of a log: parking_lot's, except in a unit test that runs the log in every order that
//! its threads can take. There it is the model checker's, and nothing else of the log is changed.

#[cfg(test)]
pub(super) use explored::{Mutex, explore};
#[cfg(not(test))]
pub(super) use parking_lot::Mutex;

#[cfg(test)]
mod explored {
    use std::{
        cell::Cell,
        ops::{Deref, DerefMut},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    thread_local! {
        // The checker runs all threads of a model on the thread that asked for it.
        static EXPLORING: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `model` in every order that its threads can take, in which a thread is interrupted
    /// where it could have gone on `interruptions` times at most; returns how many orders there
    /// were.
    pub(in crate::store) fn explore(
        interruptions: Option<usize>,
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
        builder.preemption_bound = interruptions;
        builder.check(move || {
            count.fetch_add(1, Ordering::Relaxed);
            model();
        });
        orders.load(Ordering::Relaxed)
    }

    /// A lock that the checker sees if it is made within a model.
    #[derive(Debug)]
    pub(in crate::store) struct Mutex<T> {
        seen: Option<loom::sync::Mutex<()>>,
        value: parking_lot::Mutex<T>,
    }

    pub(in crate::store) struct Guard<'a, T> {
        // Let go of first: as soon as the checker knows, another thread may come.
        value: parking_lot::MutexGuard<'a, T>,
        _seen: Option<loom::sync::MutexGuard<'a, ()>>,
    }

    impl<T> Mutex<T> {
        pub(in crate::store) fn new(value: T) -> Self {
            Self {
                seen: EXPLORING.get().then(|| loom::sync::Mutex::new(())),
                value: parking_lot::Mutex::new(value),
            }
        }

        pub(in crate::store) fn lock(&self) -> Guard<'_, T> {
            // Once the checker has found a deadlock it takes no more locks, but readers are dropped.
            let seen = self.seen.as_ref().filter(|_| !std::thread::panicking());
            let seen = seen.map(|seen| seen.lock().unwrap());
            Guard {
                value: self.value.lock(),
                _seen: seen,
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
}
