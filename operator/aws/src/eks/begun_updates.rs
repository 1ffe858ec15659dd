//! Updates of node groups that this process began, and what became of them.
//!
//! EKS goes back to the old version when an update fails, and the group then looks as if nobody had ever asked for another: why it failed
//! stands in the update alone.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use shopkeeper_plan::aws::NodeGroup;

/// For how long an update that failed is not begun again, from when that was seen. Each takes nodes up and down for a quarter of an hour or
/// more, and what it failed for is mostly a person's to mend.
const NOT_AGAIN: Duration = Duration::from_secs(60 * 60);
/// For how long an update is remembered: one of a large group takes hours.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What an update was to bring, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    version: Option<String>,
    release_version: Option<String>,
    force: bool,
}

impl Target {
    fn of(desired: &NodeGroup) -> Self {
        Self {
            version: desired.version.clone(),
            release_version: desired.release_version.clone(),
            force: desired.force_update,
        }
    }
}

#[derive(Clone, Debug)]
struct Begun {
    id: String,
    target: Target,
    at: Instant,
    /// When it was seen to have failed.
    failed: Option<Instant>,
}

/// The last update of each node group, by cluster and name. A process that starts anew knows none, and may begin a failed one once more.
#[derive(Debug, Default)]
pub(crate) struct BegunUpdates {
    last: Mutex<HashMap<(String, String), Begun>>,
}

impl BegunUpdates {
    /// An update was begun that is to bring what is desired.
    pub(super) fn begin(&self, desired: &NodeGroup, id: String) {
        self.begin_at(desired, id, Instant::now());
    }

    fn begin_at(&self, desired: &NodeGroup, id: String, now: Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, begun| now.duration_since(begun.at) < REMEMBERED);
        let begun = Begun {
            id,
            target: Target::of(desired),
            at: now,
            failed: None,
        };
        last.insert(key(desired), begun);
    }

    /// The id of the update that was to bring the same in the same way, unless it failed so long ago that it may be begun again.
    pub(super) fn of_the_same(&self, desired: &NodeGroup) -> Option<String> {
        self.of_the_same_at(desired, Instant::now())
    }

    fn of_the_same_at(&self, desired: &NodeGroup, now: Instant) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = last.get(&key(desired))?;
        let is_over = |failed: Instant| now.duration_since(failed) >= NOT_AGAIN;
        let may_be_begun_again = begun.failed.is_some_and(is_over);
        (!may_be_begun_again && begun.target == Target::of(desired)).then(|| begun.id.clone())
    }

    /// An update was seen to have failed.
    pub(super) fn failed(&self, group: &NodeGroup, id: &str) {
        self.failed_at(group, id, Instant::now());
    }

    fn failed_at(&self, group: &NodeGroup, id: &str, now: Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = last.get_mut(&key(group)).filter(|begun| begun.id == id) {
            begun.failed.get_or_insert(now);
        }
    }
}

fn key(group: &NodeGroup) -> (String, String) {
    (group.cluster.clone(), group.name.clone())
}

#[cfg(test)]
mod tests {
    use super::{super::node_group::tests::group, *};

    #[test]
    fn an_update_is_known_until_an_hour_after_it_failed_and_to_the_same_wish() {
        let updates = BegunUpdates::default();
        let now = Instant::now();
        let mut desired = group(1, 3, None);
        desired.version = Some("1.36".into());
        updates.begin_at(&desired, "first".into(), now);
        // One of a large group fails late.
        let seen = now + Duration::from_secs(3 * 60 * 60);
        updates.failed_at(&desired, "first", seen);
        let almost = seen + NOT_AGAIN - Duration::from_secs(1);
        updates.failed_at(&desired, "first", almost);
        let known = |at| updates.of_the_same_at(&desired, at);
        assert_eq!(known(almost).as_deref(), Some("first"));
        assert_eq!(known(seen + NOT_AGAIN), None);
        desired.force_update = true;
        assert_eq!(updates.of_the_same_at(&desired, now), None);
        desired.force_update = false;
        desired.release_version = Some("1.36.1-20261001".into());
        assert_eq!(updates.of_the_same_at(&desired, now), None);
        updates.begin_at(&desired, "second".into(), now);
        assert_eq!(
            updates.of_the_same_at(&desired, now).as_deref(),
            Some("second")
        );
    }
}
