//! Pods get the credentials of their role through the cluster's OIDC provider, or through an association, and change from one to the
//! other.
//!
//! Proves that a provider which IAM does not have is named with what to do, and that the service goes on once it is there; that the
//! role trusts the ServiceAccount of the pods through it and nobody else; that a change of mode replaces the pods, and leaves neither an
//! association, nor an annotation, nor a trust of before; and that nothing outlives the service.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject, equals, includes, read_example, says};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "identity";
/// What a role is assumed with.
const BY_TOKEN: &str = "sts:AssumeRoleWithWebIdentity";
const BY_ASSOCIATION: &str = "sts:TagSession";

#[tokio::test]
async fn identities_change_in_order() -> Result<()> {
    let shop = Shop::open("identity").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    shop.until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    apply(&shop, "IRSA").await?;

    let issuer = a_missing_provider_is_named(&shop, &orders).await?;
    let role = pods_have_tokens(&shop, &orders, &issuer).await?;
    let old = shop.pods(NAMESPACE, "orders").await?;
    apply(&shop, "PodIdentity").await?;
    shop.until_ready(&orders).await?;
    pods_have_an_association(&shop, &role, &old).await?;
    let old = shop.pods(NAMESPACE, "orders").await?;
    apply(&shop, "IRSA").await?;
    shop.until_ready(&orders).await?;
    equals(
        "the role",
        pods_have_tokens(&shop, &orders, &issuer).await?,
        role,
    )?;
    replaced(&shop, &old).await?;
    shop.second_pass_is_silent(&orders).await?;

    shop.delete(&orders).await?;
    shop.until_gone(&orders).await?;
    let left = shop.owned_in_aws(&orders).await?;
    ensure!(left.is_empty(), "{left:?} outlived {orders}");
    shop.close().await
}

async fn apply(shop: &Shop, mode: &str) -> Result<()> {
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: orders, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  identity: {{type: {mode}, statements: [{{actions: ['bedrock:InvokeModel'], resources: ['*']}}]}}
"
    ))
    .await
}

/// Gives the issuer of the cluster, without `https://`.
async fn a_missing_provider_is_named(shop: &Shop, orders: &Subject) -> Result<String> {
    let message = shop
        .until_condition(orders, "Ready", "False", "DependencyNotReady")
        .await?;
    let platform = Subject::new("Platform", "", "octank");
    let cluster = shop.until_ready(&platform).await?["status"]["cluster"].clone();
    includes("the cluster", &cluster, &json!({"oidcProvider": "Missing"}))?;
    let url = cluster["oidcIssuer"].as_str().context("no issuer")?;
    says(
        &message,
        &[
            "spec.identity.type: IAM has no OIDC provider for",
            url,
            "eksctl utils associate-iam-oidc-provider --cluster octank-prod",
        ],
    )?;
    shop.aws
        .iam
        .create_open_id_connect_provider()
        .url(url)
        .client_id_list("sts.amazonaws.com")
        .send()
        .await?;
    shop.request_pass(&platform, "2026-11-26T09:00:00Z").await?;
    shop.until_ready(orders).await?;
    Ok(url.trim_start_matches("https://").to_owned())
}

/// Gives the ARN of the role.
async fn pods_have_tokens(shop: &Shop, orders: &Subject, issuer: &str) -> Result<String> {
    let name = shop.made(orders, "IamRole", "identity.role").await?;
    let role = shop.aws.role(&name).await?;
    let arn = role["arn"].as_str().context("no ARN")?.to_owned();
    let trust = role["trust"].clone();
    equals(
        "the statements of the trust policy",
        trust["Statement"].as_array().map(Vec::len),
        Some(1),
    )?;
    let account = arn.split(':').nth(4).unwrap_or_default();
    includes(
        "the trust policy",
        &trust["Statement"][0],
        &json!({
            "Action": BY_TOKEN,
            "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/{issuer}")},
            "Condition": {"StringEquals": {
                format!("{issuer}:aud"): "sts.amazonaws.com",
                format!("{issuer}:sub"): format!("system:serviceaccount:{NAMESPACE}:orders"),
            }},
        }),
    )?;
    let annotation = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": arn}}});
    let service_account = shop.get("ServiceAccount", NAMESPACE, "orders").await?;
    includes("the ServiceAccount", &service_account, &annotation)?;
    let associations = shop
        .aws
        .pod_identity_associations(CLUSTER, NAMESPACE, "orders")
        .await?;
    ensure!(associations.is_empty(), "{associations:?} is in the way");
    Ok(arn)
}

async fn pods_have_an_association(shop: &Shop, role: &str, old: &BTreeSet<String>) -> Result<()> {
    let associations = shop
        .aws
        .pod_identity_associations(CLUSTER, NAMESPACE, "orders")
        .await?;
    equals("the number of associations", associations.len(), 1)?;
    equals(
        "the role of the pods",
        &associations[0]["role"],
        &json!(role),
    )?;
    let service_account = shop.get("ServiceAccount", NAMESPACE, "orders").await?;
    includes(
        "the ServiceAccount",
        &service_account,
        &json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": null}}}),
    )?;
    let name = role.rsplit('/').next().unwrap_or_default();
    let trust = shop.aws.role(name).await?["trust"].to_string();
    ensure!(
        trust.contains(BY_ASSOCIATION) && !trust.contains(BY_TOKEN),
        "the role trusts {trust}"
    );
    replaced(shop, old).await
}

async fn replaced(shop: &Shop, old: &BTreeSet<String>) -> Result<()> {
    let now = shop.pods(NAMESPACE, "orders").await?;
    equals("the number of pods", now.len(), old.len())?;
    ensure!(now.is_disjoint(old), "pods of before still run");
    Ok(())
}
