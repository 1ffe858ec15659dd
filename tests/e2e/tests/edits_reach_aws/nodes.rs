//! Pods, and the nodes that they run on.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_eks::types::NodegroupScalingConfig;
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals, includes};

use super::{CLUSTER, NAMESPACE, edit, make};

pub async fn pods_and_nodes(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "pods");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: pods, namespace: edits}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 2, max: 4, version: '1.35'}}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let object = |kind: &'static str| View::Object(Subject::new(kind, NAMESPACE, "pods"));
    let (deployment, autoscaler, budget) = (
        object("Deployment"),
        object("HorizontalPodAutoscaler"),
        object("PodDisruptionBudget"),
    );
    let group = View::NodeGroup(
        CLUSTER.to_owned(),
        shop.made(&subject, "NodeGroup", "nodes").await?,
    );
    let container = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    let nodes = |patch: Value| json!({"nodes": {"nodeGroup": patch}});
    let edits = vec![
        edit(
            "workload.image",
            json!({"workload": {"image": "registry.example/catalog:2"}}),
            &deployment,
            container(json!({"image": "registry.example/catalog:2"})),
        ),
        edit(
            "workload.env",
            json!({"workload": {"env": [{"name": "MODE", "value": "fast"}]}}),
            &deployment,
            container(json!({"env": [{"name": "MODE", "value": "fast"}]})),
        ),
        edit(
            "scaling.fixed",
            json!({"scaling": {"type": "Fixed", "fixed": {"replicas": 3}}}),
            &deployment,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 3}}),
        ),
        edit(
            "disruption",
            json!({"disruption": {"minAvailable": 1}}),
            &budget,
            json!({"spec": {"minAvailable": 1, "maxUnavailable": null}}),
        ),
        edit(
            "nodes.min and max",
            nodes(json!({"min": 3, "max": 6})),
            &group,
            json!({"status": "ACTIVE", "min": 3, "max": 6, "desired": 3}),
        ),
        edit(
            "nodes.labels",
            nodes(json!({"labels": {"tier": "catalog"}})),
            &group,
            json!({"labels": {"tier": "catalog"}}),
        ),
        edit(
            "nodes.taints",
            nodes(json!({"taints": [{"key": "tier", "value": "catalog", "effect": "NoSchedule"}]})),
            &group,
            json!({"status": "ACTIVE", "taints": ["shopkeeper.dev/dedicated=edits.pods:NO_SCHEDULE", "tier=catalog:NO_SCHEDULE"]}),
        ),
        edit(
            "nodes.update",
            nodes(json!({"update": {"maxUnavailablePercentage": 50}})),
            &group,
            json!({"maxUnavailable": null, "maxUnavailablePercentage": 50}),
        ),
        edit(
            "nodes.version",
            nodes(json!({"version": "1.36"})),
            &group,
            json!({"status": "ACTIVE", "version": "1.36"}),
        ),
    ];
    make(shop, &subject, edits).await?;
    every_node_has_version(shop, &subject, "v1.36").await?;

    let running = pods_of(shop, &subject).await?;
    equals("the number of pods", running.len(), 3)?;
    shop.merge(&subject, json!({"spec": {"scaling": {"type": "Autoscale", "fixed": null, "autoscale": {"min": 2, "max": 8, "cpu": 50}}}})).await?;
    shop.until_ready(&subject).await?;
    includes(
        "scaling.autoscale",
        &shop.look(&autoscaler).await?,
        &json!({"spec": {"minReplicas": 2, "maxReplicas": 8}}),
    )?;
    equals(
        "the pods, once an autoscaler scales them",
        pods_of(shop, &subject).await?,
        running,
    )?;
    let edits = vec![edit(
        "scaling.autoscale.max",
        json!({"scaling": {"autoscale": {"max": 10}}}),
        &autoscaler,
        json!({"spec": {"maxReplicas": 10}}),
    )];
    make(shop, &subject, edits).await?;
    shop.merge(&subject, json!({"spec": {"scaling": {"type": "Fixed", "fixed": {"replicas": 2}, "autoscale": null}}})).await?;
    shop.until_ready(&subject).await?;
    ensure!(
        shop.look(&autoscaler).await.is_err(),
        "the autoscaler is still there"
    );

    a_new_group_takes_over(shop, &subject).await?;
    an_edit_that_is_taken_back_costs_no_group(shop, &subject).await
}

/// The uids of the pods of a component.
async fn pods_of(shop: &Shop, subject: &Subject) -> Result<BTreeSet<String>> {
    let selector = format!("app.kubernetes.io/name={}", subject.name);
    let pods = shop.list("Pod", NAMESPACE, &selector).await?;
    Ok(pods
        .iter()
        .map(|pod| pod["metadata"]["uid"].to_string())
        .collect())
}

/// EKS replaces the nodes of a group by those of the new version, and drains each of them.
async fn every_node_has_version(shop: &Shop, subject: &Subject, version: &str) -> Result<()> {
    let group = shop.made(subject, "NodeGroup", "nodes").await?;
    shop.until("every node has the new version", PATIENCE, async || {
        let nodes = shop
            .list("Node", "", &format!("eks.amazonaws.com/nodegroup={group}"))
            .await?;
        equals("the number of nodes", nodes.len(), 3)?;
        for node in nodes {
            let found = node["status"]["nodeInfo"]["kubeletVersion"].to_string();
            ensure!(found.contains(version), "a node has {found}");
        }
        Ok(())
    })
    .await?;
    shop.until_ready(subject).await.map(drop)
}

