//! Queues that are about to go, and since when they are empty.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// SQS's counts "may not achieve consistency until at least 1 minute after the producers stop sending messages" (GetQueueAttributes).
pub const COUNTS_LAG: Duration = Duration::from_secs(60);

/// Since when each queue, by its URL, was seen to be empty.
#[derive(Debug, Default)]
pub(crate) struct Emptied {
    lag: Duration,
    seen: Mutex<HashMap<String, Seen>>,
}

/// A queue that was seen to be empty whenever its deletion was tried.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Instant,
    last: Instant,
}

/// Between two tries of a deletion that goes on there are some seconds. After that long without one it was given up, and the queue may have
/// been used since.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 60);

impl Emptied {
    /// With the time for which counts may lag behind.
    pub(crate) fn new(lag: Duration) -> Self {
        Self {
            lag,
            seen: Mutex::default(),
        }
    }

    /// A queue is empty now: whether it has been so for as long as counts may lag.
    pub(crate) fn has_lasted(&self, url: &str) -> bool {
        self.has_lasted_at(url, Instant::now())
    }

    fn has_lasted_at(&self, url: &str, now: Instant) -> bool {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, seen| now.duration_since(seen.last) <= GIVEN_UP_AFTER);
        let seen = all.entry(url.to_owned()).or_insert(Seen {
            first: now,
            last: now,
        });
        seen.last = now;
        now.duration_since(seen.first) >= self.lag
    }

    /// A queue is gone, or is not empty.
    pub(crate) fn forget(&self, url: &str) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_taken_for_empty_once_it_was_so_for_as_long_as_counts_may_lag() {
        let emptied = Emptied::new(COUNTS_LAG);
        let start = Instant::now();
        let after = |lags: u32| start + COUNTS_LAG * lags;
        assert!(!emptied.has_lasted_at("orders", start));
        assert!(emptied.has_lasted_at("orders", after(1)));
        // A message came.
        emptied.forget("orders");
        assert!(!emptied.has_lasted_at("orders", after(1)));
        assert!(Emptied::default().has_lasted("orders"));
    }

    #[test]
    fn an_earlier_deletion_that_was_given_up_says_nothing() {
        let emptied = Emptied::new(COUNTS_LAG);
        let start = Instant::now();
        let later = start + GIVEN_UP_AFTER + COUNTS_LAG;
        assert!(!emptied.has_lasted_at("orders", start));
        assert!(!emptied.has_lasted_at("orders", later));
        assert!(emptied.has_lasted_at("orders", later + COUNTS_LAG));

        // A short lag is no shorter time to wait for the next try.
        let emptied = Emptied::new(Duration::from_secs(1));
        assert!(!emptied.has_lasted_at("orders", start));
        assert!(emptied.has_lasted_at("orders", start + Duration::from_secs(15)));
    }
}
