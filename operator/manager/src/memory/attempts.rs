//! What was tried again and again, and when it is tried next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use shopkeeper_plan::{
    failure::{Class, retry_after},
    observed::{Lifecycle, Observation, Observed},
    resource::ResourceKey,
};

use super::{Attempt, Memory};

/// What was tried last with a resource.
#[derive(Debug)]
pub(super) struct Tried {
    /// The attempt, as [`attempts`](shopkeeper_plan::attempts::attempts) tells it.
    what: String,
    /// When it was tried first.
    since: Instant,
    /// When it was tried last.
    last: Instant,
    /// How often in a row it was tried since.
    times: u32,
}

/// What was tried that long ago is not in a row with what is tried now. A resource may have something else to wait for all the time, and
/// the same drift once a day; AWS works on no change for so long.
const ROW_ENDS_AFTER: Duration = Duration::from_secs(60 * 60);

impl Tried {
    fn is_in_a_row_with(&self, attempt: &str, now: Instant) -> bool {
        self.what == attempt && now.duration_since(self.last) < ROW_ENDS_AFTER
    }
}

impl Memory {
    /// Counts another wait in a row.
    pub fn waited(&self, uid: &str) -> u32 {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.waits = remembered.waits.saturating_add(1);
        remembered.waits - 1
    }

    /// Something moved: the next wait is short again.
    pub fn moved(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default().waits = 0;
    }

    /// How often in a row the steps of a pass were tried before; the least of them, since what is new may be followed by more at once.
    /// AWS that accepts a change and keeps the old value (a policy it writes in another way, a second operator), or goes on showing
    /// what it deletes, must not be written to twenty times a second. What is at rest is forgotten: drift that is repaired every ten
    /// minutes does not come in a row.
    pub fn repeated(&self, uid: &str, tried: BTreeMap<ResourceKey, Option<String>>) -> u32 {
        let mut all = self.lock();
        let attempts = &mut all.entry(uid.to_owned()).or_default().attempts;
        attempts.retain(|key, _| tried.contains_key(key));
        let mut least = None;
        for (key, attempt) in tried {
            // It waits for something: what was tried before may be tried again afterwards.
            let Some(attempt) = attempt else { continue };
            let now = Instant::now();
            let tried = match attempts.remove(&key) {
                Some(tried) if tried.is_in_a_row_with(&attempt, now) => Tried {
                    times: tried.times.saturating_add(1),
                    last: now,
                    ..tried
                },
                _ => Tried {
                    what: attempt,
                    since: now,
                    last: now,
                    times: 0,
                },
            };
            least = Some(least.map_or(tried.times, |least: u32| least.min(tried.times)));
            attempts.insert(key, tried);
        }
        least.unwrap_or(0)
    }

    /// How often in a row the same as this was tried before with its resource, and for how long. Whoever asks for a pass after a refusal
    /// has mended something: what was before that does not count.
    pub fn tried_before(&self, uid: &str, attempt: &Attempt) -> (u32, Duration) {
        let all = self.lock();
        let Some(remembered) = all.get(uid) else {
            return Default::default();
        };
        let refusal = remembered.refusals.get(&attempt.key);
        if refusal.is_some_and(|refusal| attempt.is_asked_for_after(refusal)) {
            return Default::default();
        }
        match remembered.attempts.get(&attempt.key) {
            Some(tried) if tried.is_in_a_row_with(&attempt.what, Instant::now()) => {
                (tried.times.saturating_add(1), tried.since.elapsed())
            }
            _ => Default::default(),
        }
    }

    /// Those of what AWS could not delete that are not to be deleted again yet: the first time after some seconds, so that it is told
    /// before, then less and less often. `observed` is all that AWS told of; what is there and works, or is gone, starts anew.
    pub fn not_yet(&self, uid: &str, observed: &Observed, seed: u64) -> BTreeSet<ResourceKey> {
        let mut all = self.lock();
        let deletions = &mut all.entry(uid.to_owned()).or_default().deletions;
        deletions.retain(|key, _| {
            observed.present(key).is_none_or(|present| {
                matches!(
                    present.lifecycle,
                    Lifecycle::Deleting | Lifecycle::DeletionFailed(_)
                )
            }) && !matches!(observed.aws.get(key), Some(Observation::Absent))
        });
        let now = Instant::now();
        observed
            .aws
            .keys()
            .filter(|key| {
                observed.present(key).is_some_and(|present| {
                    matches!(present.lifecycle, Lifecycle::DeletionFailed(_))
                })
            })
            .filter(|key| {
                let (since, times) = *deletions.entry((*key).clone()).or_insert((now, 0));
                now.duration_since(since) < retry_after(Class::Invalid, times, seed)
            })
            .cloned()
            .collect()
    }

    /// What AWS could not delete was deleted again.
    pub fn deleted_again(&self, uid: &str, key: &ResourceKey) {
        if let Some(remembered) = self.lock().get_mut(uid)
            && let Some((since, times)) = remembered.deletions.get_mut(key)
        {
            *since = Instant::now();
            *times = times.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::{failure::Failure, kubernetes::KubernetesKind};

    use super::*;

    #[test]
    fn the_same_once_a_day_is_no_row() {
        let now = Instant::now();
        let tried = Tried {
            what: "one".into(),
            since: now,
            last: now,
            times: 0,
        };
        let soon = now + ROW_ENDS_AFTER - Duration::from_secs(1);
        assert!(tried.is_in_a_row_with("one", soon));
        assert!(!tried.is_in_a_row_with("other", soon));
        assert!(!tried.is_in_a_row_with("one", now + ROW_ENDS_AFTER));
    }

    #[test]
    fn only_the_same_with_nothing_in_between_comes_in_a_row() {
        let memory = Memory::default();
        let key = |name: &str| ResourceKey::kubernetes(KubernetesKind::Service, name);
        let repeated = |tried: &[(&str, Option<&str>)]| {
            let tried = tried
                .iter()
                .map(|(name, attempt)| (key(name), attempt.map(str::to_owned)));
            memory.repeated("shop", tried.collect())
        };
        assert_eq!(repeated(&[("a", Some("one"))]), 0);
        assert_eq!(repeated(&[("a", Some("one"))]), 1);
        // AWS works on it, and shows the old value afterwards.
        assert_eq!(repeated(&[("a", None)]), 0);
        assert_eq!(repeated(&[("a", Some("one"))]), 2);
        let before = |what: &str| {
            let attempt = Attempt {
                key: key("a"),
                what: what.to_owned(),
                requested: None,
                deletes: false,
            };
            memory.tried_before("shop", &attempt).0
        };
        assert_eq!((before("one"), before("other")), (3, 0));
        let mut asked = Attempt {
            key: key("a"),
            what: "one".into(),
            requested: Some("first".into()),
            deletes: false,
        };
        let refused = Failure::new(Class::Invalid, "is put back");
        memory.was_tried("shop", asked.clone(), Some(&refused));
        assert_eq!(memory.tried_before("shop", &asked).0, 3);
        asked.requested = Some("again".into());
        assert_eq!(memory.tried_before("shop", &asked).0, 0);
        // Something else is new, and what follows from it must not wait.
        assert_eq!(repeated(&[("a", Some("one")), ("b", Some("one"))]), 0);
        assert_eq!(repeated(&[("a", Some("one")), ("b", Some("one"))]), 1);
        assert_eq!(repeated(&[("a", Some("other"))]), 0);
        // A pass that found nothing to do, and the same drift ten minutes later.
        assert_eq!(repeated(&[]), 0);
        assert_eq!(repeated(&[("a", Some("other"))]), 0);
    }
}
