//! The pods that something waits for: those on nodes that are to go, and those that use what is to go.
//!
//! No cache holds pods: a cluster has many of them, and they are asked for only where something is about to go.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    api::core::v1::Pod,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use shopkeeper_api::Managed;
use shopkeeper_kube::Error;
use shopkeeper_plan::{
    blueprint::Blueprint,
    kubernetes::{
        KubernetesKind,
        object::{COMPONENT, INSTANCE, MANAGED_BY, SHOPKEEPER},
    },
    observed::{Observed, ObservedNode, ObservedPod, WorkloadPod},
    resolve::fargate::EKS_FARGATE_LABEL,
    resource::{ResourceKey, ResourceKind},
};

use super::Subject;

/// Lists of pods that are asked for at once.
const LISTS_AT_ONCE: usize = 4;

/// Pods of a page. A node takes 110 by default, and up to 737 on EKS.
const PODS_IN_A_PAGE: u32 = 250;

/// For how long a pod may be there after it should have ended, its grace included: the garbage collector and the kubelet take a while.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

/// The pods on the nodes of a group that a drain has to move: not those of a DaemonSet, which belong to the node, and not
/// those that have ended. One list for each node, as `kubectl drain` does: the API server finds those by an index, and can select by
/// one node only, while a list for the whole group would be one of all the pods of the cluster.
pub(super) async fn on_nodes(
    client: &Client,
    nodes: &[ObservedNode],
) -> Result<Vec<ObservedPod>, Error> {
    let api: Api<Pod> = Api::all(client.clone());
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let lists: Vec<Vec<ObservedPod>> = stream::iter(names)
        .map(|node| {
            let on_it = ListParams::default().fields(&format!("spec.nodeName={node}"));
            list(api.clone(), on_it, evictable)
        })
        .buffered(LISTS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(lists.into_iter().flatten().collect())
}

/// The pods that a Fargate profile took, by the label that EKS gives them. A profile of ours takes none of another namespace.
pub(super) async fn of_profile<K: Managed>(
    subject: &Subject<'_, K>,
    profile: &str,
) -> Result<Vec<ObservedPod>, Error> {
    let client = subject.world.client.clone();
    let api: Api<Pod> = Api::namespaced(client, &subject.owner.namespace);
    let selector = format!("{EKS_FARGATE_LABEL}={profile}");
    list(api, ListParams::default().labels(&selector), evictable).await
}

/// The pods of the Deployments of a custom resource, where it or a part of it is to go. By their labels, since a Deployment may be gone
/// without them: of each that is desired, known to have been made, or there and ours.
pub(super) async fn of_deployments<K: Managed>(
    subject: &Subject<'_, K>,
    draft: &Blueprint,
    known: &BTreeSet<ResourceKey>,
    observed: &Observed,
) -> Result<BTreeMap<ResourceKey, Vec<WorkloadPod>>, Error> {
    let ours = observed.kubernetes.iter().filter(|(_, object)| object.ours);
    let known: BTreeSet<&ResourceKey> = known.iter().chain(ours.map(|(key, _)| key)).collect();
    let is_to_go = |key: &ResourceKey| {
        subject.object.meta().deletion_timestamp.is_some() || draft.get(key).is_none()
    };
    let deployments: BTreeSet<&ResourceKey> = known
        .iter()
        .copied()
        .filter(|key| key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment))
        .filter(|key| {
            observed
                .kubernetes
                .get(*key)
                .is_none_or(|object| object.ours)
        })
        .collect();
    if deployments.is_empty() || !known.iter().any(|key| is_to_go(key)) {
        return Ok(BTreeMap::new());
    }
    let owner = &subject.owner;
    let api: Api<Pod> = Api::namespaced(subject.world.client.clone(), &owner.namespace);
    let labels = format!("{MANAGED_BY}={SHOPKEEPER},{INSTANCE}={}", owner.name);
    let now = Timestamp::now();
    let mut found: BTreeMap<ResourceKey, Vec<WorkloadPod>> = BTreeMap::new();
    let page = ListParams::default().labels(&labels);
    for (component, pod) in list(api, page, |pod| workload_pod(pod, now)).await? {
        let deployment = ResourceKey::kubernetes(KubernetesKind::Deployment, component);
        if deployments.contains(&deployment) {
            found.entry(deployment).or_default().push(pod);
        }
    }
    let running = found
        .iter()
        .filter(|(key, pods)| is_to_go(key) && is_deleted(key, observed) && !all_end(pods));
    let running: BTreeSet<ResourceKey> = running.map(|(key, _)| key.clone()).collect();
    for key in subject.world.memory.left_running(&owner.uid, &running) {
        for pod in found.entry(key).or_default() {
            pod.is_overdue |= !pod.is_ending;
        }
    }
    Ok(found)
}

