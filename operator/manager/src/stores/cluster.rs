//! What is watched of the cluster itself: its nodes, and the labels of its namespaces.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{
    Api, Client, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
};
use shopkeeper_kube::{
    metrics::WatchMetrics,
    store::{Change, Store},
    watch::Watch,
};
use shopkeeper_plan::resolve::nodes::{EKS_NODE_GROUP_LABEL, NODES_LABEL};
use tokio_util::sync::CancellationToken;

use super::Late;
use crate::queues::Queues;

/// Index of nodes by their node group.
pub const NODE_GROUP_INDEX: &str = "node-group";

pub(super) fn start_nodes(
    client: &Client,
    queues: &Queues,
    late: &Late,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<Node> {
    let api: Api<DeserializeGuard<Node>> = Api::all(client.clone());
    let queues = queues.clone();
    let late = Arc::clone(late);
    Watch::objects(api, &())
        .labels(NODES_LABEL)
        // A node lists every image it holds; only its conditions and taints matter here.
        .prune(|node: &mut Node| {
            if let Some(status) = &mut node.status {
                status.images = None;
                status.volumes_attached = None;
                status.volumes_in_use = None;
            }
        })
        .index(NODE_GROUP_INDEX, |node: &Node| {
            node.labels()
                .get(EKS_NODE_GROUP_LABEL)
                .cloned()
                .into_iter()
                .collect()
        })
        .on_change(move |change: &Change<Node>| {
            let seen: Vec<_> = change
                .states()
                .map(|node| {
                    (
                        node_is_ready(node),
                        node_is_unschedulable(node),
                        is_cordoned_by_us(node),
                    )
                })
                .collect();
            let same = seen.len() == 2 && seen[0] == seen[1];
            let Some(stores) = late.get().filter(|_| !same) else {
                return;
            };
            let Some(label) = change
                .object()
                .and_then(|node| node.labels().get(NODES_LABEL).cloned())
            else {
                return;
            };
            for (kind, key) in stores.owners_of_nodes(&label) {
                queues.add(kind, key, change.lane());
            }
        })
        .start(metrics, shutdown.clone())
}

pub(super) fn start_namespaces(
    client: &Client,
    queues: &Queues,
    late: &Late,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<PartialObjectMeta<Namespace>> {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let queues = queues.clone();
    let late = Arc::clone(late);
    Watch::metadata(api, &())
        .on_change(move |change: &Change<PartialObjectMeta<Namespace>>| {
            let labels: Vec<_> = change
                .states()
                .map(|namespace| namespace.labels().clone())
                .collect();
            let same = labels.len() != 2 || labels[0] == labels[1];
            let Some(stores) = late.get().filter(|_| !same) else {
                return;
            };
            for (kind, key) in stores.workload_keys() {
                if key.namespace.as_deref() == Some(&change.key.name) {
                    queues.add(kind, key, change.lane());
                }
            }
        })
        .start(metrics, shutdown.clone())
}

/// Whether Kubernetes counts the node as ready.
pub fn node_is_ready(node: &Node) -> bool {
    node.status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
}

/// Whether the node is cordoned.
pub fn node_is_unschedulable(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true)
}

/// Whether the node carries the mark with which we cordon.
pub fn is_cordoned_by_us(node: &Node) -> bool {
    node.annotations()
        .contains_key(shopkeeper_api::CORDONED_FOR)
}
