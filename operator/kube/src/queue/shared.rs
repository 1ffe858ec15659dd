//! A [`WorkQueue`] shared between the watches that feed it and the workers that empty it.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{Backoff, Lane, Snapshot, Taken, WorkQueue};
use crate::metrics::{QueueMetrics, QueueSource};

/// A handle to a shared work queue; clones are the same queue.
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    name: String,
    state: Mutex<WorkQueue<K>>,
    wake: Notify,
    metrics: QueueMetrics,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> fmt::Debug for Queue<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl<K> Shared<K> {
    fn state(&self) -> MutexGuard<'_, WorkQueue<K>> {
        // No code that can panic half-way through a change runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio's clock and not the system's, so that tests can steer it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<K: Clone + Eq + Hash + Send + 'static> Queue<K> {
    /// An empty queue whose metrics carry the label `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, metrics: &QueueMetrics) -> Self {
        let shared = Arc::new(Shared {
            name: name.into(),
            state: Mutex::new(WorkQueue::new()),
            wake: Notify::new(),
            metrics: metrics.clone(),
        });
        let source: Arc<dyn QueueSource> = shared.clone();
        metrics.observe(&source);
        Self { shared }
    }

    /// The name, as in the metric label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Triggers a pass now.
    pub fn add(&self, key: K, lane: Lane) {
        self.shared.state().add(key, lane, now());
        self.shared.wake.notify_one();
    }

    /// Triggers a pass after a delay, or earlier if something else triggers one.
    pub fn add_after(&self, key: K, lane: Lane, after: Duration) {
        let now = now();
        // A delay beyond what the clock can hold is a mistake of the caller; a year is as good as never.
        let at = now
            .checked_add(after)
            .unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        self.shared.state().add_at(key, lane, at, now);
        self.shared.wake.notify_one();
    }

    /// Waits for the next key. Dropping the future loses nothing; several tasks may wait at once.
    pub async fn next(&self) -> Taken<K> {
        loop {
            let woken = self.shared.wake.notified();
            let due = {
                let mut state = self.shared.state();
                if let Some(taken) = state.take(now()) {
                    let more = state.has_ready();
                    drop(state);
                    if more {
                        // One stored permit may stand for several additions: pass it on.
                        self.shared.wake.notify_one();
                    }
                    self.shared
                        .metrics
                        .queued(&self.shared.name, taken.lane, taken.waited);
                    return taken;
                }
                state.next_due()
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = woken => {}
                        () = tokio::time::sleep_until(due.into()) => {}
                    }
                }
                None => woken.await,
            }
        }
    }

    /// Ends the pass of a key.
    pub fn done(&self, key: &K) {
        let worked = self.shared.state().done(key, now());
        if let Some(worked) = worked {
            self.shared.metrics.worked(&self.shared.name, worked);
        }
        // Even if this key is not pending: a worker, or a place among the resync passes, has become free.
        self.shared.wake.notify_one();
    }

    /// Counts a failure of a key and triggers its retry; returns the delay.
    pub fn retry(&self, key: &K, backoff: &Backoff) -> Duration {
        let now = now();
        let mut state = self.shared.state();
        let delay = state.record_failure(key, now, backoff, rand::random());
        state.add_at(key.clone(), Lane::Edit, now + delay, now);
        drop(state);
        self.shared.wake.notify_one();
        delay
    }

    /// Counts a failure of a key without triggering a retry, where the caller knows better when to try again.
    pub fn record_failure(&self, key: &K, backoff: &Backoff) {
        self.shared
            .state()
            .record_failure(key, now(), backoff, rand::random());
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &K) {
        self.shared.state().forget(key);
    }

    /// How many passes of a key failed in a row.
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.shared.state().failures(key)
    }

    /// Bounds how many passes of the resync lane run at once.
    pub fn set_resync_limit(&self, limit: usize) {
        self.shared.state().set_resync_limit(limit);
    }

    /// What the queue holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state().snapshot(now())
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> QueueSource for Shared<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Snapshot {
        self.state().snapshot(now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<&'static str> {
        Queue::new("test", &QueueMetrics::default())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_delayed_key_and_no_longer() {
        let queue = queue();
        let started = tokio::time::Instant::now();
        queue.add_after("a", Lane::Resync, Duration::from_secs(60));
        assert_eq!(queue.next().await.key, "a");
        let elapsed = started.elapsed();
        assert!(
            elapsed >= Duration::from_secs(60) && elapsed < Duration::from_secs(61),
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_addition_wakes_a_waiter_that_sleeps_for_a_later_key() {
        let queue = queue();
        queue.add_after("late", Lane::Resync, Duration::from_secs(3600));
        let waiter = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await.key }
        });
        tokio::task::yield_now().await;
        queue.add("soon", Lane::Edit);
        assert_eq!(waiter.await.unwrap(), "soon");
    }

    #[tokio::test(start_paused = true)]
    async fn every_addition_is_taken_by_some_waiter() {
        let queue = queue();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await.key })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in ["a", "b", "c"] {
            queue.add(key, Lane::Edit);
        }
        let mut taken = Vec::new();
        for waiter in waiters {
            taken.push(waiter.await.unwrap());
        }
        taken.sort_unstable();
        assert_eq!(taken, ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_comes_back_within_its_backoff() {
        let queue = queue();
        queue.add("a", Lane::Resync);
        let taken = queue.next().await;
        let delay = queue.retry(&taken.key, &Backoff::default());
        queue.done(&taken.key);
        assert!(
            delay <= Duration::from_millis(500) && delay >= Duration::from_millis(400),
            "{delay:?}"
        );
        let again = queue.next().await;
        assert_eq!(
            (again.key, again.lane, again.failures),
            ("a", Lane::Edit, 1)
        );
    }
}
