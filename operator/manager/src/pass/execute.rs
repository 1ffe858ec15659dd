//! Execute: every step that is free, concurrently. One call a step; nothing is waited for.

use futures::{FutureExt as _, StreamExt as _, stream};
use kube::{
    api::PropagationPolicy,
    core::{DynamicObject, GroupVersionKind},
};
use shopkeeper_api::Managed;
use shopkeeper_aws::{DeletionToken, calls::noting_writes};
use shopkeeper_kube::{
    apply::ObjectIdentity,
    packed::{self, PackedObject},
};
use shopkeeper_plan::{
    attempts::{attempt_of, in_vain},
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind, KubernetesObject,
        surplus::{removal, surplus},
    },
    names::{OWNER_UID_TAG, RETAINED_TAG},
    observed::{Lifecycle, Observed, Present},
    plan::{Action, Blocker, Operation, Plan, Step},
    planner::{DriftPolicy, Policies, foreign_object},
    resource::ResourceKind,
};

use super::{Scoped, Site, Subject, drain, failure_of, observe};
use crate::{memory::Attempt, stores::reduce};

/// Steps of one pass that are under way at once. AWS's own limits are per account, far below what one pass could send.
const AT_ONCE: usize = 8;

/// What came of the steps.
#[derive(Debug, Default)]
pub(super) struct Executed {
    /// Steps that were taken and accepted.
    pub done: usize,
    /// Positions in the plan of the steps that were taken and accepted.
    pub accepted: Vec<usize>,
    /// Whether one of them was taken that had been in vain so far.
    pub in_vain: bool,
}

/// Takes the free steps. A step that fails is marked as refused in the plan, and the report tells of it.
pub(super) async fn execute<K: Scoped>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    plan: &mut Plan,
    observed: &Observed,
) -> Executed {
    let memory = &subject.world.memory;
    let (uid, requested) = (&subject.owner.uid, subject.requested());
    let mut free = Vec::new();
    let mut known = Vec::new();
    for (position, step) in plan
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.is_free())
    {
        let attempt = Attempt {
            key: step.key.clone(),
            what: attempt_of(step, observed),
            requested: requested.clone(),
            deletes: matches!(step.operation, Operation::AwsDelete { .. }),
        };
        if let Some(failure) = memory.refused_lately(uid, &attempt, subject.seed()) {
            known.push((position, failure));
            continue;
        }
        let taken = noting_writes(take(subject, site, step, observed));
        free.push(
            taken
                .map(move |(result, has_written)| (position, attempt, result, has_written))
                .boxed(),
        );
    }
    let results: Vec<(usize, Attempt, Result<(), Failure>, bool)> =
        stream::iter(free).buffer_unordered(AT_ONCE).collect().await;
    for (position, failure) in known {
        plan.steps[position]
            .blocked_by
            .push(Blocker::Refused(failure));
    }
    let mut executed = Executed::default();
    for (position, attempt, result, has_written) in results {
        let step = &mut plan.steps[position];
        // Whatever AWS answered, a lost answer included, what was known before is not to be trusted any more. Where the budget let
        // out nothing, it is: reading it anew would take the tokens that the next try needs, each time.
        let untouched = matches!(&result, Err(failure) if failure.is_budget_spent());
        if has_written || (changes_aws(step) && !untouched) {
            site.session.observer.forget(&step.key);
        }
        // Taken once more all the same: whoever put it back may have stopped.
        let result = result.and_then(|()| {
            let (times, lasted) = memory.tried_before(uid, &attempt);
            let failure = in_vain(step, times, lasted);
            executed.in_vain |= failure.is_some();
            failure.map_or(Ok(()), Err)
        });
        let label = result
            .as_ref()
            .map_or_else(|failure| failure.class.label(), |()| "ok");
        subject
            .world
            .metrics
            .step(step.key.kind.id(), action_label(step), label);
        memory.was_tried(uid, attempt, result.as_ref().err());
        match result {
            Ok(()) => {
                tracing::info!(resource = %step.key, action = ?step.action, "step taken");
                if !matches!(
                    step.operation,
                    Operation::Forget | Operation::LeaveBehind(_)
                ) {
                    executed.done += 1;
                }
                executed.accepted.push(position);
            }
            // Somebody was quicker, or AWS is busy with it: the next pass sees what is there now.
            Err(failure) => {
                tracing::info!(resource = %step.key, action = ?step.action, class = failure.class.label(), %failure, "step refused");
                step.blocked_by.push(Blocker::Refused(failure));
            }
        }
    }
    executed.accepted.sort_unstable();
    executed
}

