//! What is looked at once more before it is changed: whose it is, what it holds and what differs may be others by then.

use std::time::{Duration, Instant};

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Holding},
    decisions,
    plan::{Blocker, DeleteMode, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

use super::{Scoped, Site, Subject};

/// What is deleted was seen within this time, however long a look goes on: eleven calls of a bucket with a token a second.
const BEFORE_DELETION: Duration = Duration::from_secs(30);

impl<K: Scoped> Subject<'_, K> {
    /// Forgets what was seen before a moment of what is about to be changed; says whether there is any.
    pub(super) async fn forget_older(&self, site: &Site<'_>, plan: &Plan, moment: Instant) -> bool {
        // Whether a queue is empty decides whether it goes: that has to be seen now, or nearly so.
        let lately = Instant::now()
            .checked_sub(BEFORE_DELETION)
            .map_or(moment, |lately| lately.max(moment));
        let observer = &site.session.observer;
        let mut any = false;
        for step in plan.free_steps() {
            let moment = match step.operation {
                Operation::AwsUpdate { .. } | Operation::AwsAdopt { .. } => moment,
                Operation::AwsDelete { .. } | Operation::Forget | Operation::LeaveBehind(_) => {
                    lately
                }
                _ => continue,
            };
            any |= observer.forget_older(&step.key, &site.scope, moment).await;
        }
        // What people decide on is not to rest on an old look either: one that is not empty is kept.
        let shown = decisions::shown(&self.status(), &self.owner).hash;
        let is_asked_first = plan.decisions.hash.is_some() && plan.decisions.hash != shown;
        for step in plan
            .steps
            .iter()
            .filter(|step| is_asked_first && goes_if_empty(step))
        {
            any |= observer.forget_older(&step.key, &site.scope, lately).await;
        }
        for key in taken_over(plan) {
            any |= observer.forget_older(key, &site.scope, moment).await;
        }
        any
    }
}

/// Whether a step waits for approval that only deletes what is empty.
fn goes_if_empty(step: &Step) -> bool {
    let is_deleted = matches!(
        step.operation,
        Operation::AwsDelete {
            mode: DeleteMode::Snapshot
        }
    );
    step.key.holds(Holding::UnsavedData)
        && is_deleted
        && step.blocked_by.contains(&Blocker::Approval)
}

/// Node groups whose place another one takes: it begins with as many nodes as they have now, which an autoscaler may have changed a moment
/// ago.
fn taken_over(plan: &Plan) -> impl Iterator<Item = &ResourceKey> {
    let begins = plan.free_steps().any(|step| {
        matches!(
            &step.operation,
            Operation::AwsCreate { desired }
                if matches!(&**desired, AwsResource::NodeGroup(group) if group.desired_size.is_some())
        )
    });
    plan.steps
        .iter()
        .filter(move |step| {
            begins
                && step.key.kind == ResourceKind::Aws(AwsKind::NodeGroup)
                && !matches!(step.operation, Operation::AwsCreate { .. })
        })
        .map(|step| &step.key)
}
