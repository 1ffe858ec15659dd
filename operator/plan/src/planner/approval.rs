//! Which steps wait for a person.

use super::{ChangePolicy, Input, scaling};
use crate::plan::{Action, Blocker, Effect, Operation, Plan, Step};

/// Blocks the steps that the policy wants approved, unless their hash was approved.
///
/// Taking down a custom resource needs no second approval: deleting it was the approval, and its deletion policy says
/// what happens to the data.
pub(super) fn gate(plan: &mut Plan, input: &Input<'_>) {
    if input.deleting {
        return;
    }
    let mut harmless = Vec::new();
    for step in &mut plan.steps {
        if needs_approval(step, input.policies.changes) {
            if input.policies.changes == ChangePolicy::ApproveDisruptive {
                harmless.extend(split_off_harmless(step));
            }
            step.blocked_by.push(Blocker::Approval);
        }
    }
    let hash = plan.approval_hash();
    if hash.is_some() && hash.as_deref() == input.approved {
        // The harmless changes of the same resource wait for the next pass: AWS takes one change at a time.
        for step in &mut plan.steps {
            step.blocked_by
                .retain(|blocker| *blocker != Blocker::Approval);
        }
    } else {
        scaling::hold_with_their_tables(&mut plan.steps);
        plan.steps.append(&mut harmless);
        plan.steps.sort_by(|one, other| one.key.cmp(&other.key));
    }
}

/// A change that nobody notices does not wait beside one that has to be approved: it becomes a step of its own.
fn split_off_harmless(step: &mut Step) -> Option<Step> {
    let Operation::AwsUpdate { fields, .. } = &mut step.operation else {
        return None;
    };
    let disruptive: Vec<String> = step
        .changes
        .iter()
        .filter(|change| change.effect.is_disruptive())
        .map(|change| change.field.clone())
        .collect();
    let (kept, split): (Vec<String>, Vec<String>) = fields
        .drain(..)
        .partition(|field| disruptive.contains(field));
    *fields = kept;
    if split.is_empty() {
        return None;
    }
    let mut harmless = step.clone();
    if let Operation::AwsUpdate { fields, .. } = &mut harmless.operation {
        *fields = split;
    }
    step.changes
        .retain(|change| disruptive.contains(&change.field));
    harmless
        .changes
        .retain(|change| !disruptive.contains(&change.field));
    harmless.effect = harmless
        .changes
        .iter()
        .map(|change| change.effect)
        .max()
        .unwrap_or(Effect::None);
    Some(harmless)
}

fn needs_approval(step: &Step, policy: ChangePolicy) -> bool {
    if matches!(step.operation, Operation::Wait)
        || step.blocked_by.contains(&Blocker::DriftReported)
    {
        return false;
    }
    match policy {
        ChangePolicy::Automatic => false,
        ChangePolicy::ApproveDisruptive => {
            step.effect.is_disruptive() && step.action != Action::Create
        }
        ChangePolicy::ApproveAll => true,
    }
}
