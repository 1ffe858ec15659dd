//! Which steps wait for a person.

use super::{ChangePolicy, Input};
use crate::plan::{Action, Blocker, Operation, Plan, Step};

/// Blocks the steps that the policy wants approved, unless their hash was approved.
///
/// Taking down a custom resource needs no second approval: deleting it was the approval, and its deletion policy says
/// what happens to the data.
pub(super) fn gate(plan: &mut Plan, input: &Input<'_>) {
    if input.deleting {
        return;
    }
    for step in &mut plan.steps {
        if needs_approval(step, input.policies.changes) {
            step.blocked_by.push(Blocker::Approval);
        }
    }
    let hash = plan.approval_hash();
    if hash.is_some() && hash.as_deref() == input.approved {
        for step in &mut plan.steps {
            step.blocked_by.retain(|blocker| *blocker != Blocker::Approval);
        }
    }
}

fn needs_approval(step: &Step, policy: ChangePolicy) -> bool {
    if matches!(step.operation, Operation::Wait) || step.blocked_by.contains(&Blocker::DriftReported) {
        return false;
    }
    match policy {
        ChangePolicy::Automatic => false,
        ChangePolicy::ApproveDisruptive => step.effect.is_disruptive() && step.action != Action::Create,
        ChangePolicy::ApproveAll => true,
    }
}
