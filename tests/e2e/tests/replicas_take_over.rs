//! A replica that ends is replaced.
//!
//! Proves that SIGTERM ends the operator with code 0 before kubelet loses its patience, and that a standby leads after the
//! leader was killed without a chance to give the Lease back; and that a leader which was stopped while another one took over writes
//! nothing when it goes on, whatever it was about to write.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{OPERATOR_NAMESPACE, PATIENCE, Shop, Subject, equals, read_example};

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
    a_leader_that_was_stopped_writes_nothing(&mut shop).await?;
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

/// The leader is stopped between the plan, which is written down, and its first step.
async fn a_leader_that_was_stopped_writes_nothing(shop: &mut Shop) -> Result<()> {
    shop.stop_operator().await?;
    let proxy = shop.environment.proxy_for_operator().await?;
    let kubeconfig = proxy.kubeconfig().display().to_string();
    let variables = [
        ("KUBECONFIG", kubeconfig.as_str()),
        ("AWS_SDK_UA_APP_ID", "stopped"),
    ];
    let stopped = shop.start_operator_with("stopped", &[], &variables).await?;
    stopped.wait_for_log("leading", PATIENCE).await?;
    shop.operator = Some(shop.start_operator("heir").await?);
    shop.request_pass(&catalog(), "2026-11-24T11:00:00Z")
        .await?;

    let mut hold = proxy.hold_write("/status", 1);
    let table = json!({"name": "baskets", "table": {"keys": {"partition": {"name": "id", "type": "String"}}}});
    shop.merge(&catalog(), json!({"spec": {"tables": [table]}}))
        .await?;
    let written = hold.reached(PATIENCE).await?;
    ensure!(written.contains("/catalogs"), "held at {written}");
    stopped.pause()?;
    // It is no longer wanted, as the next leader knows.
    shop.merge(&catalog(), json!({"spec": {"tables": null}}))
        .await?;
    shop.until("the heir leads", PATIENCE, async || {
        let holder = holder(shop).await?;
        ensure!(holder.starts_with("heir_"), "{holder} leads");
        Ok(())
    })
    .await?;
    shop.until_ready(&catalog()).await?;

    let mark = shop.mark().await?;
    hold.release();
    stopped.resume()?;
    let ended = shop
        .until("the one that was stopped ends", PATIENCE, async || {
            stopped.exit_status()?.context("it runs")
        })
        .await?;
    ensure!(!ended.success(), "it ended as if all were well: {ended}");
    let calls: Vec<String> = shop
        .aws_writes_since(mark)
        .await?
        .iter()
        .filter(|call| call.user_agent.contains("app/stopped"))
        .map(|call| format!("{:?} {:?}", call.operation, call.resources))
        .collect();
    ensure!(calls.is_empty(), "it went on with: {calls:?}");
    let objects: Vec<String> = shop
        .kubernetes_writes_since(mark)?
        .iter()
        .map(|write| format!("{} {}", write.verb, write.request_uri))
        .collect();
    ensure!(objects.is_empty(), "it went on with: {objects:?}");
    Ok(())
}