fn is_deleted(deployment: &ResourceKey, observed: &Observed) -> bool {
    let found = observed.kubernetes.get(deployment);
    found.is_none_or(|object| object.is_terminating())
}

fn all_end(pods: &[WorkloadPod]) -> bool {
    pods.iter().all(|pod| pod.is_ending)
}

/// What a list holds, page by page.
async fn list<T>(
    api: Api<Pod>,
    page: ListParams,
    keep: impl Fn(&Pod) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut page = page.limit(PODS_IN_A_PAGE);
    let mut found = Vec::new();
    loop {
        let pods = api.list(&page).await?;
        found.extend(pods.items.iter().filter_map(&keep));
        match pods.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn evictable(pod: &Pod) -> Option<ObservedPod> {
    let of_daemon_set = pod
        .owner_references()
        .iter()
        .any(|owner| owner.kind == "DaemonSet" || owner.kind == "Node");
    (!of_daemon_set && !has_ended(pod)).then(|| ObservedPod {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        is_ending: pod.metadata.deletion_timestamp.is_some(),
    })
}

/// A pod that runs, with the component that it belongs to.
fn workload_pod(pod: &Pod, now: Timestamp) -> Option<(String, WorkloadPod)> {
    if has_ended(pod) {
        return None;
    }
    let label = |name: &str| pod.labels().get(name).cloned();
    // By when it was to have ended: its grace is in it.
    let end = pod.metadata.deletion_timestamp.as_ref();
    let mut owners = pod.owner_references().iter();
    let found = WorkloadPod {
        name: pod.name_any(),
        version: label("pod-template-hash").unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        replica_set: owners
            .find(|owner| owner.kind == "ReplicaSet")
            .map(|owner| owner.name.clone()),
        is_ending: end.is_some(),
        is_overdue: end.is_some_and(|end| now.duration_since(end.0) > OVERDUE),
    };
    Some((label(COMPONENT)?, found))
}

fn has_ended(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(change: Value) -> Pod {
        let mut pod = json!({
            "metadata": {
                "name": "orders-6f7-x", "namespace": "shop", "labels": {COMPONENT: "orders", "pod-template-hash": "6f7"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "orders-6f7", "uid": "u", "controller": true}],
            },
            "spec": {"containers": [], "nodeName": "ip-10-0-1-5"},
            "status": {"phase": "Running"},
        });
        for (place, value) in change.as_object().unwrap() {
            *pod.pointer_mut(place).unwrap() = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_is_overdue_a_minute_after_it_was_to_have_ended() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let seen = |end: Option<&str>| {
            let mut pod = pod(json!({}));
            pod.metadata.deletion_timestamp =
                end.map(|end| serde_json::from_value(json!(end)).unwrap());
            let (component, pod) = workload_pod(&pod, now).unwrap();
            assert_eq!(component, "orders");
            assert_eq!(pod.replica_set.as_deref(), Some("orders-6f7"));
            (pod.is_ending, pod.is_overdue)
        };
        assert_eq!(seen(None), (false, false));
        // It is told, and has until then.
        assert_eq!(seen(Some("2026-01-01T00:11:00Z")), (true, false));
        assert_eq!(seen(Some("2026-01-01T00:09:30Z")), (true, false));
        assert_eq!(seen(Some("2026-01-01T00:08:30Z")), (true, true));
    }

    #[test]
    fn what_has_ended_uses_nothing() {
        for phase in ["Succeeded", "Failed"] {
            assert!(
                workload_pod(&pod(json!({"/status/phase": phase})), Timestamp::now()).is_none()
            );
        }
        assert!(
            workload_pod(&pod(json!({"/status/phase": "Unknown"})), Timestamp::now()).is_some()
        );
    }
}
