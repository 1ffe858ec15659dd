//! What this process knows and the caches may not know yet.
//!
//! A cache lags behind the writes of the process that reads it. Deciding on an inventory that misses the last write would
//! forget a resource; deciding on objects that miss it would write them again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use shopkeeper_aws::Parts;
use shopkeeper_kube::{packed::PackedValue, status::StatusWriter};
use shopkeeper_plan::{last_seen::LastSeen, resource::ResourceKey};

use crate::names::Names;

mod attempts;
mod objects;
mod refusals;
mod searches;
mod silence;

use objects::Written;
pub use refusals::{Attempt, is_remembered};
pub use searches::Search;
pub use silence::CONFIRMATION;

/// For how long a look may go on over several passes, before what it saw first counts as old.
pub const LONGEST_LOOK: Duration = Duration::from_secs(3 * 60);

/// A look at AWS that was sent away before it had seen everything.
#[derive(Debug)]
struct Look {
    since: Instant,
    /// The request that it answers.
    requested: Option<String>,
}

#[derive(Debug, Default)]
struct Remembered {
    status: Option<PackedValue>,
    /// What a look goes on with.
    look: Option<Look>,
    /// When the next look for drift is due.
    resync: Option<Instant>,
    /// What was told by lookups that belong to no resource.
    parts: Parts,
    /// Objects as they were after our last write; `None` for one that we deleted.
    objects: HashMap<ResourceKey, Written>,
    /// Uids of objects that the watch saw go: the answer to an apply may come later.
    gone: HashMap<ResourceKey, String>,
    waits: u32,
    /// What was known of each AWS resource when it was looked at last; `None` where it was not as desired.
    seen: BTreeMap<ResourceKey, Option<LastSeen>>,
    /// Since when AWS does not tell of a resource, or, without a key, of what has to be known before anything can be resolved.
    silent: HashMap<Option<ResourceKey>, Instant>,
    /// Since when AWS says of a resource that it is not there.
    absent: HashMap<ResourceKey, Instant>,
    /// Since when pods of a Deployment that is to go run on.
    left: HashMap<ResourceKey, Instant>,
    /// When AWS was last asked to delete what it could not delete, or was seen not to, and how often in a row it was asked again.
    deletions: HashMap<ResourceKey, (Instant, u32)>,
    /// What a person has to mend before it is worth trying again.
    refusals: HashMap<ResourceKey, refusals::Refusal>,
    /// What was searched for that no inventory has.
    searches: searches::Searches,
    /// What was tried last with each resource that is not at rest.
    attempts: HashMap<ResourceKey, attempts::Tried>,
}

/// Memory by the uid of the custom resource.
#[derive(Debug, Default)]
pub struct Memory {
    of: Mutex<HashMap<String, Remembered>>,
    statuses: StatusWriter,
    names: Names,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status that was written last, if this process wrote one.
    pub fn status(&self, uid: &str) -> Option<PackedValue> {
        self.lock()
            .get(uid)
            .and_then(|remembered| remembered.status.clone())
    }

    /// Remembers the status that was written.
    pub fn wrote_status(&self, uid: &str, status: &Value) {
        let status = PackedValue::of(status);
        self.lock().entry(uid.to_owned()).or_default().status = Some(status);
    }

    /// A custom resource is about to be worked on: from here on the deletions of its objects are noted.
    pub fn begin(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default();
    }

    /// Since when answers of AWS count: since the beginning of the look that this pass goes on with, else from now on. A new
    /// request is not answered by what was seen before it.
    pub fn looking_since(&self, uid: &str, requested: Option<&str>) -> Instant {
        let mut all = self.lock();
        let look = &mut all.entry(uid.to_owned()).or_default().look;
        if look.as_ref().is_some_and(|look| {
            look.requested.as_deref() != requested || look.since.elapsed() >= LONGEST_LOOK
        }) {
            *look = None;
        }
        look.get_or_insert_with(|| Look {
            since: Instant::now(),
            requested: requested.map(str::to_owned),
        })
        .since
    }

    /// Everything was told that AWS would tell: the next pass looks anew.
    pub fn looked(&self, uid: &str) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.look = None;
        }
    }

    /// When the next look for drift is due: at `at` if this one `was_one`, else when it was due before. An edit does not put it off, as
    /// it does not look at everything.
    pub fn next_resync(&self, uid: &str, at: Instant, was_one: bool) -> Instant {
        let mut all = self.lock();
        let resync = &mut all.entry(uid.to_owned()).or_default().resync;
        if was_one {
            *resync = Some(at);
        }
        *resync.get_or_insert(at)
    }

    /// What was told by lookups of a custom resource that belong to none of its resources.
    pub fn parts(&self, uid: &str) -> Parts {
        self.lock().entry(uid.to_owned()).or_default().parts.clone()
    }

    /// Writes statuses, and remembers what it wrote for as long as the rest is remembered.
    pub fn statuses(&self) -> &StatusWriter {
        &self.statuses
    }

    /// The names that custom resources of this process have taken, for as long as the rest is remembered.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Forgets a custom resource that is gone: after its end, or when its watch sees it go, since somebody may take our finalizer off. A
    /// pass that is under way then may remember something once more, and forgets it when it ends.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
        self.statuses.forget(uid);
        self.names.forget(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_goes_on_until_it_has_seen_everything_or_something_new_is_asked() {
        let memory = Memory::default();
        let first = memory.looking_since("shop", None);
        assert_eq!(memory.looking_since("shop", None), first);
        let requested = memory.looking_since("shop", Some("now"));
        assert!(requested > first);
        assert_eq!(memory.looking_since("shop", Some("now")), requested);
        memory.looked("shop");
        assert!(memory.looking_since("shop", Some("now")) > requested);
    }
}