fn action_label(step: &Step) -> &'static str {
    match step.action {
        Action::Create => "create",
        Action::Update if step.is_repair => "repair",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Adopt => "adopt",
        Action::Retain => "retain",
        Action::Wait => "wait",
    }
}

async fn take<K: Managed>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    step: &Step,
    observed: &Observed,
) -> Result<(), Failure> {
    let account = &site.session.account;
    let writer = &subject.world.writer;
    match &step.operation {
        Operation::AwsCreate { desired } => account.create(desired).await,
        Operation::AwsUpdate { desired, fields } => {
            let present = present(step, observed)?;
            account.update(desired, present, fields).await
        }
        Operation::AwsAdopt { desired } => {
            let present = present(step, observed)?;
            account.update(desired, present, &["tags".to_owned()]).await
        }
        Operation::AwsDelete { mode } => {
            let present = present(step, observed)?;
            if matches!(present.lifecycle, Lifecycle::DeletionFailed(_)) {
                let memory = &subject.world.memory;
                memory.deleted_again(&subject.owner.uid, &step.key);
            }
            // What was taken out, put back and written to since is not saved by the backup of the first time.
            let owner = &subject.owner;
            let token = DeletionToken::new(&owner.uid, &step.key, owner.generation);
            account.delete(present, *mode, &token).await
        }
        Operation::KubernetesApply { desired } => {
            apply(subject, step, desired, observed, site.policies).await
        }
        Operation::KubernetesDelete => delete(subject, step, observed).await,
        Operation::DrainNodes => match observed.nodes.get(&step.key.name) {
            Some(group) => drain::drain(writer, &subject.owner.path(), group).await,
            None => Ok(()),
        },
        Operation::UncordonNodes => match observed.nodes.get(&step.key.name) {
            Some(group) => drain::uncordon(writer, group).await,
            None => Ok(()),
        },
        Operation::Forget | Operation::LeaveBehind(_) => keep(subject, site, step, observed).await,
        Operation::Wait => Ok(()),
    }
}

/// Tells in AWS that a resource of ours is kept on purpose: it carries our tags, and would be taken for one that an inventory lost. Once
/// its custom resource is gone nobody takes it for that.
async fn keep<K: Managed>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    step: &Step,
    observed: &Observed,
) -> Result<(), Failure> {
    let Some(present) = observed.present(&step.key) else {
        return Ok(());
    };
    let tags = present.tags();
    // What is not ours is left as it is, and so is what has no tags.
    let is_ours = tags.get(OWNER_UID_TAG) == Some(&subject.owner.uid);
    let is_ending = subject.object.meta().deletion_timestamp.is_some();
    if !is_ours || is_ending || tags.contains_key(RETAINED_TAG) {
        return Ok(());
    }
    let mut marked = present.resource.clone();
    let tags = marked.tags_mut();
    tags.insert(RETAINED_TAG.to_owned(), "true".to_owned());
    let account = &site.session.account;
    account.update(&marked, present, &["tags".to_owned()]).await
}

/// Whether a step asks AWS for a change.
fn changes_aws(step: &Step) -> bool {
    matches!(
        step.operation,
        Operation::AwsCreate { .. }
            | Operation::AwsUpdate { .. }
            | Operation::AwsAdopt { .. }
            | Operation::AwsDelete { .. }
    )
}

