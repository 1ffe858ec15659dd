//! Taking down: a whole custom resource, or what is left of an earlier specification.

use std::collections::BTreeSet;

use super::{
    DeletionPolicy, Input, Ownership, ownership,
    scaling::{self, End},
    step, waiting,
};
use crate::{
    aws::{AwsKind, Holding},
    failure::{Class, Failure},
    observed::{Lifecycle, Observation, Present},
    plan::{Action, Blocker, DeleteMode, Effect, FieldChange, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

/// What the deletion policy means for one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delete(DeleteMode),
    Retain,
}

fn fate(kind: AwsKind, empty: Option<bool>, policy: DeletionPolicy) -> Fate {
    match (kind.holding(), policy) {
        (Holding::Nothing, _) => Fate::Delete(DeleteMode::Everything),
        (_, DeletionPolicy::Retain) | (Holding::Key, DeletionPolicy::Snapshot) => Fate::Retain,
        (_, DeletionPolicy::Delete) => Fate::Delete(DeleteMode::Everything),
        (Holding::UnsavedData, DeletionPolicy::Snapshot) if empty != Some(true) => Fate::Retain,
        (_, DeletionPolicy::Snapshot) => Fate::Delete(DeleteMode::Snapshot),
    }
}

/// The plan for a custom resource that is being deleted: everything that is known of it, stage by stage.
pub(super) fn plan(input: &Input<'_>) -> Plan {
    let keys: BTreeSet<&ResourceKey> = input
        .inventory
        .keys()
        .chain(input.blueprint.keys())
        .chain(input.observed.kubernetes.keys())
        .collect();
    let mut steps: Vec<Step> = keys
        .into_iter()
        .filter_map(|key| take_down(key, input, Action::Delete))
        .collect();
    order_by_stage(&mut steps);
    Plan {
        steps,
        ..Plan::default()
    }
}

/// Adds steps for what the inventory has and the blueprint has not: once all that is desired is settled, so that a
/// replacement serves before the old one goes.
pub(super) fn plan_leftovers(
    input: &Input<'_>,
    settled: &BTreeSet<ResourceKey>,
    steps: &mut Vec<Step>,
) {
    let unsettled: Vec<Blocker> = input
        .blueprint
        .keys()
        .filter(|key| !settled.contains(*key))
        .take(3)
        .cloned()
        .map(Blocker::Resource)
        .collect();
    let leftovers: BTreeSet<&ResourceKey> = input
        .inventory
        .keys()
        .chain(
            input
                .observed
                .kubernetes
                .iter()
                .filter(|(_, object)| object.ours)
                .map(|(key, _)| key),
        )
        .filter(|key| input.blueprint.get(key).is_none())
        .collect();
    let added: Vec<Step> = leftovers
        .into_iter()
        .filter_map(|key| {
            let role = input.inventory.get(key).map(|entry| entry.role.as_str());
            let replaced = role.is_some()
                && input.blueprint.iter().any(|(other, node)| {
                    other.kind == key.kind && Some(node.role.as_str()) == role
                });
            take_down(
                key,
                input,
                if replaced {
                    Action::Replace
                } else {
                    Action::Delete
                },
            )
        })
        .collect();
    let (mut scalers, mut added): (Vec<Step>, Vec<Step>) = added
        .into_iter()
        .partition(|step| scaling::end(&step.key, input) == End::AtOnce);
    steps.append(&mut scalers);
    for step in &mut added {
        if step.is_free() {
            step.blocked_by.extend(unsettled.iter().cloned());
        }
    }
    order_by_stage(&mut added);
    steps.append(&mut added);
}

/// A later stage waits until the earlier ones are gone. What is retained holds nobody up.
fn order_by_stage(steps: &mut [Step]) {
    let Some(first) = steps
        .iter()
        .filter(|step| step.action != Action::Retain)
        .map(|step| step.key.kind.teardown_stage())
        .min()
    else {
        return;
    };
    let holders: Vec<ResourceKey> = steps
        .iter()
        .filter(|step| step.action != Action::Retain && step.key.kind.teardown_stage() == first)
        .take(3)
        .map(|step| step.key.clone())
        .collect();
    for step in steps {
        if step.action != Action::Retain && step.key.kind.teardown_stage() > first {
            step.blocked_by
                .extend(holders.iter().cloned().map(Blocker::Resource));
        }
    }
}

/// The step that brings one resource nearer to its end; `None` where it is gone, or not ours to touch.
fn take_down(key: &ResourceKey, input: &Input<'_>, action: Action) -> Option<Step> {
    match key.kind {
        ResourceKind::Kubernetes(_) => {
            let object = input.observed.kubernetes.get(key)?;
            // Deleting it again would do nothing but make the next pass believe that something happened.
            let next = || {
                if object.is_terminating() {
                    waiting(key, "is being deleted", 0)
                } else {
                    step(key, action, Operation::KubernetesDelete)
                }
            };
            object.ours.then(next)
        }
        ResourceKind::Aws(kind) => match input.observed.aws.get(key) {
            None => Some(waiting(key, "was not observed yet", 0)),
            Some(Observation::Absent) => None,
            Some(Observation::Unknown(failure)) => {
                let mut step = step(key, Action::Wait, Operation::Wait);
                step.blocked_by = vec![Blocker::Refused(failure.clone())];
                Some(step)
            }
            Some(Observation::Present(present)) => take_down_aws(key, kind, present, input, action),
        },
    }
}

fn take_down_aws(
    key: &ResourceKey,
    kind: AwsKind,
    present: &Present,
    input: &Input<'_>,
    action: Action,
) -> Option<Step> {
    if ownership::of(present, input) != Ownership::Ours {
        return None;
    }
    // There is nothing to be done about it: it goes with its topic, or by itself. Should it be confirmed before, the inventory
    // still has it, and it is taken down then.
    if present.is_unconfirmed() {
        return None;
    }
    let fate = match scaling::end(key, input) {
        // What it scales is kept whatever the policy, and is wanted without it.
        End::AtOnce | End::AfterWhatItScales if !input.deleting => {
            Fate::Delete(DeleteMode::Everything)
        }
        _ => fate(kind, present.empty, input.policies.deletion),
    };
    let Fate::Delete(mode) = fate else {
        return Some(step(key, Action::Retain, Operation::Forget));
    };
    match present.lifecycle {
        Lifecycle::Deleting => return Some(waiting(key, "is being deleted", kind.usual_minutes())),
        // AWS refuses to delete what it is working on.
        Lifecycle::Creating => {
            return Some(waiting(
                key,
                "is being created; it is deleted afterwards",
                kind.usual_minutes(),
            ));
        }
        Lifecycle::Modifying => {
            return Some(waiting(
                key,
                "is being changed; it is deleted afterwards",
                0,
            ));
        }
        Lifecycle::Available | Lifecycle::Failed(_) => {}
    }
    if kind == AwsKind::NodeGroup
        && !input.deleting
        && input
            .observed
            .nodes
            .get(&key.name)
            .is_some_and(|nodes| nodes.pods > 0)
    {
        let mut step = step(key, action, Operation::DrainNodes);
        step.effect = Effect::Rolling;
        step.changes = vec![FieldChange {
            field: "pods".to_owned(),
            from: input
                .observed
                .nodes
                .get(&key.name)
                .map_or(0, |nodes| nodes.pods)
                .to_string(),
            to: "0".to_owned(),
            effect: Effect::Rolling,
        }];
        return Some(step);
    }
    let mut step = step(key, action, Operation::AwsDelete { mode });
    step.effect = match (kind.holding(), mode) {
        (Holding::Data | Holding::UnsavedData | Holding::Key, DeleteMode::Everything) => {
            Effect::DataLoss
        }
        (Holding::Data | Holding::UnsavedData | Holding::Key, DeleteMode::Snapshot) => {
            Effect::Downtime
        }
        (Holding::Nothing, _) if action == Action::Replace => Effect::Rolling,
        _ => Effect::None,
    };
    step.reversible = step.effect < Effect::Downtime;
    step.minutes = kind.usual_minutes();
    Some(step)
}

/// Why a resource would be kept although its owner goes, for an event.
#[must_use]
pub fn reason_to_retain(kind: AwsKind, policy: DeletionPolicy) -> Failure {
    let text = match (kind.holding(), policy) {
        (_, DeletionPolicy::Retain) => "kept in AWS, as policy.deletion Retain asks",
        (Holding::Key, _) => "kept in AWS, since snapshots cannot be read without it",
        _ => "kept in AWS, since it is not empty and AWS has no snapshot of it",
    };
    Failure::new(Class::NotReady, text)
}
