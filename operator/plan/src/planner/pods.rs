//! Pods that have to end before what they use goes.
//!
//! A Deployment may be gone while its pods run on: deleted by force, or with `--cascade=orphan`. And of one that stays, pods of before may
//! take their time to end. What they write after a last backup is lost, and without their network policy anybody may call them.

use super::{Input, refused, teardown::goes_after, waiting};
use crate::{
    failure::{Class, Failure},
    observed::WorkloadPod,
    plan::{Action, Blocker, Step},
    resource::ResourceKey,
};

/// The step that waits for the pods of a Deployment that is to go; `None` where none is left.
pub(super) fn left(deployment: &ResourceKey, input: &Input<'_>) -> Option<Step> {
    let pods = input.observed.pods.get(deployment)?;
    let first = first(pods.iter())?;
    if first.is_overdue {
        return Some(refused(deployment, Action::Wait, overdue(first, input)));
    }
    let others = match pods.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let reason = format!("waits for pod {}{others} to end", path(first, input));
    Some(waiting(deployment, &reason, 0))
}

/// What of earlier versions of pods keeps a leftover from going: they were started with what was wanted then.
pub(super) fn of_before(leftover: &ResourceKey, input: &Input<'_>) -> Option<Blocker> {
    let of_before = input
        .observed
        .pods
        .iter()
        .filter(|(deployment, _)| {
            input.blueprint.get(deployment).is_some() && goes_after(leftover, deployment)
        })
        .flat_map(|(_, pods)| pods.iter().filter(|pod| is_of_before(pod, pods)));
    let first = first(of_before)?;
    Some(if first.is_overdue {
        Blocker::Refused(overdue(first, input))
    } else {
        Blocker::Pod(path(first, input))
    })
}

/// Whether no pod that stays has its version. One that ends because fewer are needed was started as those that stay.
fn is_of_before(pod: &WorkloadPod, all: &[WorkloadPod]) -> bool {
    pod.is_ending
        && !all
            .iter()
            .any(|other| !other.is_ending && other.version == pod.version)
}

/// The one that is told of: one that does not end first, and then always the same.
fn first<'a>(pods: impl Iterator<Item = &'a WorkloadPod>) -> Option<&'a WorkloadPod> {
    pods.min_by_key(|pod| (!pod.is_overdue, &pod.name))
}

fn path(pod: &WorkloadPod, input: &Input<'_>) -> String {
    format!("{}/{}", input.owner.namespace, pod.name)
}

/// Why a pod does not end, as far as can be seen, and what a person can do. Going on without it is for a person to decide: a pod on a
/// node that is only cut off still writes.
fn overdue(pod: &WorkloadPod, input: &Input<'_>) -> Failure {
    let (path, namespace) = (path(pod, input), &input.owner.namespace);
    let (message, remedy) = match (pod.is_ending, &pod.replica_set, &pod.node) {
        (false, Some(replica_set), _) => (
            format!("pod {path} runs on, and nobody has told it to end"),
            format!("delete what keeps it: kubectl delete replicaset {replica_set} -n {namespace}"),
        ),
        (false, None, _) => (
            format!("pod {path} runs on, and nobody has told it to end"),
            format!("delete it: kubectl delete pod {} -n {namespace}", pod.name),
        ),
        (true, _, Some(node)) => (
            format!("pod {path} on node {node} was told to end and has not"),
            format!(
                "see what holds it (kubectl describe pod {} -n {namespace}); if the machine of the node is gone for good, kubectl delete node \
                 {node}",
                pod.name
            ),
        ),
        (true, _, None) => (
            format!("pod {path} was told to end and has not"),
            format!(
                "take away what holds it, mostly a finalizer: kubectl describe pod {} -n {namespace}",
                pod.name
            ),
        ),
    };
    Failure::new(Class::NotReady, message).with_remedy(remedy)
}
