//! The pods of a service run on Fargate, and move there and away.
//!
//! Proves that what Fargate cannot do is refused at admission; that the profile, its role and the pods have the right fields; that an
//! edit of what EKS cannot change moves the pods to another profile before the old one goes, with as many of them ready as the
//! disruption budget asks for; that a profile which somebody deletes is made anew, its pods too, and that tags are put back; that pods
//! move from a node group to Fargate and back, the old place going last; that nothing outlives the service; and that a second pass
//! writes nothing.

use std::cell::Cell;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, text};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "fargate";
const LABEL: &str = "shopkeeper.dev/fargate-profile";
const EKS_LABEL: &str = "eks.amazonaws.com/fargate-profile";

#[tokio::test]
async fn services_run_on_fargate() -> Result<()> {
    let shop = Shop::open("fargate").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&shopkeeper_e2e::read_example("octank/platform.yaml")?)
        .await?;
    let platform = shop
        .until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    let issuer = text(&platform, "/status/cluster/oidcIssuer")?;
    shop.aws
        .iam
        .create_open_id_connect_provider()
        .url(issuer)
        .client_id_list("sts.amazonaws.com")
        .send()
        .await?;
    let platform = Subject::new("Platform", "", "octank");
    shop.request_pass(&platform, "2026-11-26T09:00:00Z").await?;
    let orders = Subject::new("OrderService", NAMESPACE, "orders");

    what_fargate_cannot_do_is_refused(&shop).await?;
    shop.apply(&manifest("nodes: {type: Fargate}")).await?;
    shop.until_ready(&orders).await?;
    let first = shop.made(&orders, "FargateProfile", "nodes").await?;
    the_profile_is_right(&shop, &orders, &first).await?;
    shop.second_pass_is_silent(&orders).await?;

    let second = another_profile_takes_over(&shop, &orders, &first).await?;
    drift_is_repaired(&shop, &orders, &second).await?;
    pods_move_to_nodes_and_back(&shop, &orders, &second).await?;
    shop.second_pass_is_silent(&orders).await?;

    shop.delete(&orders).await?;
    shop.until_gone(&orders).await?;
    let left = shop.owned_in_aws(&orders).await?;
    ensure!(left.is_empty(), "{left:?} outlived {orders}");
    equals(
        "the profiles",
        shop.aws.fargate_profiles(CLUSTER).await?,
        Vec::<String>::new(),
    )?;
    shop.close().await
}

fn manifest(more: &str) -> String {
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: orders, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  scaling: {{type: Fixed, fixed: {{replicas: 3}}}}
  {more}
"
    )
}

async fn what_fargate_cannot_do_is_refused(shop: &Shop) -> Result<()> {
    for (more, said) in [
        (
            "identity: {type: PodIdentity}",
            "EKS Pod Identity does not reach pods on Fargate",
        ),
        (
            "network: {service: {type: NodePort}}",
            "pods on Fargate have no ports at nodes",
        ),
    ] {
        let refused = shop
            .apply(&manifest(&format!("nodes: {{type: Fargate}}\n  {more}")))
            .await;
        let error = format!("{:#}", refused.err().context("it was taken")?);
        ensure!(error.contains(said), "{error} does not say: {said}");
    }
    Ok(())
}

async fn the_profile_is_right(shop: &Shop, orders: &Subject, name: &str) -> Result<()> {
    let profile = shop.aws.fargate_profile(CLUSTER, name).await?;
    let platform = shop.get("Platform", "", "octank").await?;
    let mut subnets: Vec<Value> = platform["status"]["network"]["privateSubnets"]
        .as_array()
        .context("no private subnets")?
        .iter()
        .map(|subnet| subnet["id"].clone())
        .collect();
    subnets.sort_by_key(Value::to_string);
    includes(
        "the profile",
        &profile,
        &json!({
            "status": "ACTIVE",
            "subnets": subnets,
            "selectors": [{"namespace": NAMESPACE, "labels": {LABEL: name}}],
            "tags": {"shopkeeper.dev/owner": orders.path(), "shopkeeper.dev/cluster": format!("arn:aws:eks:eu-west-1:123456789012:cluster/{CLUSTER}")},
        }),
    )?;
    let role = shop.made(orders, "IamRole", "nodes.role").await?;
    let role = shop.aws.role(&role).await?;
    equals("the role of the profile", &profile["role"], &role["arn"])?;
    equals(
        "the policies of the role",
        &role["managed"],
        &json!(["arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy"]),
    )?;
    let source = &role["trust"]["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"];
    ensure!(
        source
            .as_str()
            .is_some_and(|arn| arn.ends_with(&format!(":fargateprofile/{CLUSTER}/*"))),
        "the role trusts {source}"
    );
    pods_are_on_fargate(shop, name).await
}

/// Every pod was taken by the profile, and has a node of its own.
async fn pods_are_on_fargate(shop: &Shop, profile: &str) -> Result<()> {
    let pods = running(shop).await?;
    equals("the number of pods", pods.len(), 3)?;
    for pod in pods {
        includes(
            "a pod",
            &pod,
            &json!({
                "metadata": {"labels": {LABEL: profile, EKS_LABEL: profile}},
                "spec": {"schedulerName": "fargate-scheduler", "nodeSelector": null},
            }),
        )?;
        let node = shop.get("Node", "", text(&pod, "/spec/nodeName")?).await?;
        equals(
            "where a pod runs",
            &node["metadata"]["labels"]["eks.amazonaws.com/compute-type"],
            &json!("fargate"),
        )?;
    }
    Ok(())
}

