//! A timer for silence: it reports when nothing has happened for a given time.
//!
//! Streams are active far more often than they are silent, so activity has to be cheap.
//! [`IdleTimer`] owns one long-lived [`Sleep`] and looks at it only when it fires: then it either
//! reports the silence or sleeps on until the silence would be long enough. Activity only notes
//! the time; it does not touch tokio's timer wheel, which is behind a lock.
//!
//! The generation uses it for upstream's silence, the viewer for its pings. This module knows
//! neither.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Reports when nothing has happened for `limit`.
#[derive(Debug)]
pub struct IdleTimer {
    limit: Duration,
    touched: Instant,
    /// Fires no later than `touched + limit`.
    sleep: Pin<Box<Sleep>>,
}

impl IdleTimer {
    /// A timer for silences of `limit`, the first of which begins now.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let touched = Instant::now();
        Self {
            limit,
            touched,
            sleep: Box::pin(sleep_until(touched + limit)),
        }
    }

    /// Ends the silence: the next one begins now. Costs one reading of the clock.
    pub fn touch(&mut self) {
        self.touched = Instant::now();
    }

    /// Changes the limit. The silence begins now. Unlike [`touch`](Self::touch) this sets the
    /// underlying timer, so it is for changes of phase and not for every event.
    pub fn restart(&mut self, limit: Duration) {
        self.limit = limit;
        self.touch();
        self.sleep.as_mut().reset(self.touched + limit);
    }

    /// Ready while the silence has lasted for the limit. Until then it wakes the task in time.
    pub fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let due = self.touched + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Resolves once the silence has lasted for the limit.
    pub async fn elapsed(&mut self) {
        std::future::poll_fn(|cx| self.poll_elapsed(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_reported_when_it_has_lasted_for_the_limit() {
        let begun = Instant::now();
        let mut timer = IdleTimer::new(LIMIT);
        timer.elapsed().await;
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_counted_from_the_last_touch() {
        let mut timer = IdleTimer::new(LIMIT);
        for _ in 0..30 {
            tokio::time::advance(SECOND).await;
            timer.touch();
        }
        let touched = Instant::now();
        timer.elapsed().await;
        assert_eq!(touched.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_goes_on_is_reported_until_it_is_touched() {
        let mut timer = IdleTimer::new(LIMIT);
        for _ in 0..3 {
            let begun = Instant::now();
            timer.elapsed().await;
            assert_eq!(begun.elapsed(), LIMIT);
            timer.elapsed().await;
            assert_eq!(begun.elapsed(), LIMIT);
            timer.touch();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_changes_the_limit_in_either_direction() {
        let mut timer = IdleTimer::new(LIMIT);
        for limit in [SECOND, LIMIT * 3, SECOND * 2] {
            tokio::time::advance(SECOND / 2).await;
            timer.restart(limit);
            let begun = Instant::now();
            timer.elapsed().await;
            assert_eq!(begun.elapsed(), limit);
        }
    }

    /// A waker that counts.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_it_is_touched_the_timer_fires_once_a_limit() {
        let mut timer = IdleTimer::new(LIMIT);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        for _ in 0..1_000 {
            assert!(
                timer
                    .poll_elapsed(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            timer.touch();
            tokio::time::advance(SECOND / 10).await;
        }
        // 100 seconds.
        let fired = count.0.load(Ordering::SeqCst);
        assert!((8..=11).contains(&fired), "{fired}");
    }
}
