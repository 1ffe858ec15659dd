//! The inventory: what a custom resource owns, in its status. Pure.

use std::collections::BTreeSet;

use shopkeeper_api::status::{InventoryItem, Status};

use crate::{
    aws::{AwsKind, sns_subscription::shortened_name},
    blueprint::Blueprint,
    failure::{Class, Failure},
    observed::{Observation, Observed},
    plan::{Action, Blocker, Operation, Plan, Step},
    planner::{Inventory, InventoryEntry, Remade, is_remade},
    report,
    resource::{ResourceKey, ResourceKind},
};

/// The inventory of a status.
#[must_use]
pub fn from_status(status: &Status) -> Inventory {
    status
        .inventory
        .iter()
        .filter_map(|item| {
            let kind = ResourceKind::from_id(&item.kind)?;
            let name = match kind {
                // Earlier versions wrote telephone numbers and addresses in full.
                ResourceKind::Aws(AwsKind::SnsSubscription) => shortened_name(&item.name),
                _ => item.name.clone(),
            };
            Some((
                ResourceKey { kind, name },
                InventoryEntry {
                    role: item.role.clone(),
                    applied: item.applied.clone(),
                    remade_for: item.remade_for.as_deref().map(Remade::from_status),
                    adopted: item.adopted == Some(true),
                },
            ))
        })
        .collect()
}

/// Items of a kind that this version does not know: a later one made them, and was rolled back.
fn of_unknown_kinds(items: &[InventoryItem]) -> impl Iterator<Item = &InventoryItem> {
    let is_unknown = |item: &&InventoryItem| ResourceKind::from_id(&item.kind).is_none();
    items.iter().filter(is_unknown)
}

/// Why a custom resource may not end: nobody would take down what a later version made.
#[must_use]
pub fn made_by_a_newer_version(status: &Status) -> Option<Failure> {
    let names =
        of_unknown_kinds(&status.inventory).map(|item| format!("{} {}", item.kind, item.name));
    let names: Vec<String> = names.take(3).collect();
    (!names.is_empty()).then(|| {
        Failure::new(
            Class::Invalid,
            format!("{}: made by a later version of the operator", names.join(", ")),
        )
        .with_remedy(
            "run that version again until this is gone; or delete it in AWS and take it out of status.inventory",
        )
    })
}

/// The inventory for a status that had `before`. What that has of kinds that this version does not know stays as it was.
#[must_use]
pub fn to_status(
    inventory: &Inventory,
    plan: &Plan,
    observed: &Observed,
    before: &[InventoryItem],
) -> Vec<InventoryItem> {
    inventory
        .iter()
        .map(|(key, entry)| {
            // Of what could not be observed now, what was known is still the best that is known.
            let unknown = matches!(observed.aws.get(key), Some(Observation::Unknown(_)))
                || observed.unlisted(key).is_some();
            let known = before
                .iter()
                .find(|item| unknown && item.kind == key.kind.id() && item.name == key.name);
            let id = match key.kind {
                ResourceKind::Aws(_) => observed
                    .present(key)
                    .and_then(|present| present.arn.clone()),
                ResourceKind::Kubernetes(_) => observed
                    .kubernetes
                    .get(key)
                    .map(|object| object.uid.clone()),
            };
            InventoryItem {
                kind: key.kind.id().to_owned(),
                name: key.name.clone(),
                role: entry.role.clone(),
                id: id.or_else(|| known?.id.clone()),
                state: report::state(key, observed).map(str::to_owned),
                note: report::note(key, observed).or_else(|| known?.note.clone()),
                drifted: plan.drifted().any(|step| step.key == *key).then_some(true),
                applied: entry.applied.clone(),
                adopted: entry.adopted.then_some(true),
                remade_for: entry.remade_for.as_ref().map(Remade::to_string),
            }
        })
        .chain(of_unknown_kinds(before).cloned())
        .collect()
}

/// The steps on drift that was not in the inventory of a status: what is news to a person.
pub fn new_drift<'a>(
    before: &'a [InventoryItem],
    plan: &'a Plan,
) -> impl Iterator<Item = &'a Step> {
    plan.drifted().filter(|step| {
        !before.iter().any(|item| {
            item.drifted == Some(true)
                && item.kind == step.key.kind.id()
                && item.name == step.key.name
        })
    })
}

/// The steps on what somebody deleted that wait for a person, where that was not in the inventory of a status.
pub fn new_losses<'a>(
    before: &'a [InventoryItem],
    plan: &'a Plan,
) -> impl Iterator<Item = &'a Step> {
    plan.steps
        .iter()
        .filter(|step| step.is_loss())
        .filter(|step| {
            before.iter().any(|item| {
                item.kind == step.key.kind.id()
                    && item.name == step.key.name
                    && item.state.is_some()
            })
        })
}

