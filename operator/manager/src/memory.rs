//! What this process knows and the caches may not know yet.
//!
//! A cache lags behind the writes of the process that reads it. Deciding on an inventory that misses the last write would
//! forget a resource; deciding on objects that miss it would write them again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{ResourceExt, core::DynamicObject};
use serde_json::Value;
use shopkeeper_aws::Parts;
use shopkeeper_kube::status::StatusWriter;
use shopkeeper_plan::{
    failure::{Class, retry_after},
    last_seen::LastSeen,
    observed::{Lifecycle, Observation, Observed},
    resource::{ResourceKey, ResourceKind},
};

use crate::names::Names;

/// For how long AWS has to say that a resource is not there before it counts as gone. Longer than the seconds for which
/// DynamoDB, IAM and SQS are documented to answer as before a write.
pub const CONFIRMATION: Duration = Duration::from_secs(5);

/// For how long a resource that was as desired counts as that while AWS does not tell of it. Longer than throttling and
/// the failovers inside AWS last, and shorter than anybody wants to go without knowing.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// For how long pods may go on without having been told to end, after their Deployment was deleted.
pub const ENDING_BEGINS: Duration = Duration::from_secs(60);

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
    /// What was tried last with each resource that is not at rest, and how often in a row it was the same.
    attempts: HashMap<ResourceKey, (String, u32)>,
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
    statuses: StatusWriter,
    names: Names,
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
                    outlives_its_pods(key).then(|| being_deleted(object.clone()))
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

    /// Remembers what was seen of resources. What was known of those that AWS did not tell of stays known.
    pub fn saw(
        &self,
        uid: &str,
        seen: BTreeMap<ResourceKey, Option<LastSeen>>,
        observed: &Observed,
    ) {
        let mut all = self.lock();
        let known = &mut all.entry(uid.to_owned()).or_default().seen;
        known.retain(|key, _| matches!(observed.aws.get(key), Some(Observation::Unknown(_))));
        known.extend(seen);
    }

    /// The resources that AWS does not tell of just now, has not for less than [`PATIENCE`], and that were as desired when they were
    /// looked at last. Of what this process has not seen yet, what the status says decides: `was_ready`.
    pub fn lately(
        &self,
        uid: &str,
        observed: &Observed,
        was_ready: bool,
    ) -> BTreeMap<ResourceKey, LastSeen> {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        let silent: BTreeSet<&ResourceKey> = observed.silent().collect();
        remembered
            .silent
            .retain(|key, _| key.as_ref().is_none_or(|key| silent.contains(key)));
        let now = Instant::now();
        let mut lately = BTreeMap::new();
        for key in silent {
            let since = *remembered.silent.entry(Some(key.clone())).or_insert(now);
            let seen = match remembered.seen.get(key) {
                Some(seen) => seen.clone(),
                None => was_ready.then(LastSeen::default),
            };
            if let Some(seen) = seen.filter(|_| now.duration_since(since) < PATIENCE) {
                lately.insert(key.clone(), seen);
            }
        }
        lately
    }

    /// Whether AWS has not told of a resource for [`PATIENCE`] or longer.
    pub fn is_out_of_patience(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|remembered| {
            let silent = remembered.silent.iter();
            silent
                .filter(|(key, _)| key.is_some())
                .any(|(_, since)| since.elapsed() >= PATIENCE)
        })
    }

    /// Whether AWS has not told for less than [`PATIENCE`] what has to be known before anything can be resolved.
    pub fn is_patient(&self, uid: &str) -> bool {
        let mut all = self.lock();
        let silent = &mut all.entry(uid.to_owned()).or_default().silent;
        silent.entry(None).or_insert_with(Instant::now).elapsed() < PATIENCE
    }

    /// AWS told it, or refused to.
    pub fn was_answered(&self, uid: &str) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.silent.remove(&None);
        }
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

    /// Those of the Deployments that are to go of which pods have run on for [`ENDING_BEGINS`] without having been told to end.
    pub fn left_running(
        &self,
        uid: &str,
        running: &BTreeSet<ResourceKey>,
    ) -> BTreeSet<ResourceKey> {
        let mut all = self.lock();
        let since = &mut all.entry(uid.to_owned()).or_default().left;
        since.retain(|key, _| running.contains(key));
        let now = Instant::now();
        running
            .iter()
            .filter(|key| {
                now.duration_since(*since.entry((*key).clone()).or_insert(now)) >= ENDING_BEGINS
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
            let (last, times) = attempts.entry(key).or_default();
            if *last == attempt {
                *times = times.saturating_add(1);
            } else {
                (*last, *times) = (attempt, 0);
            }
            least = Some(least.map_or(*times, |least: u32| least.min(*times)));
        }
        least.unwrap_or(0)
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

fn outlives_its_pods(key: &ResourceKey) -> bool {
    matches!(key.kind, ResourceKind::Kubernetes(kind) if kind.outlives_its_pods())
}

/// The object as the cache will have it.
fn being_deleted(mut object: DynamicObject) -> DynamicObject {
    object.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    object
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
    use shopkeeper_plan::{
        aws::AwsKind, failure::Failure, kubernetes::KubernetesKind, observed::Note,
    };

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
    fn a_deployment_that_was_deleted_is_there_until_its_cache_says_otherwise_and_anything_else_is_not()
     {
        let memory = Memory::default();
        for (kind, stays) in [
            (KubernetesKind::Service, false),
            (KubernetesKind::Deployment, true),
        ] {
            let key = ResourceKey::kubernetes(kind, "orders");
            memory.deleted("shop", &key, "first");
            let found = memory.newest("shop", &key, Some(object("first")));
            assert_eq!(
                found.map(|object| object.metadata.deletion_timestamp.is_some()),
                stays.then_some(true)
            );
            assert_eq!(memory.newest("shop", &key, None), None);
        }
    }

    #[test]
    fn pods_that_run_on_are_told_of_after_a_while() {
        let memory = Memory::default();
        let running = [ResourceKey::kubernetes(
            KubernetesKind::Deployment,
            "orders",
        )]
        .into();
        assert!(memory.left_running("shop", &running).is_empty());
        let long_ago = Instant::now().checked_sub(ENDING_BEGINS).unwrap();
        for since in memory.lock().get_mut("shop").unwrap().left.values_mut() {
            *since = long_ago;
        }
        assert_eq!(memory.left_running("shop", &running), running);
        // They were told, and others are not.
        assert!(memory.left_running("shop", &BTreeSet::new()).is_empty());
        assert!(memory.left_running("shop", &running).is_empty());
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
        // Something else is new, and what follows from it must not wait.
        assert_eq!(repeated(&[("a", Some("one")), ("b", Some("one"))]), 0);
        assert_eq!(repeated(&[("a", Some("one")), ("b", Some("one"))]), 1);
        assert_eq!(repeated(&[("a", Some("other"))]), 0);
        // A pass that found nothing to do, and the same drift ten minutes later.
        assert_eq!(repeated(&[]), 0);
        assert_eq!(repeated(&[("a", Some("other"))]), 0);
    }

    fn observed(name: &str, observation: Observation) -> (ResourceKey, Observed) {
        let key = ResourceKey::aws(AwsKind::SqsQueue, name);
        let observed = Observed {
            aws: [(key.clone(), observation)].into(),
            ..Observed::default()
        };
        (key, observed)
    }

    fn unknown(class: Class) -> Observation {
        Observation::Unknown(Failure::new(class, "no"))
    }

    #[test]
    fn patience_is_for_each_resource_and_starts_anew_once_it_was_seen() {
        let memory = Memory::default();
        let (one, silent) = observed("one", unknown(Class::Throttled));
        let since = |key: &ResourceKey| {
            memory.lock()["shop"]
                .silent
                .get(&Some(key.clone()))
                .copied()
        };
        assert!(memory.lately("shop", &silent, true).contains_key(&one));
        let started = since(&one);
        assert!(memory.lately("shop", &silent, true).contains_key(&one));
        assert_eq!(since(&one), started);
        // Another one has a clock of its own, and that of the first is over.
        let long_ago = Instant::now().checked_sub(PATIENCE).unwrap();
        memory
            .lock()
            .get_mut("shop")
            .unwrap()
            .silent
            .insert(Some(one.clone()), long_ago);
        assert!(memory.is_out_of_patience("shop"));
        let (two, of_two) = observed("two", unknown(Class::Transient));
        let mut both = silent.clone();
        both.aws.extend(of_two.aws);
        let lately = memory.lately("shop", &both, true);
        assert_eq!(lately.keys().collect::<Vec<_>>(), [&two]);
        let (_, there) = observed("one", Observation::Absent);
        assert!(memory.lately("shop", &there, true).is_empty());
        assert_eq!(since(&one), None);
        assert!(!memory.is_out_of_patience("shop"));
        assert!(memory.lately("shop", &silent, true).contains_key(&one));
    }

    #[test]
    fn what_is_refused_and_what_was_not_as_desired_gets_no_patience() {
        let memory = Memory::default();
        for class in [Class::Denied, Class::Bug] {
            let (_, refused) = observed("one", unknown(class));
            assert!(
                memory.lately("shop", &refused, true).is_empty(),
                "{class:?}"
            );
        }
        let (one, silent) = observed("one", unknown(Class::Throttled));
        // Nothing is known of it: the status decides.
        assert!(memory.lately("shop", &silent, false).is_empty());
        let failed = [(one.clone(), None)].into();
        memory.saw("shop", failed, &Observed::default());
        assert!(memory.lately("shop", &silent, true).is_empty());
        let seen = LastSeen {
            dangers: vec![Note::danger("it is disabled")],
            ..LastSeen::default()
        };
        memory.saw("shop", [(one.clone(), Some(seen.clone()))].into(), &silent);
        // A pass that learns nothing of it forgets nothing.
        memory.saw("shop", BTreeMap::new(), &silent);
        assert_eq!(memory.lately("shop", &silent, false)[&one], seen);
    }
}
