//! What this process knows and the caches may not know yet.
//!
//! A cache lags behind the writes of the process that reads it. Deciding on an inventory that misses the last write would
//! forget a resource; deciding on objects that miss it would write them again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::{ResourceExt, core::DynamicObject};
use serde_json::Value;
use shopkeeper_aws::Parts;
use shopkeeper_plan::resource::ResourceKey;

/// For how long AWS has to say that a resource is not there before it counts as gone. Longer than the seconds for which
/// DynamoDB, IAM and SQS are documented to answer as before a write.
pub const CONFIRMATION: Duration = Duration::from_secs(5);

/// For how long a custom resource that was ready stays so while AWS does not tell of some of its resources. Longer than throttling and
/// the failovers inside AWS last, and shorter than anybody wants to go without knowing.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

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
    status: Option<Value>,
    /// What a look goes on with.
    look: Option<Look>,
    /// What was told by lookups that belong to no resource.
    parts: Parts,
    /// Objects as they were after our last write; `None` for one that we deleted.
    objects: HashMap<ResourceKey, Written>,
    /// Uids of objects that the watch saw go: the answer to an apply may come later.
    gone: HashMap<ResourceKey, String>,
    waits: u32,
    /// Since when AWS does not tell of everything.
    unseen: Option<Instant>,
    /// Since when AWS says of a resource that it is not there.
    absent: HashMap<ResourceKey, Instant>,
    /// What the last pass tried, and how often in a row it was the same.
    steps: (Vec<String>, u32),
}

#[derive(Debug)]
enum Written {
    Applied(Box<DynamicObject>),
    Deleted { uid: String },
}

/// Memory by the uid of the custom resource.
#[derive(Debug, Default)]
pub struct Memory {
    of: Mutex<HashMap<String, Remembered>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status that was written last, if this process wrote one.
    pub fn status(&self, uid: &str) -> Option<Value> {
        self.lock()
            .get(uid)
            .and_then(|remembered| remembered.status.clone())
    }

    /// Remembers the status that was written.
    pub fn wrote_status(&self, uid: &str, status: Value) {
        self.lock().entry(uid.to_owned()).or_default().status = Some(status);
    }