/// With the AWS resources that the plan is about to make, adopt, or delete. Kubernetes objects carry their owner and
/// are found by it.
#[must_use]
pub fn with_intentions(
    inventory: &Inventory,
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
) -> Inventory {
    let mut intended = inventory.clone();
    for step in plan.free_steps() {
        // Until it is as desired again it is not complete: what we took away ourselves is not missed, and what is made anew is
        // brought to what is desired, whatever the policy says of drift.
        if let (Operation::AwsDelete { .. } | Operation::AwsCreate { .. }, Some(entry)) =
            (&step.operation, intended.get_mut(&step.key))
        {
            entry.applied = None;
        }
        let Some(node) = blueprint.get(&step.key) else {
            continue;
        };
        let remade = is_remade(step);
        if !remade
            && !matches!(
                step.operation,
                Operation::AwsCreate { .. } | Operation::AwsAdopt { .. }
            )
        {
            continue;
        }
        let entry = intended
            .entry(step.key.clone())
            .or_insert_with(|| InventoryEntry::new(&node.role));
        entry.adopted = match step.operation {
            Operation::AwsAdopt { .. } => true,
            Operation::AwsCreate { .. } => false,
            _ => entry.adopted,
        };
        if remade {
            let failed = observed.present(&step.key);
            entry.remade_for = failed
                .zip(node.intent())
                .map(|(failed, intent)| Remade::new(&intent, failed));
        } else if entry.remade_for.as_ref().is_some_and(Remade::is_given_up) {
            // Somebody deleted what had failed twice, and has it tried anew.
            entry.remade_for = None;
        }
    }
    intended
}

/// AWS resources of the inventory that AWS says are not there.
#[must_use]
pub fn absent(inventory: &Inventory, observed: &Observed) -> BTreeSet<ResourceKey> {
    inventory
        .keys()
        .filter(|key| matches!(observed.aws.get(*key), Some(Observation::Absent)))
        .cloned()
        .collect()
}

/// After a pass: what is desired and there, what is on its way in or out. A resource leaves it when AWS says that it is gone,
/// or when it was handed back. At the end of its owner it stays until then, to be told of with all that is kept.
#[must_use]
pub fn after(
    intended: &Inventory,
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
    gone: &BTreeSet<ResourceKey>,
    deleting: bool,
) -> Inventory {
    let mut next = Inventory::new();
    for (key, entry) in intended {
        let step = plan.steps.iter().find(|step| step.key == *key);
        let wanted = !deleting && blueprint.get(key).is_some();
        let is_gone = match key.kind {
            ResourceKind::Aws(_) => gone.contains(key),
            // Its pods may outlive it, and are found by it.
            ResourceKind::Kubernetes(_) => {
                !observed.kubernetes.contains_key(key)
                    && !observed.pods.contains_key(key)
                    && observed.unlisted(key).is_none()
            }
        };
        let being_made =
            step.is_some_and(|step| matches!(step.action, Action::Create | Action::Adopt));
        let handed_back =
            !deleting && step.is_some_and(|step| step.action == Action::Retain && step.is_free());
        if (is_gone && !being_made && !wanted) || handed_back {
            continue;
        }
        next.insert(key.clone(), entry.clone());
    }
    for (key, node) in blueprint.iter() {
        let there = match key.kind {
            // What is as desired without a step is ours, whatever became of the inventory.
            ResourceKind::Aws(_) => {
                let is_settled = || plan.steps.iter().all(|step| step.key != *key);
                next.contains_key(key)
                    || (!deleting && observed.present(key).is_some() && is_settled())
            }
            ResourceKind::Kubernetes(_) => observed
                .kubernetes
                .get(key)
                .is_some_and(|object| object.ours),
        };
        if !there {
            continue;
        }
        let entry = next
            .entry(key.clone())
            .or_insert_with(|| InventoryEntry::new(&node.role));
        entry.role = node.role.clone();
        let mut steps = plan.steps.iter().filter(|step| step.key == *key);
        if let (Some(present), Some(intent)) = (observed.present(key), node.intent()) {
            entry.remade_for = entry
                .remade_for
                .take()
                .map(|remade| remade.after(&intent, present));
        }
        // Only what was seen to be as desired, with nothing left to wait for, counts as applied: a later difference with the same
        // wish is drift. What waits for what it refers to is so in all other parts.
        let is_only_told = |step: &Step| {
            let missing = |blocker: &Blocker| matches!(blocker, Blocker::Missing(_));
            !step.blocked_by.is_empty() && step.blocked_by.iter().all(missing)
        };
        if let Some(intent) = node.intent()
            && steps.all(is_only_told)
        {
            entry.applied = Some(intent);
            entry.remade_for = None;
        }
    }
    next
}
