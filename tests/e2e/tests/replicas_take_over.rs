//! A replica that ends is replaced.
//!
//! Proves that SIGTERM ends the operator with code 0 before kubelet loses its patience, and that a standby leads after the
//! leader was killed without a chance to give the Lease back.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{OPERATOR_NAMESPACE, Shop, Subject, equals, read_example};

const CATALOG: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 3}}
  products: {keys: {partition: {name: id, type: String}}}
  cache: {engine: Valkey, nodeType: cache.t4g.small, replicas: 1}
  media: {archiveAfterInactiveDays: 180}
";

fn platform() -> Subject {
    Subject::new("Platform", "", "octank")
}

fn catalog() -> Subject {
    Subject::new("CatalogService", "shop", "catalog")
}

#[tokio::test]
async fn replicas_take_over() -> Result<()> {
    let mut shop = Shop::open("replicas").await?;
    shop.namespace("shop").await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply(CATALOG).await?;
    for subject in [platform(), catalog()] {
        shop.until_ready(&subject).await?;
    }
    it_ends_in_time(&mut shop).await?;
    a_standby_leads_after_the_leader_was_killed(&mut shop).await?;
    shop.close().await
}

async fn it_ends_in_time(shop: &mut Shop) -> Result<()> {
    let asked = Instant::now();
    shop.stop_operator().await?;
    println!(
        "SIGTERM ended the operator after {:.1} s",
        asked.elapsed().as_secs_f64()
    );
    shop.operator = Some(shop.start_operator("successor").await?);
    shop.request_pass(&catalog(), "2026-11-24T10:00:00Z").await
}

async fn holder(shop: &Shop) -> Result<String> {
    let lease = shop.get("Lease", OPERATOR_NAMESPACE, "shopkeeper").await?;
    Ok(lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn a_standby_leads_after_the_leader_was_killed(shop: &mut Shop) -> Result<()> {
    let standby = shop.start_operator("standby").await?;
    let before = holder(shop).await?;
    ensure!(
        before.starts_with("successor_"),
        "{before} leads although another was there first"
    );
    let leader = shop.operator.take().context("the operator does not run")?;
    leader.kill();
    shop.operator = Some(standby);
    shop.merge(
        &catalog(),
        json!({"spec": {"workload": {"image": "registry.example/catalog:2"}}}),
    )
    .await?;
    shop.until_ready(&catalog()).await?;
    let deployment = shop.get("Deployment", "shop", "catalog").await?;
    equals(
        "the image",
        &deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        &json!("registry.example/catalog:2"),
    )?;
    let after = holder(shop).await?;
    ensure!(
        after.starts_with("standby_"),
        "{after} leads and not the standby"
    );
    Ok(())
}
