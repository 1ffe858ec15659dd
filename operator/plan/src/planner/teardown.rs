//! Taking down: a whole custom resource, or what is left of an earlier specification.

use std::collections::BTreeSet;

use super::{
    DeletionPolicy, Input, Ownership,
    aws::{delete_again, with_note},
    dead_letters::{keep_dead_letters, takes_dead_letters},
    ownership, places, pods, refused,
    scaling::{self, End},
    step, waiting,
};
use crate::{
    aws::{AwsKind, AwsResource, Holding},
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    observed::{Lifecycle, NodeGroupNodes, Observation, ObservedPod, Present},
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
        .chain(input.observed.pods.keys())
        .collect();
    let mut steps: Vec<Step> = keys
        .into_iter()
        .filter_map(|key| take_down(key, input, Action::Delete))
        .collect();
    keep_what_is_needed(&mut steps);
    keep_dead_letters(&mut steps, input);
    order_by_stage(&mut steps, input);
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
    let unsettled: Vec<&ResourceKey> = input
        .blueprint
        .keys()
        .filter(|key| !settled.contains(*key))
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
        .chain(input.observed.pods.keys())
        .filter(|key| input.blueprint.get(key).is_none())
        .collect();
    let mut added: Vec<Step> = leftovers
        .into_iter()
        .filter_map(|key| {
            let role = input.inventory.get(key).map(|entry| entry.role.as_str());
            let replaced = role.is_some()
                && input.blueprint.iter().any(|(other, node)| {
                    is_replaced_by(key.kind, other.kind) && Some(node.role.as_str()) == role
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
    keep_what_is_needed(&mut added);
    keep_dead_letters(&mut added, input);
    let (mut scalers, mut added): (Vec<Step>, Vec<Step>) = added
        .into_iter()
        .partition(|step| scaling::end(&step.key, input) == End::AtOnce);
    steps.append(&mut scalers);
    for step in &mut added {
        if step.is_free() && !matches!(step.operation, Operation::LeaveBehind(_)) {
            let before = unsettled
                .iter()
                .filter(|other| goes_after(&step.key, other));
            let before = before
                .take(3)
                .map(|other| Blocker::Resource((*other).clone()));
            step.blocked_by.extend(before);
            step.blocked_by.extend(pods::of_before(&step.key, input));
        }
    }
    order_by_stage(&mut added, input);
    steps.append(&mut added);
}

/// Whether one resource can take the place of another: of its kind, or another place for the same pods.
fn is_replaced_by(old: ResourceKind, new: ResourceKind) -> bool {
    let is_place = |kind| matches!(kind, ResourceKind::Aws(kind) if kind.is_place());
    old == new || (is_place(old) && is_place(new))
}

/// Whether a leftover waits until another resource is as desired. Most wait for all of them; not what keeps pods from coming up for as
/// long as it is there, which would wait for pods that wait for it.
pub(super) fn goes_after(leftover: &ResourceKey, other: &ResourceKey) -> bool {
    match leftover.kind {
        ResourceKind::Kubernetes(KubernetesKind::SecurityGroupPolicy) => false,
        // EKS prefers it to any other way to credentials: that way has to be there before, and that is all.
        ResourceKind::Aws(AwsKind::PodIdentityAssociation) => matches!(
            other.kind,
            ResourceKind::Aws(AwsKind::IamRole)
                | ResourceKind::Kubernetes(KubernetesKind::ServiceAccount)
        ),
        _ => true,
    }
}

/// What somebody else's data rests on by now cannot go either: AWS would refuse for as long as it is there.
fn keep_what_is_needed(steps: &mut [Step]) {
    let left: Vec<ResourceKey> = steps
        .iter()
        .filter(|step| matches!(step.operation, Operation::LeaveBehind(_)))
        .map(|step| step.key.clone())
        .collect();
    for step in steps {
        let ResourceKind::Aws(kind) = step.key.kind else {
            continue;
        };
        let supports = matches!(kind.holding(), Holding::Support | Holding::Key)
            && matches!(step.operation, Operation::AwsDelete { .. });
        let needed = left.iter().find(|key| {
            supports
                && key.kind.teardown_stage() < step.key.kind.teardown_stage()
                && key.kind.rests_on(step.key.kind)
        });
        if let Some(key) = needed {
            let failure = Failure::new(
                Class::NotReady,
                format!("left in AWS, since {key} is left there and may need it"),
            )
            .with_remedy(format!("delete the {} after that", kind.title()));
            *step = self::step(&step.key, Action::Retain, Operation::LeaveBehind(failure));
        }
    }
}

/// A later stage waits until the earlier ones are gone. What is retained holds nobody up, and what is stuck only those that it needs.
fn order_by_stage(steps: &mut [Step], input: &Input<'_>) {
    let going: Vec<(ResourceKey, bool)> = steps
        .iter()
        .filter(|step| step.action != Action::Retain)
        .map(|step| (step.key.clone(), is_stuck(step, input)))
        .collect();
    for step in steps
        .iter_mut()
        .filter(|step| step.action != Action::Retain)
    {
        let earlier: Vec<&ResourceKey> = going
            .iter()
            .filter(|(key, stuck)| {
                key.kind.teardown_stage() < step.key.kind.teardown_stage()
                    && (!stuck || key.kind.rests_on(step.key.kind))
            })
            .map(|(key, _)| key)
            .collect();
        let first = earlier.iter().map(|key| key.kind.teardown_stage()).min();
        let holders = earlier
            .into_iter()
            .filter(|key| Some(key.kind.teardown_stage()) == first)
            .take(3)
            .cloned();
        step.blocked_by.extend(holders.map(Blocker::Resource));
    }
}

/// Whether a person has to act before it can go.
fn is_stuck(step: &Step, input: &Input<'_>) -> bool {
    input.observed.refused_deletions.contains(&step.key)
        || step.blocked_by.iter().any(
            |blocker| matches!(blocker, Blocker::Refused(failure) if failure.class.needs_a_person()),
        )
}

/// The step that brings one resource nearer to its end; `None` where it is gone, or not ours to touch.
fn take_down(key: &ResourceKey, input: &Input<'_>, action: Action) -> Option<Step> {
    // What was never made need not be looked for.
    if let Some(failure) = input.observed.unlisted(key) {
        return input
            .inventory
            .contains_key(key)
            .then(|| refused(key, Action::Wait, failure));
    }
    match key.kind {
        ResourceKind::Kubernetes(_) => match input.observed.kubernetes.get(key) {
            Some(object) if !object.ours => None,
            Some(object) if !object.is_terminating() => {
                Some(step(key, action, Operation::KubernetesDelete))
            }
            // Deleting it again would do nothing but make the next pass believe that something happened.
            found => pods::left(key, input)
                .or_else(|| found.map(|object| waiting(key, &object.ending(), 0))),
        },
        ResourceKind::Aws(kind) => match input.observed.aws.get(key) {
            None => Some(waiting(key, "was not observed yet", 0)),
            Some(Observation::Absent) => None,
            Some(Observation::Unknown(failure)) => {
                Some(refused(key, Action::Wait, failure.clone()))
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
    // There is nothing to be done about it: it goes with its topic, or by itself. Should it be confirmed before, the inventory
    // still has it, and it is taken down then.
    if present.is_unconfirmed() {
        return None;
    }
    if !input.deleting && is_in_use(key, input) {
        return None;
    }
    let whose = ownership::of(present, input);
    if let Ownership::Unknown(failure) = whose {
        return Some(refused(key, Action::Wait, failure));
    }
    if whose != Ownership::Ours {
        // One that was never known to be ours is none of this custom resource's business.
        let known = input.inventory.contains_key(key);
        let failure = || ownership::lost(key, present, input);
        return known.then(|| step(key, Action::Retain, Operation::LeaveBehind(failure())));
    }
    let fate = match scaling::end(key, input) {
        // What it scales is kept whatever the policy, and is wanted without it.
        End::AtOnce | End::AfterWhatItScales if !input.deleting => {
            Fate::Delete(DeleteMode::Everything)
        }
        // It holds nothing, and as long as it is there EKS prefers it to any other way to credentials.
        _ if kind == AwsKind::PodIdentityAssociation && !input.deleting => {
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
                &with_note("is being created; it is deleted afterwards", present),
                kind.usual_minutes(),
            ));
        }
        Lifecycle::Modifying => {
            if let Some(failure) = present.outage(key) {
                return Some(refused(key, action, failure));
            }
            return Some(waiting(
                key,
                &with_note("is being changed; it is deleted afterwards", present),
                0,
            ));
        }
        Lifecycle::Failed(ref reason) if is_protected(present) => {
            let failure = Failure::new(
                Class::Invalid,
                format!("{reason}, and RDS lifts no deletion protection of an instance in that state"),
            )
            .with_remedy(
                "mend it, so that it becomes available; or have AWS Support delete it; or take its tag \
                 shopkeeper.dev/owner-uid away, and it is left in AWS",
            );
            return Some(refused(key, action, failure));
        }
        Lifecycle::DeletionFailed(ref reason) => {
            return Some(delete_again(key, action, reason, input));
        }
        Lifecycle::Available | Lifecycle::Failed(_) => {}
    }
    let exchange = if !input.deleting && places::only_goes_elsewhere(key, present, input) {
        places::MOVE
    } else {
        Effect::Rolling
    };
    if kind.is_place()
        && !input.deleting
        && let Some(nodes) = input.observed.nodes.get(&key.name)
        && let Some(pod) = nodes.pods.first()
    {
        return Some(drain(key, nodes, pod, action, exchange));
    }
    let mut step = step(key, action, Operation::AwsDelete { mode });
    step.effect = match (kind.holding(), mode) {
        (Holding::Data | Holding::UnsavedData | Holding::Key, DeleteMode::Everything) => {
            Effect::DataLoss
        }
        // No pod uses it, it is empty, and it only goes if it still is.
        (Holding::UnsavedData, DeleteMode::Snapshot) if takes_dead_letters(key, input) => {
            Effect::None
        }
        (Holding::Data | Holding::UnsavedData | Holding::Key, DeleteMode::Snapshot) => {
            Effect::Downtime
        }
        (Holding::Nothing, _) if action == Action::Replace => exchange,
        // Publishers are refused, and whoever confirmed a subscription has to do so again.
        (Holding::Wiring, _) if kind == AwsKind::SnsTopic => Effect::Downtime,
        _ => Effect::None,
    };
    step.reversible = step.effect < Effect::Downtime;
    step.minutes = kind.usual_minutes();
    Some(step)
}

/// Whether a database or cache that stays has the parameter group still: where one of a newer major version than is declared runs, it keeps
/// the group of that, which AWS does not let go.
fn is_in_use(group: &ResourceKey, input: &Input<'_>) -> bool {
    let stays = input.blueprint.keys();
    let mut others = stays.filter_map(|key| Some(&input.observed.present(key)?.resource));
    match group.kind {
        ResourceKind::Aws(AwsKind::RdsParameterGroup) => others.any(
            |other| matches!(other, AwsResource::RdsInstance(it) if it.parameter_group == group.name),
        ),
        ResourceKind::Aws(AwsKind::CacheParameterGroup) => others.any(|other| {
            matches!(other, AwsResource::CacheReplicationGroup(it)
                if it.parameter_group.as_deref() == Some(group.name.as_str()))
        }),
        _ => false,
    }
}

/// Moves the pods off a place: the nodes of a group, or a Fargate profile, which takes its pods with it when it goes. Where all were told to
/// go and no further one can come, there is only to wait for them: telling them again would do nothing but make the next pass believe that
/// something happened.
fn drain(
    key: &ResourceKey,
    nodes: &NodeGroupNodes,
    pod: &ObservedPod,
    action: Action,
    effect: Effect,
) -> Step {
    let pods = nodes.pods.len();
    if nodes.pods.iter().all(|pod| pod.is_ending)
        && nodes.nodes.iter().all(|node| node.unschedulable)
    {
        let others = match pods - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let reason = format!(
            "waits for pod {}/{}{others} to end",
            pod.namespace, pod.name
        );
        return waiting(key, &reason, 0);
    }
    let mut step = step(key, action, Operation::DrainNodes);
    step.effect = effect;
    step.changes = vec![FieldChange {
        field: "pods".to_owned(),
        from: pods.to_string(),
        to: "0".to_owned(),
        effect,
    }];
    step
}

fn is_protected(present: &Present) -> bool {
    matches!(&present.resource, AwsResource::RdsInstance(instance) if instance.deletion_protection)
}

/// Whether a plan is about to leave data in AWS that nobody declares any more: as it is, or in a last snapshot or backup.
#[must_use]
pub fn leaves_data(plan: &Plan) -> bool {
    plan.free_steps().any(|step| {
        let ResourceKind::Aws(kind) = step.key.kind else {
            return false;
        };
        match (&step.operation, kind.holding()) {
            (
                Operation::Forget | Operation::LeaveBehind(_),
                Holding::Data | Holding::UnsavedData,
            ) => true,
            (Operation::AwsDelete { mode }, Holding::Data) => *mode == DeleteMode::Snapshot,
            _ => false,
        }
    })
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
