//! What a pass tries. One that tries just what the one before tried got nowhere by it: AWS accepts a change and keeps the old
//! value, or accepts a deletion and goes on showing the resource, SQS for up to a minute. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    aws::AwsKind,
    failure::{Class, Failure},
    observed::Observed,
    plan::{Action, FieldChange, Operation, Plan, Step},
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
            *attempt = Some(attempt_of(step, observed));
        }
    }
    attempts
}

/// What a step tries: a fingerprint of the operation, of what is desired, and of each field that differs with its values. Those of a plan are
/// shortened for people: of an index that is added to many only the whole value tells that it is another one than the last.
#[must_use]
pub fn attempt_of(step: &Step, observed: &Observed) -> String {
    let (operation, desired) = match &step.operation {
        Operation::AwsCreate { desired } => ("create", desired.intent()),
        Operation::AwsUpdate { desired, fields } => {
            let found = observed
                .present(&step.key)
                .map_or(Value::Null, |present| present.resource.to_value());
            let found: Vec<&Value> = fields.iter().map(|field| &found[field]).collect();
            let update = format!("{}\n{fields:?}\n{found:?}", desired.intent());
            ("update", update)
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

/// How often in a row AWS accepts the same change, at least, before it is told that it is in vain.
const ACCEPTED_IN_VAIN: u32 = 4;

/// For how long AWS may show what was there before a change that it accepted: SQS says so of the attributes of queues.
pub const CHANGES_SHOW_WITHIN: Duration = Duration::from_secs(60);

/// What a change that was accepted tells a person, where the same one was accepted `times` in a row before, within the time `lasted`, and
/// what was there is still shown: somebody puts it back at once, or AWS or the API server keeps the value in another spelling.
#[must_use]
pub fn in_vain(step: &Step, times: u32, lasted: Duration) -> Option<Failure> {
    let (who, whose_word) = match step.operation {
        Operation::AwsUpdate { .. } => ("AWS", "see in CloudTrail who puts it back"),
        Operation::KubernetesApply { .. } if step.action == Action::Update => (
            "the API server",
            "see in metadata.managedFields who puts it back",
        ),
        _ => return None,
    };
    if times < ACCEPTED_IN_VAIN || lasted <= CHANGES_SHOW_WITHIN {
        return None;
    }
    let shown: Vec<String> = step
        .changes
        .iter()
        .map(|change| format!("{} as {}", change.field, change.from))
        .collect();
    let message = format!(
        "{who} accepts the change each time, and goes on showing {}",
        shown.join(", ")
    );
    let mut remedy = format!(
        "{whose_word}, and stop that; where the value is only written in another way, write it so in the specification"
    );
    if step.is_repair {
        remedy.push_str("; or set policy.drift to Report");
    }
    Some(Failure::new(Class::Invalid, message).with_remedy(remedy))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::{SqsQueue, Tags},
        plan::{DeleteMode, Effect},
        planner::step,
    };

    #[test]
    fn only_a_change_that_was_accepted_many_times_is_in_vain() {
        let key = ResourceKey::aws(AwsKind::SqsQueue, "fulfilment");
        let queue = SqsQueue {
            name: "fulfilment".into(),
            fifo: false,
            content_based_deduplication: false,
            visibility_timeout_seconds: 30,
            retention_seconds: 345_600,
            delay_seconds: 5,
            receive_wait_seconds: 20,
            kms_key_arn: None,
            redrive: None,
            policy: None,
            tags: Tags::new(),
        };
        let operation = Operation::AwsUpdate {
            desired: Box::new(queue.into()),
            fields: vec!["delaySeconds".into()],
        };
        let mut change = step(&key, Action::Update, operation);
        change.changes.push(FieldChange {
            field: "delaySeconds".into(),
            from: "0".into(),
            to: "5".into(),
            effect: Effect::None,
        });
        let long = CHANGES_SHOW_WITHIN + Duration::from_secs(1);
        assert_eq!(in_vain(&change, ACCEPTED_IN_VAIN - 1, long), None);
        let soon = CHANGES_SHOW_WITHIN;
        assert_eq!(in_vain(&change, ACCEPTED_IN_VAIN, soon), None);
        let failure = in_vain(&change, ACCEPTED_IN_VAIN, long).unwrap();
        assert_eq!(failure.class, Class::Invalid);
        assert!(failure.message.ends_with("showing delaySeconds as 0"));
        assert!(!failure.remedy.contains("policy.drift"));
        change.is_repair = true;
        let failure = in_vain(&change, ACCEPTED_IN_VAIN, long).unwrap();
        assert!(failure.remedy.contains("policy.drift"));
        // A deletion that AWS goes on showing has ways of its own.
        let mode = DeleteMode::Everything;
        let deletion = step(&key, Action::Delete, Operation::AwsDelete { mode });
        assert_eq!(in_vain(&deletion, ACCEPTED_IN_VAIN, long), None);
    }
}
