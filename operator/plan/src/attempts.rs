//! What a pass tries. One that tries just what the one before tried got nowhere by it: AWS accepts a change and keeps the old
//! value, or accepts a deletion and goes on showing the resource, SQS for up to a minute. Pure.

use crate::{
    aws::AwsKind,
    observed::Observed,
    plan::{Operation, Plan, Step},
    report,
    resource::ResourceKind,
};

/// The steps of a plan that were taken and that should not come again. Those that are refused wait by themselves, and what is done
/// part by part comes again as long as there is something left.
#[must_use]
pub fn attempts(plan: &Plan, observed: &Observed) -> Vec<String> {
    plan.free_steps()
        .filter(|step| !is_one_of_many(step, observed))
        .map(report::describe)
        .collect()
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
