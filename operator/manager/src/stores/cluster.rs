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
            let Some(stores) = late.get() else {
                return;
            };
            let name = &change.key.name;
            let mut concerned = Vec::new();
            if has_other_labels(change) {
                concerned.extend(stores.workload_keys_in(name));
            }
            if change.before.is_some() != change.after.is_some() {
                concerned.extend(stores.called_from(name));
            }
            for (kind, key) in concerned {
                queues.add(kind, key, change.lane());
            }
        })
        .start(metrics, shutdown.clone())
}

/// Whether a Platform that selects namespaces may say something else of this one by now. One that is new may be seen after the custom
/// resources in it; one that is gone takes them along.
fn has_other_labels(change: &Change<PartialObjectMeta<Namespace>>) -> bool {
    let labels = |namespace: &Arc<PartialObjectMeta<Namespace>>| namespace.labels().clone();
    let after = change.after.as_ref().map(labels);
    after.is_some() && change.before.as_ref().map(labels) != after
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use shopkeeper_kube::store::ObjectKey;

    use super::*;

    #[test]
    fn a_namespace_that_appears_is_news_and_one_that_goes_is_none() {
        let namespace = |tier: &str| {
            let object = json!({"metadata": {"name": "shop", "labels": {"tier": tier}}});
            Some(Arc::new(serde_json::from_value(object).unwrap()))
        };
        for (before, after, expected) in [
            (None, namespace("shop"), true),
            (namespace("shop"), namespace("shop"), false),
            (namespace("shop"), namespace("other"), true),
            (namespace("shop"), None, false),
        ] {
            for relisted in [false, true] {
                let change = Change {
                    key: ObjectKey::cluster("shop"),
                    before: before.clone(),
                    after: after.clone(),
                    relisted,
                };
                assert_eq!(has_other_labels(&change), expected, "{change:?}");
            }
        }
    }
}
