//! Nodes follow their node group, and pods follow their nodes.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{
    NodegroupScalingConfig, NodegroupStatus, Taint, TaintEffect, UpdateLabelsPayload,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::{eventually, is_running, start};

async fn nodes_of(client: &Client, group: &str) -> Vec<Node> {
    let nodes: Api<Node> = Api::all(client.clone());
    nodes
        .list(&ListParams::default().labels(&format!("eks.amazonaws.com/nodegroup={group}")))
        .await
        .unwrap()
        .items
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn scaling(desired: i32) -> NodegroupScalingConfig {
    NodegroupScalingConfig::builder()
        .min_size(0)
        .max_size(6)
        .desired_size(desired)
        .build()
}

async fn running_pods(client: &Client) -> Vec<Pod> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let mut pods = pods
        .list(&ListParams::default().labels("app=orders"))
        .await
        .unwrap()
        .items;
    pods.retain(|pod| {
        pod.status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            == Some("Running")
    });
    pods
}

fn deployment() -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "orders"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "orders"}},
            "template": {
                "metadata": {"labels": {"app": "orders"}},
                "spec": {
                    "nodeSelector": {"octank.example/tier": "orders"},
                    // On more than one node, so that a node that goes has a pod which the budget keeps.
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "nodeTaintsPolicy": "Honor",
                        "labelSelector": {"matchLabels": {"app": "orders"}},
                    }],
                    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                    "containers": [{"name": "orders", "image": "orders"}],
                },
            },
        },
    }))
    .unwrap()
}

/// EKS takes one change at a time.
async fn until_active(eks: &aws_sdk_eks::Client, cluster: &str) {
    eventually("an active node group", || async {
        let request = eks
            .describe_nodegroup()
            .cluster_name(cluster)
            .nodegroup_name("orders");
        let group = request.send().await.unwrap().nodegroup.unwrap();
        group.status == Some(NodegroupStatus::Active)
    })
    .await;
}

