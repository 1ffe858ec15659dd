//! A start of the operator over a shop that is as declared.
//!
//! Proves that it writes nothing to AWS, and to Kubernetes nothing but the answers that were asked for: no events, no
//! objects, no status.

use anyhow::{Result, ensure};
use shopkeeper_e2e::{Shop, Subject, read_example};

const CATALOG: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 3}}
  products:
    keys: {partition: {name: id, type: String}}
    capacity: {type: Provisioned, provisioned: {autoscale: {read: {min: 5, max: 50}, write: {min: 5, max: 50}}}}
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
async fn a_restart_changes_nothing() -> Result<()> {
    let mut shop = Shop::open("restart").await?;
    shop.namespace("shop").await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply(CATALOG).await?;
    for subject in [platform(), catalog()] {
        shop.until_ready(&subject).await?;
    }
    a_start_over_a_settled_world_writes_nothing(&mut shop).await?;
    shop.close().await
}

async fn a_start_over_a_settled_world_writes_nothing(shop: &mut Shop) -> Result<()> {
    shop.stop_operator().await?;

    let mark = shop.mark().await?;
    shop.operator = Some(shop.start_operator("successor").await?);
    // A request is answered in the status, after the passes of the start.
    for subject in [platform(), catalog()] {
        shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
    }
    let calls: Vec<String> = shop
        .aws_writes_since(mark)
        .await?
        .iter()
        .map(|call| format!("{:?} {:?}", call.operation, call.resources))
        .collect();
    ensure!(calls.is_empty(), "the start changed AWS: {calls:?}");
    let writes: Vec<String> = shop
        .kubernetes_writes_since(mark)?
        .iter()
        .map(|write| format!("{} {}", write.verb, write.request_uri))
        .collect();
    let events: Vec<String> = shop
        .list("Event", "", "")
        .await?
        .iter()
        .filter(|event| event["reportingInstance"] == "successor")
        .map(|event| format!("{} {}", event["reason"], event["note"]))
        .collect();
    ensure!(
        events.is_empty(),
        "the start told again what was told before: {events:?}"
    );
    ensure!(
        writes.len() == 2 && writes.iter().all(|write| write.contains("/status")),
        "the start wrote more than two answers: {writes:?}"
    );
    Ok(())
}
