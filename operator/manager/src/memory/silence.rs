//! What AWS does not tell of, and of what it says that it is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use shopkeeper_plan::{
    last_seen::LastSeen,
    observed::{Observation, Observed},
    resource::ResourceKey,
};

use super::Memory;

/// For how long AWS has to say that a resource is not there before it counts as gone. Longer than the seconds for which
/// DynamoDB, IAM and SQS are documented to answer as before a write.
pub const CONFIRMATION: Duration = Duration::from_secs(5);

/// For how long pods may go on without having been told to end, after their Deployment was deleted.
pub const ENDING_BEGINS: Duration = Duration::from_secs(60);

/// For how long a resource that was as desired counts as that while AWS does not tell of it. Longer than throttling and
/// the failovers inside AWS last, and shorter than anybody wants to go without knowing.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

impl Memory {
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
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::{
        aws::AwsKind,
        failure::{Class, Failure},
        kubernetes::KubernetesKind,
        observed::Note,
    };

    use super::*;

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
}