    /// Remembers an object as the API server answered an apply.
    pub fn applied(&self, uid: &str, key: &ResourceKey, object: DynamicObject) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        let gone = remembered.gone.remove(key);
        if gone.is_none() || gone != object.uid() {
            remembered
                .objects
                .insert(key.clone(), Written::Applied(Box::new(object)));
        }
    }

    /// A custom resource is about to be worked on: from here on the deletions of its objects are noted.
    pub fn begin(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default();
    }

    /// Remembers that an object was deleted.
    pub fn deleted(&self, uid: &str, key: &ResourceKey, object_uid: &str) {
        self.lock()
            .entry(uid.to_owned())
            .or_default()
            .objects
            .insert(
                key.clone(),
                Written::Deleted {
                    uid: object_uid.to_owned(),
                },
            );
    }

    /// The newer of what the cache holds and what this process wrote. Forgets the write once the cache has caught up.
    pub fn newest(
        &self,
        uid: &str,
        key: &ResourceKey,
        cached: Option<DynamicObject>,
    ) -> Option<DynamicObject> {
        let mut all = self.lock();
        let Some(remembered) = all.get_mut(uid) else {
            return cached;
        };
        match remembered.objects.get(key) {
            None => cached,
            Some(Written::Applied(written)) => {
                if cached
                    .as_ref()
                    .is_some_and(|cached| !is_older(cached, written))
                {
                    remembered.objects.remove(key);
                    return cached;
                }
                // Not arrived yet. One that was deleted meanwhile is forgotten by the watch that sees it go.
                Some((**written).clone())
            }
            Some(Written::Deleted { uid: deleted }) => match &cached {
                Some(object)
                    if object.uid().as_deref() == Some(deleted)
                        && object.metadata.deletion_timestamp.is_none() =>
                {
                    None
                }
                _ => {
                    remembered.objects.remove(key);
                    cached
                }
            },
        }
    }

    /// Forgets what was written to an object, because its cache reported a deletion. That may be seen before the answer to the
    /// apply, which then is not remembered either: no watch would ever tell of it again.
    pub fn forget_object(&self, uid: &str, key: &ResourceKey, object_uid: Option<String>) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.objects.remove(key);
            if let Some(object_uid) = object_uid {
                remembered.gone.insert(key.clone(), object_uid);
            }
        }
    }

    /// For how long in a row AWS has not told of everything.
    pub fn unseen_for(&self, uid: &str, partial: bool) -> Duration {
        let mut all = self.lock();
        let unseen = &mut all.entry(uid.to_owned()).or_default().unseen;
        if !partial {
            *unseen = None;
            return Duration::ZERO;
        }
        unseen.get_or_insert_with(Instant::now).elapsed()
    }

    /// The keys of which AWS has said for [`CONFIRMATION`] that they are not there. Every key that is there again starts anew.
    pub fn confirm_absent(
        &self,
        uid: &str,
        absent: &BTreeSet<ResourceKey>,
    ) -> BTreeSet<ResourceKey> {
        let mut all = self.lock();
        let since = &mut all.entry(uid.to_owned()).or_default().absent;
        since.retain(|key, _| absent.contains(key));
        let now = Instant::now();
        absent
            .iter()
            .filter(|key| {
                now.duration_since(*since.entry((*key).clone()).or_insert(now)) >= CONFIRMATION
            })
            .cloned()
            .collect()
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

    /// What was told by lookups of a custom resource that belong to none of its resources.
    pub fn parts(&self, uid: &str) -> Parts {
        self.lock().entry(uid.to_owned()).or_default().parts.clone()
    }

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

    /// How often in a row a pass took just these steps. AWS that accepts a change and keeps the old value (a policy it
    /// writes in another way, a second operator), or goes on showing what it deletes, must not be written to twenty times a
    /// second.
    pub fn repeated(&self, uid: &str, steps: Vec<String>) -> u32 {
        let mut all = self.lock();
        let (last, count) = &mut all.entry(uid.to_owned()).or_default().steps;
        if !steps.is_empty() && *last == steps {
            *count = count.saturating_add(1);
        } else {
            *last = steps;
            *count = 0;
        }
        *count
    }

    /// Forgets a custom resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// Whether `one` was read before `other` was written. Since Kubernetes 1.35 resource versions of one kind may be compared as
/// numbers; where one is no number, the cache counts as current.
fn is_older(one: &DynamicObject, other: &DynamicObject) -> bool {
    let number = |object: &DynamicObject| {
        object
            .resource_version()
            .and_then(|version| version.parse::<u128>().ok())
    };
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::kubernetes::KubernetesKind;

    use super::*;

    fn object(uid: &str) -> DynamicObject {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "orders", "uid": uid, "resourceVersion": "7"},
        }))
        .unwrap()
    }

    #[test]
    fn a_deletion_that_is_seen_before_the_answer_to_the_apply_holds() {
        let memory = Memory::default();
        let key = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
        memory.begin("shop");
        memory.forget_object("shop", &key, Some("first".into()));
        memory.applied("shop", &key, object("first"));
        assert_eq!(memory.newest("shop", &key, None), None);
        // The next one of that name is another one.
        memory.applied("shop", &key, object("second"));
        assert!(memory.newest("shop", &key, None).is_some());
    }

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

    #[test]
    fn patience_starts_anew_once_everything_was_seen() {
        let memory = Memory::default();
        memory.unseen_for("shop", true);
        let since = memory.lock()["shop"].unseen;
        memory.unseen_for("shop", true);
        assert_eq!(memory.lock()["shop"].unseen, since);
        memory.unseen_for("shop", false);
        assert_eq!(memory.lock()["shop"].unseen, None);
    }
}
