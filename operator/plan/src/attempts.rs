//! What a pass tries. One that tries just what the one before tried got nowhere by it: AWS accepts a change and keeps the old
//! value, or accepts a deletion and goes on showing the resource, SQS for up to a minute. Pure.

use std::collections::BTreeMap;

use crate::{
    aws::AwsKind,
    observed::Observed,
    plan::{FieldChange, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
    sensitive::fingerprint,
};

/// What a pass tries with each resource that it plans something for: a fingerprint of the operation, of what is desired, and of each
/// field that differs with its values. `None` where it takes no step that should not come again: what is refused waits by itself, and
/// what is done part by part comes again as long as there is something left. A resource that is not in here is at rest.
#[must_use]
pub fn attempts(plan: &Plan, observed: &Observed) -> BTreeMap<ResourceKey, Option<String>> {
    let mut attempts: BTreeMap<ResourceKey, Option<String>> = BTreeMap::new();
    for step in &plan.steps {
        let attempt = attempts.entry(step.key.clone()).or_default();
        if step.is_free() && !is_one_of_many(step, observed) {
            *attempt = Some(attempt_of(step));
        }
    }
    attempts
}

/// What a step tries: a fingerprint of the operation, of what is desired, and of each field that differs with its values.
#[must_use]
pub fn attempt_of(step: &Step) -> String {
    let (operation, desired) = match &step.operation {
        Operation::AwsCreate { desired } => ("create", desired.intent()),
        Operation::AwsUpdate { desired, fields } => {
            ("update", format!("{}\n{fields:?}", desired.intent()))
        }
        Operation::AwsAdopt { desired } => ("adopt", desired.intent()),
        Operation::AwsDelete { mode } => ("delete", format!("{mode:?}")),
        Operation::KubernetesApply { desired } => ("apply", desired.comparable().to_string()),
        Operation::KubernetesDelete => ("remove", String::new()),
        Operation::DrainNodes => ("drain", String::new()),
        Operation::UncordonNodes => ("uncordon", String::new()),
        Operation::Forget => ("forget", String::new()),
        Operation::LeaveBehind(_) => ("leave", String::new()),
        Operation::Wait => ("wait", String::new()),
    };
    let changes: Vec<(&str, &str, &str)> = step
        .changes
        .iter()
        .map(
            |FieldChange {
                 field, from, to, ..
             }| (field.as_str(), from.as_str(), to.as_str()),
        )
        .collect();
    fingerprint(format!("{operation}\n{desired}\n{changes:?}").as_bytes())
}

/// Whether each time is another part of the work (pods go as their disruption budget allows, a bucket is emptied page by page), or
/// there is none.
fn is_one_of_many(step: &Step, observed: &Observed) -> bool {
    match &step.operation {
        Operation::DrainNodes | Operation::Forget | Operation::LeaveBehind(_) => true,
        Operation::AwsDelete { .. } => {
            step.key.kind == ResourceKind::Aws(AwsKind::S3Bucket)
                && observed
                    .present(&step.key)
                    .is_some_and(|present| present.empty == Some(false))
        }
        _ => false,
    }
}
