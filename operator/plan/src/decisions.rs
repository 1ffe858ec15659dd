//! What a person decided, between two passes: in the status. Pure.

use shopkeeper_api::status::{PlanSummary, PlannedStep, Status};

use crate::{
    names::Owner,
    plan::{Decision, Effect, Plan, ShownPlan},
    planner::Inventory,
    report,
    resource::{ResourceKey, ResourceKind},
};

/// What was approved and was not seen to be done. An approval is good for one generation.
#[must_use]
pub fn from_status(status: &Status, owner: &Owner) -> Vec<Decision> {
    plan_of(status, owner).map_or_else(Vec::new, |plan| decided(plan, true))
}

/// The plan that people see, and what waits of it.
#[must_use]
pub fn shown(status: &Status, owner: &Owner) -> ShownPlan {
    plan_of(status, owner).map_or_else(ShownPlan::default, |plan| ShownPlan {
        hash: plan.hash.clone(),
        waiting: decided(plan, false),
        changed: plan.changed.clone(),
    })
}

fn plan_of<'a>(status: &'a Status, owner: &Owner) -> Option<&'a PlanSummary> {
    status
        .plan
        .as_ref()
        .filter(|plan| plan.generation == Some(owner.generation))
}

fn decided(plan: &PlanSummary, approved: bool) -> Vec<Decision> {
    plan.steps
        .iter()
        .filter(|step| step.approved == approved)
        .filter_map(|step| {
            Some(Decision {
                key: ResourceKey {
                    kind: ResourceKind::from_id(&step.kind)?,
                    name: step.name.clone(),
                },
                change: step.change.clone(),
                effect: Effect::from_label(&step.effect)?,
                approved,
                values: step.values.iter().cloned().collect(),
            })
        })
        .collect()
}

/// Forgets what was approved and is done by now, since the pass that saw it gone took it out of the inventory: nothing need come after that
/// pass, and who reads the status would wait for it.
pub fn settle(plan: &mut Plan, after: &Inventory) {
    let Plan {
        decisions, steps, ..
    } = plan;
    decisions.steps.retain(|decision| {
        !decision.approved
            || after.contains_key(&decision.key)
            || steps.iter().any(|step| step.key == decision.key)
    });
}

/// The plan for a status: only what a person decides on, since everything else is under way and told by the conditions.
#[must_use]
pub fn to_status(plan: &Plan, owner: &Owner) -> Option<PlanSummary> {
    (!plan.decisions.steps.is_empty()).then(|| PlanSummary {
        hash: plan.decisions.hash.clone(),
        summary: report::summary(plan),
        waiting_for_approval: plan.decisions.hash.is_some(),
        generation: Some(owner.generation),
        changed: plan.decisions.changed.clone(),
        steps: plan
            .decisions
            .steps
            .iter()
            .map(|decision| PlannedStep {
                kind: decision.key.kind.id().to_owned(),
                name: decision.key.name.clone(),
                change: decision.change.clone(),
                effect: decision.effect.label().to_owned(),
                approved: decision.approved,
                values: decision.values.iter().cloned().collect(),
            })
            .collect(),
    })
}