fn present<'a>(step: &Step, observed: &'a Observed) -> Result<&'a Present, Failure> {
    observed.present(&step.key).ok_or_else(|| {
        Failure::new(
            Class::Bug,
            format!(
                "{} was planned to be changed without having been observed",
                step.key
            ),
        )
    })
}

fn identity<K: Managed>(
    subject: &Subject<'_, K>,
    kind: KubernetesKind,
    name: &str,
) -> ObjectIdentity {
    let (group, version) = kind.group_and_version();
    ObjectIdentity {
        kind: GroupVersionKind::gvk(group, version, kind.id()),
        namespace: Some(subject.owner.namespace.clone()),
        name: name.to_owned(),
    }
}

/// Applies an object. Before the first apply the API server is asked whether somebody else has one of that name: the caches
/// hold only what is labelled as ours, and an apply by force would take it over.
async fn apply<K: Managed>(
    subject: &Subject<'_, K>,
    step: &Step,
    desired: &KubernetesObject,
    observed: &Observed,
    policies: Policies,
) -> Result<(), Failure> {
    let world = subject.world;
    let uid = &subject.owner.uid;
    let found = if step.action == Action::Create {
        let existing = world
            .writer
            .get(&identity(subject, desired.kind, &desired.name))
            .await
            .map_err(|error| failure_of(&error))?;
        // Its creation is written down: an object with our labels that nobody owns was left without its owner.
        existing.map(|object| {
            let body = packed::whole(object);
            observe::observed_object(desired.kind, body, &subject.owner, true)
        })
    } else {
        observed.kubernetes.get(&step.key).cloned()
    };
    if let Some(foreign) = found.as_ref().filter(|found| !found.ours) {
        return Err(foreign_object(&step.key, &foreign.body));
    }
    let mut applied = world
        .writer
        .apply(&desired.to_apply(found.as_ref().map(|found| &found.body)))
        .await
        .map_err(|error| failure_of(&error))?;
    if policies.drift == DriftPolicy::Repair {
        applied = without_surplus(subject, step, desired, applied).await?;
    }
    reduce(desired.kind, &mut applied);
    let applied = PackedObject::of(applied);
    world.memory.applied(uid, &step.key, applied);
    Ok(())
}

/// Takes away what somebody else added, which an apply leaves alone.
async fn without_surplus<K: Managed>(
    subject: &Subject<'_, K>,
    step: &Step,
    desired: &KubernetesObject,
    applied: DynamicObject,
) -> Result<DynamicObject, Failure> {
    let body = |object: &DynamicObject| {
        let body = packed::whole(object.clone());
        observe::observed_object(desired.kind, body, &subject.owner, true).body
    };
    let added = surplus(desired, &body(&applied));
    if added.is_empty() {
        return Ok(applied);
    }
    let identity = identity(subject, desired.kind, &desired.name);
    let patched = subject
        .world
        .writer
        .patch(&identity, &removal(&added))
        .await
        .map_err(|error| failure_of(&error))?;
    match surplus(desired, &body(&patched)).first() {
        None => Ok(patched),
        // Taking it away again and again would only be a fight.
        Some(again) => Err(Failure::new(
            Class::Invalid,
            format!("{}: {} is added again whenever it is taken away", step.key, again.path),
        )
        .with_remedy(
            "find the admission webhook or the controller that adds it; or set policy.drift to Report",
        )),
    }
}

async fn delete<K: Managed>(
    subject: &Subject<'_, K>,
    step: &Step,
    observed: &Observed,
) -> Result<(), Failure> {
    let ResourceKind::Kubernetes(kind) = step.key.kind else {
        return Ok(());
    };
    let Some(object) = observed.kubernetes.get(&step.key) else {
        return Ok(());
    };
    let propagation = if kind.outlives_its_pods() {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    let identity = identity(subject, kind, &step.key.name);
    subject
        .world
        .writer
        .delete(&identity, &object.uid, propagation)
        .await
        .map_err(|error| failure_of(&error))?;
    subject
        .world
        .memory
        .deleted(&subject.owner.uid, &step.key, &object.uid);
    Ok(())
}
