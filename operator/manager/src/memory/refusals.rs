//! Steps that were refused for a reason that waiting does not mend, and when each is tried again. A custom resource has other things that
//! bring its passes back within seconds, such as a Deployment whose pods wait for just that; AWS is not told the same each time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use shopkeeper_plan::{
    failure::{Class, Failure, retry_after},
    resource::ResourceKey,
};

use super::Memory;

/// What is tried with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The resource.
    pub key: ResourceKey,
    /// What is tried, as [`attempt_of`](shopkeeper_plan::attempts::attempt_of) tells it: after an edit it is something else.
    pub what: String,
    /// The request that the pass answers: whoever asks for one has mended something, and is not kept waiting.
    pub requested: Option<String>,
    /// Whether the resource is to be deleted.
    pub deletes: bool,
}

impl Attempt {
    /// Whether somebody asked for it since it was refused. Who asked for a pass was answered by it: the next passes of nobody's asking are
    /// no new request.
    pub(super) fn is_asked_for_after(&self, refusal: &Refusal) -> bool {
        self.requested.is_some() && self.requested != refusal.attempt.requested
    }
}

/// Whether a step that failed so is not taken with every pass: a person has to act first, or the API asked for fewer calls. What the budget
/// held back was not sent at all.
pub fn is_remembered(failure: &Failure) -> bool {
    let is_throttled = failure.class == Class::Throttled && !failure.is_budget_spent();
    failure.class.needs_a_person() || is_throttled
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    attempt: Attempt,
    failure: Failure,
    since: Instant,
    /// How often in a row it was refused before.
    times: u32,
}

impl Refusal {
    /// Whether an attempt is the one that was refused.
    fn is_of(&self, attempt: &Attempt) -> bool {
        self.attempt.what == attempt.what && !attempt.is_asked_for_after(self)
    }

    /// How long it is too early to try again.
    fn rest(&self, seed: u64) -> Duration {
        let wait = retry_after(self.failure.class, self.times, seed);
        self.failure
            .as_asked(wait)
            .saturating_sub(self.since.elapsed())
    }
}

impl Memory {
    /// Why an attempt was refused, where it is too early to try again: less and less often, as the class of the failure says.
    pub fn refused_lately(&self, uid: &str, attempt: &Attempt, seed: u64) -> Option<Failure> {
        let mut all = self.lock();
        let refusals = &all.entry(uid.to_owned()).or_default().refusals;
        let refusal = refusals.get(&attempt.key)?;
        (refusal.is_of(attempt) && !refusal.rest(seed).is_zero()).then(|| refusal.failure.clone())
    }

    /// When the first of the refused attempts is tried again: one clock for the pass and for its steps. `None` where nothing is refused,
    /// or where it is time already.
    pub fn next_try(&self, uid: &str, seed: u64) -> Option<Duration> {
        let all = self.lock();
        let refusals = all.get(uid)?.refusals.values();
        let rests = refusals.map(|refusal| refusal.rest(seed));
        rests.filter(|rest| !rest.is_zero()).min()
    }

    /// Deletions that were refused for a reason that a person has to mend: they hold up only what they need.
    pub fn refused_deletions(&self, uid: &str) -> BTreeSet<ResourceKey> {
        let all = self.lock();
        let refusals = all.get(uid).into_iter().flat_map(|of| of.refusals.values());
        let lasting = refusals
            .filter(|refusal| refusal.attempt.deletes && refusal.failure.class.needs_a_person());
        lasting.map(|refusal| refusal.attempt.key.clone()).collect()
    }

    /// What came of an attempt. Whatever mends itself is forgotten: it comes back as the pass does.
    pub fn was_tried(&self, uid: &str, attempt: Attempt, failure: Option<&Failure>) {
        let mut all = self.lock();
        let refusals = &mut all.entry(uid.to_owned()).or_default().refusals;
        let before = refusals.remove(&attempt.key);
        let Some(failure) = failure.filter(|failure| is_remembered(failure)) else {
            return;
        };
        let times = before
            .filter(|before| before.attempt.what == attempt.what)
            .map_or(0, |before| before.times.saturating_add(1));
        let key = attempt.key.clone();
        let refusal = Refusal {
            attempt,
            failure: failure.clone(),
            since: Instant::now(),
            times,
        };
        refusals.insert(key, refusal);
    }
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::aws::AwsKind;

    use super::*;

    #[test]
    fn what_a_person_has_to_mend_is_not_tried_with_every_pass() {
        let memory = Memory::default();
        let key = ResourceKey::aws(AwsKind::RdsInstance, "orders");
        let attempt = |what: &str, requested: Option<&str>| Attempt {
            key: key.clone(),
            what: what.to_owned(),
            requested: requested.map(str::to_owned),
            deletes: what == "delete",
        };
        let lately = |attempt: &Attempt| memory.refused_lately("shop", attempt, 7);
        let refused = Failure::new(Class::Invalid, "no such class");
        let first = attempt("create", None);
        assert_eq!(lately(&first), None);
        memory.was_tried("shop", first.clone(), Some(&refused));
        assert_eq!(lately(&first), Some(refused.clone()));
        // An edit, a request, another custom resource.
        assert_eq!(lately(&attempt("create another", None)), None);
        assert_eq!(lately(&attempt("create", Some("now"))), None);
        assert_eq!(memory.refused_lately("other", &first, 7), None);
        let half_a_minute = Duration::from_secs(30);
        let wait = memory.next_try("shop", 7);
        assert!(wait.is_some_and(|wait| wait <= half_a_minute), "{wait:?}");
        // It is refused again after half a minute, and then tried less often.
        memory.was_tried("shop", first.clone(), Some(&refused));
        assert_eq!(memory.lock()["shop"].refusals[&key].times, 1);
        // A request is answered once, and the time between two tries goes on to grow.
        let asked = attempt("create", Some("now"));
        memory.was_tried("shop", asked.clone(), Some(&refused));
        assert_eq!(lately(&asked), Some(refused.clone()));
        assert_eq!(lately(&first), Some(refused.clone()));
        let wait = memory.next_try("shop", 7);
        assert!(wait.is_some_and(|wait| wait > half_a_minute), "{wait:?}");
        assert!(memory.refused_deletions("shop").is_empty());
        memory.was_tried("shop", attempt("delete", None), Some(&refused));
        assert!(memory.refused_deletions("shop").contains(&key));
        // The API asked for fewer calls.
        let throttled = Failure::new(Class::Throttled, "Rate exceeded");
        memory.was_tried("shop", first.clone(), Some(&throttled));
        assert_eq!(lately(&first), Some(throttled));
        // What mends itself is tried as often as passes come, and what was accepted is no refusal.
        let busy = Failure::new(Class::NotReady, "is being modified");
        for outcome in [Some(&busy), None] {
            memory.was_tried("shop", first.clone(), Some(&refused));
            memory.was_tried("shop", first.clone(), outcome);
            assert_eq!(lately(&first), None);
            assert_eq!(memory.next_try("shop", 7), None);
        }
    }
}
