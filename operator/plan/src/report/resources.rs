//! What is said of single resources: their state and notes in the inventory, and the replicas of all Deployments.

use std::collections::BTreeSet;

use shopkeeper_api::status::InventoryItem;

use super::{NAMED, shorten_to};
use crate::{
    kubernetes::{KubernetesKind, readiness},
    observed::{Lifecycle, Note, Observation, Observed},
    resource::{ResourceKey, ResourceKind},
};

/// State of a resource for the inventory, in the words of a person; `None` where it is not there.
#[must_use]
pub fn state(key: &ResourceKey, observed: &Observed) -> Option<&'static str> {
    match key.kind {
        ResourceKind::Aws(_) => match observed.aws.get(key)? {
            Observation::Absent => None,
            Observation::Unknown(_) => Some("unknown"),
            Observation::Present(present) => Some(match present.lifecycle {
                Lifecycle::Creating => "creating",
                Lifecycle::Available => "available",
                Lifecycle::Modifying => "modifying",
                Lifecycle::Deleting => "deleting",
                Lifecycle::Failed(_) => "failed",
                Lifecycle::DeletionFailed(_) => "deletion failed",
            }),
        },
        ResourceKind::Kubernetes(_) => observed.kubernetes.get(key).map(|_| "applied"),
    }
}

/// Longest note in the inventory, in characters.
const LONGEST_NOTE: usize = 512;

/// What AWS notes of a resource, for the inventory.
#[must_use]
pub fn note(key: &ResourceKey, observed: &Observed) -> Option<String> {
    let notes = observed.present(key)?.note.as_ref()?;
    Some(shorten_to(&notes.to_string(), LONGEST_NOTE))
}

/// The notes on resources that AWS is not at work on which were not in the inventory: what is news to a person.
pub fn new_notes<'a>(
    before: &'a [InventoryItem],
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a ResourceKey, &'a Note)> {
    let known = |key: &ResourceKey, note: &Note| {
        before
            .iter()
            .find(|item| item.kind == key.kind.id() && item.name == key.name)
            .and_then(|item| item.note.as_deref())
            // What was cut off there was told when it was written.
            .is_some_and(|notes| notes.contains(note.text.as_str()) || notes.ends_with('…'))
    };
    observed
        .aws
        .keys()
        .filter_map(|key| Some((key, observed.present(key)?)))
        .filter(|(_, present)| present.lifecycle == Lifecycle::Available)
        .flat_map(|(key, present)| present.notes().map(move |note| (key, note)))
        .filter(move |(key, note)| !known(key, note))
}

/// The Deployments of which an autoscaler wants more replicas than there are.
pub(super) fn scaling_out(keys: &BTreeSet<&ResourceKey>, observed: &Observed) -> String {
    let is_deployment =
        |key: &ResourceKey| key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment);
    keys.iter()
        .filter(|key| is_deployment(key))
        .filter_map(|key| {
            Some((
                key,
                readiness::replicas(&observed.kubernetes.get(*key)?.body),
            ))
        })
        .filter(|(_, (available, wanted))| available < wanted)
        .take(NAMED)
        .map(|(key, (available, wanted))| {
            format!("; {key}: scaling out, {available} of {wanted} replicas are available")
        })
        .collect()
}

/// Available and wanted replicas of all Deployments, added up.
#[must_use]
pub fn replicas(observed: &Observed) -> Option<(i64, i64)> {
    let deployments: Vec<_> = observed
        .kubernetes
        .iter()
        .filter(|(key, object)| {
            key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment) && object.ours
        })
        .map(|(_, object)| readiness::replicas(&object.body))
        .collect();
    (!deployments.is_empty()).then(|| {
        deployments
            .iter()
            .fold((0, 0), |(ready, wanted), (r, w)| (ready + r, wanted + w))
    })
}