/// The pods that are not about to end.
async fn running(shop: &Shop) -> Result<Vec<Value>> {
    let mut pods = shop
        .list("Pod", NAMESPACE, "app.kubernetes.io/name=orders")
        .await?;
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(pods)
}

/// Waits until an edit is carried out. Meanwhile at least two pods of three are there, as the disruption budget asks, and `old`
/// does not go before its pods.
async fn until_moved(shop: &Shop, orders: &Subject, old: Option<&str>) -> Result<()> {
    let fewest = Cell::new(u64::MAX);
    let early = Cell::new(false);
    shop.until("the pods have moved", PATIENCE, async || {
        if let Some(old) = old {
            let profile = shop.aws.fargate_profile(CLUSTER, old).await?;
            if profile["status"] != "ACTIVE" {
                let label = format!("{EKS_LABEL}={old}");
                early.set(early.get() || !shop.list("Pod", NAMESPACE, &label).await?.is_empty());
            }
        }
        let deployment = shop.get("Deployment", NAMESPACE, "orders").await?;
        let available = deployment["status"]["availableReplicas"].as_u64();
        fewest.set(fewest.get().min(available.unwrap_or(0)));
        let object = shop.get(orders.kind, NAMESPACE, &orders.name).await?;
        let ready = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|found| {
                found["type"] == "Ready"
                    && found["status"] == "True"
                    && found["observedGeneration"] == object["metadata"]["generation"]
            });
        ensure!(ready, "{}", object["status"]["conditions"]);
        Ok(())
    })
    .await?;
    ensure!(fewest.get() >= 2, "only {} pods were ready", fewest.get());
    ensure!(!early.get(), "a profile went before its pods");
    Ok(())
}

async fn another_profile_takes_over(shop: &Shop, orders: &Subject, old: &str) -> Result<String> {
    let profile = shop.aws.fargate_profile(CLUSTER, old).await?;
    let mark = shop.mark().await?;
    let subnet = &profile["subnets"][0];
    shop.merge(
        orders,
        json!({"spec": {"nodes": {"fargate": {"subnets": [subnet]}}}}),
    )
    .await?;
    until_moved(shop, orders, Some(old)).await?;
    let new = shop.made(orders, "FargateProfile", "nodes").await?;
    equals(
        "the profiles",
        shop.aws.fargate_profiles(CLUSTER).await?,
        vec![new.clone()],
    )?;
    ensure!(new != old, "the old profile is still there");
    includes(
        "the new profile",
        &shop.aws.fargate_profile(CLUSTER, &new).await?,
        &json!({"status": "ACTIVE", "subnets": [subnet]}),
    )?;
    for (profile, done) in [
        (&*new, "eks:CreateFargateProfile"),
        (old, "eks:DeleteFargateProfile"),
    ] {
        equals(
            "what was done to a profile",
            shop.steps_since(mark, profile).await?,
            vec![done.to_owned()],
        )?;
    }
    pods_are_on_fargate(shop, &new).await?;
    Ok(new)
}

async fn drift_is_repaired(shop: &Shop, orders: &Subject, name: &str) -> Result<()> {
    let profile = shop.aws.fargate_profile(CLUSTER, name).await?;
    let arn = text(&profile, "/arn")?;
    shop.aws
        .eks
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("shopkeeper.dev/cluster")
        .send()
        .await?;
    shop.request_pass(orders, "2026-11-26T10:00:00Z").await?;
    shop.until("the tag is back", PATIENCE, async || {
        includes(
            "the profile",
            &shop.aws.fargate_profile(CLUSTER, name).await?,
            &json!({"tags": {"shopkeeper.dev/cluster": format!("arn:aws:eks:eu-west-1:123456789012:cluster/{CLUSTER}")}}),
        )
    })
    .await?;

    shop.aws
        .eks
        .delete_fargate_profile()
        .cluster_name(CLUSTER)
        .fargate_profile_name(name)
        .send()
        .await?;
    shop.until("the profile is gone", PATIENCE, async || {
        let found = shop.aws.fargate_profile(CLUSTER, name).await?;
        ensure!(found.is_null() || found["arn"] != arn, "{found}");
        Ok(())
    })
    .await?;
    shop.request_pass(orders, "2026-11-26T11:00:00Z").await?;
    shop.until("its pods are on Fargate again", PATIENCE, async || {
        includes(
            "the profile",
            &shop.aws.fargate_profile(CLUSTER, name).await?,
            &json!({"status": "ACTIVE"}),
        )?;
        pods_are_on_fargate(shop, name).await
    })
    .await?;
    shop.until_ready(orders).await.map(drop)
}

async fn pods_move_to_nodes_and_back(shop: &Shop, orders: &Subject, old: &str) -> Result<()> {
    shop.merge(
        orders,
        json!({"spec": {"nodes": {"type": "NodeGroup", "fargate": null}}}),
    )
    .await?;
    until_moved(shop, orders, Some(old)).await?;
    let group = shop.made(orders, "NodeGroup", "nodes").await?;
    for pod in running(shop).await? {
        let node = shop.get("Node", "", text(&pod, "/spec/nodeName")?).await?;
        let of = &node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"];
        equals("the group of a pod's node", of, &json!(group))?;
    }
    equals(
        "the profiles",
        shop.aws.fargate_profiles(CLUSTER).await?,
        Vec::<String>::new(),
    )?;
    shop.merge(orders, json!({"spec": {"nodes": {"type": "Fargate"}}}))
        .await?;
    until_moved(shop, orders, None).await?;
    let groups = shop.aws.node_groups(CLUSTER, &orders.path()).await?;
    ensure!(groups.is_empty(), "{groups:?} are still there");
    let profile = shop.made(orders, "FargateProfile", "nodes").await?;
    pods_are_on_fargate(shop, &profile).await
}
