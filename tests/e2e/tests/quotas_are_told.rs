//! A reached quota of AWS is told with what to do, stops nobody else, and is recovered from when a person asks for it.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject, equals, read_example};
use shopkeeper_localenv::{AwsFault, FaultKind};

const DATABASE: &str = "octank-shop-orders";

const SHOP: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: shop}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
---
apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
";

#[tokio::test]
async fn quotas_are_told() -> Result<()> {
    let shop = Shop::open("quotas").await?;
    shop.namespace("shop").await?;
    let (orders, catalog) = (
        Subject::new("OrderService", "shop", "orders"),
        Subject::new("CatalogService", "shop", "catalog"),
    );
    let control = shop.environment.aws_control()?;
    control
        .add_fault(&AwsFault::new(FaultKind::Quota, "rds", "CreateDBInstance"))
        .await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply(SHOP).await?;

    let message = shop
        .until_condition(&orders, "Stalled", "True", "QuotaExceeded")
        .await?;
    for part in [
        DATABASE,
        "CreateDBInstance",
        "InstanceQuotaExceeded",
        "To do: raise the RDS quota for instances",
    ] {
        ensure!(
            message.contains(part),
            "the message does not contain {part:?}: {message}"
        );
    }
    equals(
        "the message of Ready",
        shop.until_condition(&orders, "Ready", "False", "QuotaExceeded")
            .await?,
        message,
    )?;
    // Nobody else waits for it.
    shop.until_ready(&catalog).await?;
    // A pass that is asked for tries again, and is refused again.
    shop.request_pass(&orders, "2026-11-24T10:00:00Z").await?;
    shop.until_condition(&orders, "Stalled", "True", "QuotaExceeded")
        .await?;

    control.clear_faults().await?;
    shop.request_pass(&orders, "2026-11-24T11:00:00Z").await?;
    let object = shop.until_ready(&orders).await?;
    let conditions = object["status"]["conditions"].to_string();
    ensure!(
        !conditions.contains("\"Stalled\""),
        "it is Ready and Stalled: {conditions}"
    );
    equals(
        "the database",
        &shop.aws.database(DATABASE).await?["status"],
        &json!("available"),
    )?;
    shop.close().await
}