#[tokio::test]
async fn nodes_follow_their_node_group() {
    let environment = start("node-groups").await;
    let client = environment.client().unwrap();
    let eks = aws_sdk_eks::Client::new(&environment.aws_config().unwrap());
    let seed = environment.aws_seed().unwrap();
    let cluster = seed["cluster"].as_str().unwrap();
    let subnets = seed["private_subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subnet| subnet.as_str().unwrap().to_owned());

    let iam = aws_sdk_iam::Client::new(&environment.aws_config().unwrap());
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    });
    let role = iam
        .create_role()
        .role_name("octank-nodes")
        .assume_role_policy_document(trust.to_string());
    let role = role.send().await.unwrap().role.unwrap();

    let create = eks
        .create_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name("orders")
        .version("1.35")
        .set_subnets(Some(subnets.collect()))
        .instance_types("m7g.xlarge")
        .node_role(role.arn())
        .scaling_config(scaling(3))
        .labels("octank.example/tier", "orders")
        .taints(
            Taint::builder()
                .key("dedicated")
                .value("orders")
                .effect(TaintEffect::NoSchedule)
                .build(),
        );
    create.send().await.unwrap();
    eventually("three ready nodes", || async {
        let nodes = nodes_of(&client, "orders").await;
        nodes.len() == 3 && nodes.iter().all(is_ready)
    })
    .await;
    let nodes = nodes_of(&client, "orders").await;
    let zones: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node.labels()["topology.kubernetes.io/zone"].as_str())
        .collect();
    assert_eq!(
        zones,
        BTreeSet::from(["eu-west-1a", "eu-west-1b", "eu-west-1c"])
    );
    for node in &nodes {
        assert_eq!(node.labels()["kubernetes.io/arch"], "arm64");
        assert_eq!(node.labels()["octank.example/tier"], "orders");
        let taints = node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.as_ref())
            .unwrap();
        assert!(
            taints
                .iter()
                .any(|taint| taint.key == "dedicated" && taint.effect == "NoSchedule")
        );
    }

    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments
        .create(&PostParams::default(), &deployment())
        .await
        .unwrap();
    eventually("four running pods", || async {
        running_pods(&client).await.len() == 4
    })
    .await;

    // Fewer nodes: drained within the disruption budget, which lets no pod go until it is removed.
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(client.clone());
    let budget = json!({
        "metadata": {"name": "orders"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "orders"}}},
    });
    budgets
        .create(
            &PostParams::default(),
            &serde_json::from_value(budget).unwrap(),
        )
        .await
        .unwrap();
    let update = || {
        eks.update_nodegroup_config()
            .cluster_name(cluster)
            .nodegroup_name("orders")
    };
    update().scaling_config(scaling(1)).send().await.unwrap();
    // The scheduler may have left one of the three without a pod: that one is gone at once, whatever the budget.
    eventually(
        "one node left that takes pods, beside one that is kept",
        || async {
            let nodes = nodes_of(&client, "orders").await;
            let cordoned = nodes
                .iter()
                .filter(|node| node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true))
                .count();
            cordoned >= 1 && nodes.len() - cordoned == 1
        },
    )
    .await;
    assert_eq!(
        running_pods(&client).await.len(),
        4,
        "the budget allows no eviction"
    );
    budgets
        .delete("orders", &DeleteParams::default())
        .await
        .unwrap();
    eventually("one node with all pods", || async {
        let (nodes, pods) = (
            nodes_of(&client, "orders").await,
            running_pods(&client).await,
        );
        nodes.len() == 1
            && pods.len() == 4
            && pods.iter().all(|pod| {
                pod.spec.as_ref().unwrap().node_name.as_deref() == Some(&nodes[0].name_any())
            })
    })
    .await;

    // A changed label reaches the node that is there.
    let node = nodes_of(&client, "orders").await[0].name_any();
    until_active(&eks, cluster).await;
    let labels = UpdateLabelsPayload::builder()
        .add_or_update_labels("octank.example/season", "sale")
        .build();
    update().labels(labels).send().await.unwrap();
    eventually("the new label", || async {
        nodes_of(&client, "orders").await.iter().any(|found| {
            found.name_any() == node
                && found
                    .labels()
                    .get("octank.example/season")
                    .is_some_and(|value| value == "sale")
        })
    })
    .await;

    // A new version replaces the node, and only once the new one is ready.
    until_active(&eks, cluster).await;
    let upgrade = eks
        .update_nodegroup_version()
        .cluster_name(cluster)
        .nodegroup_name("orders");
    upgrade.version("1.36").send().await.unwrap();
    // EKS is not done before the old node is gone.
    until_active(&eks, cluster).await;
    let nodes = nodes_of(&client, "orders").await;
    assert_eq!(nodes.len(), 1, "an active group has its own nodes only");
    assert_ne!(nodes[0].name_any(), node, "an active group has new nodes");
    eventually("all pods on a node of the new version", || async {
        let nodes = nodes_of(&client, "orders").await;
        assert!(
            nodes.iter().any(is_ready),
            "the group is never without a ready node"
        );
        let version = |node: &Node| {
            node.status
                .clone()?
                .node_info
                .map(|info| info.kubelet_version)
        };
        nodes.len() == 1
            && nodes[0].name_any() != node
            && version(&nodes[0]).is_some_and(|version| version.starts_with("v1.36"))
            && running_pods(&client).await.len() == 4
    })
    .await;

    until_active(&eks, cluster).await;
    eks.delete_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name("orders")
        .send()
        .await
        .unwrap();
    eventually("no nodes", || async {
        nodes_of(&client, "orders").await.is_empty()
    })
    .await;

    environment.ensure_running().unwrap();
    let (pids, kubeconfig) = (environment.pids(), environment.kubeconfig_path().to_owned());
    assert_eq!(
        pids.len(),
        6,
        "etcd, API server, controller manager, scheduler, KWOK and the AWS double"
    );
    environment.stop().await.unwrap();
    assert_eq!(pids.into_iter().filter(|pid| is_running(*pid)).count(), 0);
    assert!(!kubeconfig.exists());
}
