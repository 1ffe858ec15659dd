//! What is still known of AWS resources while AWS does not answer. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    blueprint::Blueprint,
    observed::{Note, Observed, Weight},
    plan::{Blocker, FieldChange, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

/// What was known of an AWS resource when it was looked at last, and was as desired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastSeen {
    /// What may make it stop to work.
    pub dangers: Vec<Note>,
    /// What somebody had changed, where drift is told and not repaired.
    pub drift: Vec<FieldChange>,
    /// The subnets of a place for pods, by which it is known as the one that is wanted.
    pub subnets: BTreeSet<String>,
}

/// What is known of each AWS resource that was looked at for this plan and is desired. `None` where it was not as desired.
#[must_use]
pub fn last_seen(
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
) -> BTreeMap<ResourceKey, Option<LastSeen>> {
    blueprint
        .keys()
        .filter(|key| matches!(key.kind, ResourceKind::Aws(_)))
        .filter_map(|key| Some((key, observed.present(key)?)))
        .map(|(key, present)| {
            let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.key == *key).collect();
            let as_desired = steps
                .iter()
                .all(|step| step.blocked_by == [Blocker::DriftReported]);
            let seen = as_desired.then(|| LastSeen {
                dangers: present
                    .notes()
                    .filter(|note| note.weight == Weight::Danger)
                    .cloned()
                    .collect(),
                drift: steps
                    .iter()
                    .flat_map(|step| step.changes.iter().cloned())
                    .collect(),
                subnets: present
                    .resource
                    .subnets_of_place()
                    .cloned()
                    .unwrap_or_default(),
            });
            (key.clone(), seen)
        })
        .collect()
}
