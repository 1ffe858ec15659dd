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
    since: Mutex<HashMap<String, Instant>>,
}

impl Emptied {
    /// With the time for which counts may lag behind.
    pub(crate) fn new(lag: Duration) -> Self {
        Self {
            lag,
            since: Mutex::default(),
        }
    }

    /// A queue is empty now: whether it has been so for as long as counts may lag.
    pub(crate) fn has_lasted(&self, url: &str) -> bool {
        let mut all = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let since = all.entry(url.to_owned()).or_insert_with(Instant::now);
        since.elapsed() >= self.lag
    }

    /// A queue is gone, or is not empty.
    pub(crate) fn forget(&self, url: &str) {
        let mut all = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_taken_for_empty_once_it_was_so_for_as_long_as_counts_may_lag() {
        let emptied = Emptied::new(Duration::from_millis(20));
        assert!(!emptied.has_lasted("orders"));
        std::thread::sleep(Duration::from_millis(20));
        assert!(emptied.has_lasted("orders"));
        // A message came.
        emptied.forget("orders");
        assert!(!emptied.has_lasted("orders"));
        assert!(Emptied::default().has_lasted("orders"));
    }
}
