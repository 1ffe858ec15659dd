//! What a person is asked to approve.

use super::{
    NAMED,
    words::{few, summary},
};
use crate::plan::Plan;

/// What waits, what each of it does, and how to let it happen. The plan in the status has all of it.
pub(super) fn message(plan: &Plan) -> String {
    let waiting = plan.decisions.steps.iter().filter(|step| !step.approved);
    let named: Vec<String> = waiting
        .map(|step| format!("{}: {} ({})", step.key, step.change, step.effect.label()))
        .collect();
    format!(
        "{}{}. Approve with the annotation {}={}",
        summary(plan),
        few(&named, NAMED),
        shopkeeper_api::APPROVE,
        plan.approval_hash().unwrap_or_default(),
    )
}