/// EKS cannot change the instance types of a group: another is made, the pods move, and the old one goes.
async fn a_new_group_takes_over(shop: &Shop, subject: &Subject) -> Result<()> {
    let old = shop.made(subject, "NodeGroup", "nodes").await?;
    // An autoscaler has made it larger.
    let call = shop.aws.eks.update_nodegroup_config();
    let scaling = NodegroupScalingConfig::builder().desired_size(4).build();
    call.cluster_name(CLUSTER)
        .nodegroup_name(&old)
        .scaling_config(scaling)
        .send()
        .await?;
    let group = View::NodeGroup(CLUSTER.to_owned(), old.clone());
    shop.until("the group is larger", PATIENCE, async || {
        let larger = json!({"status": "ACTIVE", "desired": 4});
        includes("the group", &shop.look(&group).await?, &larger)
    })
    .await?;
    let mark = shop.mark().await?;
    shop.merge(
        subject,
        json!({"spec": {"nodes": {"nodeGroup": {"instanceTypes": ["c7g.xlarge"]}}}}),
    )
    .await?;
    shop.until_ready(subject).await?;
    let groups = shop.aws.node_groups(CLUSTER, &subject.path()).await?;
    equals("the number of groups", groups.len(), 1)?;
    ensure!(groups[0] != old, "the old group is still there");
    includes(
        "the new group",
        &shop.aws.node_group(CLUSTER, &groups[0]).await?,
        &json!({"status": "ACTIVE", "instanceTypes": ["c7g.xlarge"], "desired": 4}),
    )?;
    let created = shop.steps_since(mark, &groups[0]).await?;
    equals(
        "what was done to the new group",
        created,
        vec!["eks:CreateNodegroup".to_owned()],
    )?;
    let deleted = shop.steps_since(mark, &old).await?;
    equals(
        "what was done to the old group",
        deleted,
        vec!["eks:DeleteNodegroup".to_owned()],
    )?;
    let evictions = shop
        .kubernetes_writes_since(mark)?
        .iter()
        .filter(|write| write.request_uri.contains("/eviction"))
        .count();
    ensure!(
        evictions >= 2,
        "the pods were not moved before the group went: {evictions} evictions"
    );
    for pod in shop
        .list("Pod", NAMESPACE, "app.kubernetes.io/name=pods")
        .await?
    {
        let node = shop
            .get(
                "Node",
                "",
                pod["spec"]["nodeName"]
                    .as_str()
                    .context("a pod has no node")?,
            )
            .await?;
        let of = &node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"];
        equals("the group of a pod's node", of, &json!(groups[0]))?;
    }
    Ok(())
}

/// While a disruption budget holds up a pod on the old group, the edit is taken back: the old group is wanted again.
async fn an_edit_that_is_taken_back_costs_no_group(shop: &Shop, subject: &Subject) -> Result<()> {
    let wanted = shop.made(subject, "NodeGroup", "nodes").await?;
    let types = |types: Value| json!({"spec": {"nodes": {"nodeGroup": {"instanceTypes": types}}}});
    let nodes_of = |group: String| async move {
        let selector = format!("eks.amazonaws.com/nodegroup={group}");
        shop.list("Node", "", &selector).await
    };
    let first = nodes_of(wanted.clone()).await?;
    let node = first.first().context("the group has no nodes")?;
    let node = node["metadata"]["name"].as_str().context("a name")?;
    // A pod of somebody else, which its budget keeps where it is.
    shop.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: guard, namespace: {NAMESPACE}, labels: {{app: guard}}}}
spec:
  nodeName: {node}
  tolerations: [{{operator: Exists}}]
  containers: [{{name: guard, image: registry.example/guard:1}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: guard, namespace: {NAMESPACE}}}
spec: {{minAvailable: 1, selector: {{matchLabels: {{app: guard}}}}}}
"
    ))
    .await?;
    shop.until("the budget holds", PATIENCE, async || {
        let budget = shop.get("PodDisruptionBudget", NAMESPACE, "guard").await?;
        includes(
            "the budget",
            &budget,
            &json!({"status": {"currentHealthy": 1, "disruptionsAllowed": 0}}),
        )
    })
    .await?;
    let mark = shop.mark().await?;
    shop.merge(subject, types(json!(["m7g.xlarge"]))).await?;
    shop.until("the nodes are cordoned", PATIENCE, async || {
        for node in nodes_of(wanted.clone()).await? {
            let (annotations, spec) = (&node["metadata"]["annotations"], &node["spec"]);
            equals("unschedulable", &spec["unschedulable"], &json!(true))?;
            equals(
                "for whom it is cordoned",
                &annotations["shopkeeper.dev/cordoned-for"],
                &json!(subject.path()),
            )?;
        }
        Ok(())
    })
    .await?;

    shop.merge(subject, types(json!(["c7g.xlarge"]))).await?;
    shop.until_ready(subject).await?;
    equals(
        "the groups",
        shop.aws.node_groups(CLUSTER, &subject.path()).await?,
        vec![wanted.clone()],
    )?;
    let nodes = nodes_of(wanted.clone()).await?;
    ensure!(!nodes.is_empty(), "the group has no nodes");
    for node in nodes {
        equals(
            "unschedulable",
            &node["spec"]["unschedulable"],
            &Value::Null,
        )?;
        let annotations = &node["metadata"]["annotations"];
        equals(
            "the mark",
            &annotations["shopkeeper.dev/cordoned-for"],
            &Value::Null,
        )?;
    }
    equals(
        "what was done to the group that is wanted",
        shop.steps_since(mark, &wanted).await?,
        Vec::<String>::new(),
    )?;
    for kind in ["PodDisruptionBudget", "Pod"] {
        shop.delete(&Subject::new(kind, NAMESPACE, "guard")).await?;
    }
    Ok(())
}
