//! A reached quota of AWS is told with what to do, stops nobody else, and is recovered from: of databases when a person asks for it,
//! after AWS refused; of node groups by itself as soon as there is room, before AWS refuses.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, read_example, says};
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
    says(
        &message,
        &[
            DATABASE,
            "CreateDBInstance",
            "InstanceQuotaExceeded",
            "To do: raise the RDS quota for instances",
        ],
    )?;
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
    a_full_cluster_is_told_before_aws_refuses(&shop).await?;
    shop.close().await
}

fn on_nodes_of_its_own(name: &str) -> String {
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {name}, namespace: shop}}
spec:
  workload: {{image: registry.example/any:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: NodeGroup, nodeGroup: {{min: 1, max: 2}}}}
  products: {{keys: {{partition: {{name: id, type: String}}}}}}
"
    )
}

/// One group is there, and one is all that there may be.
async fn a_full_cluster_is_told_before_aws_refuses(shop: &Shop) -> Result<()> {
    let control = shop.environment.aws_control()?;
    let platform = Subject::new("Platform", "", "octank");
    let [first, second] =
        ["first", "second"].map(|name| Subject::new("CatalogService", "shop", name));
    shop.apply(&on_nodes_of_its_own("first")).await?;
    shop.until_ready(&first).await?;
    allow_node_groups(shop, &platform, json!(1), "2026-11-24T12:00:00Z").await?;

    let mark = shop.mark().await?;
    shop.apply(&on_nodes_of_its_own("second")).await?;
    let message = shop
        .until_condition(&second, "Stalled", "True", "QuotaExceeded")
        .await?;
    says(
        &message,
        &[
            "EKS node group octank-shop-second",
            "has 1 of 1 managed node groups",
            "L-6D54EA21",
            "Managed node groups per cluster",
            "nodes.type: Shared",
        ],
    )?;
    // Everything else is made all the same, and AWS was not asked for what it would refuse.
    shop.until("the table of the second is there", PATIENCE, async || {
        shop.aws
            .table("octank-shop-second-products")
            .await
            .map(drop)
    })
    .await?;
    let asked = shop.aws_writes_since(mark).await?;
    ensure!(
        !asked
            .iter()
            .any(|call| call.operation.as_deref() == Some("CreateNodegroup")),
        "EKS was asked for a group that it has no room for: {asked:#?}"
    );

    // Room appears when another one goes, and nobody has to say so.
    shop.delete(&first).await?;
    shop.until_gone(&first).await?;
    shop.until_ready(&second).await?;

    // And when the quota is raised; a pass over the Platform that is asked for reads it.
    let third = Subject::new("CatalogService", "shop", "third");
    shop.apply(&on_nodes_of_its_own("third")).await?;
    shop.until_condition(&third, "Stalled", "True", "QuotaExceeded")
        .await?;
    allow_node_groups(shop, &platform, json!(2), "2026-11-24T13:00:00Z").await?;
    shop.until_ready(&third).await?;

    // Where the quota may not be read, AWS's default is assumed, and the status tells none.
    control
        .add_fault(&AwsFault::new(
            FaultKind::AccessDenied,
            "service-quotas",
            "GetServiceQuota",
        ))
        .await?;
    shop.request_pass(&platform, "2026-11-24T14:00:00Z").await?;
    let object = shop.get("Platform", "", "octank").await?;
    equals(
        "the quotas in the status",
        &object["status"]["quotas"],
        &json!(null),
    )?;
    shop.until_ready(&platform).await?;
    control.clear_faults().await
}

/// Changes what the account may have, as an increase does, and waits until the Platform tells it.
async fn allow_node_groups(
    shop: &Shop,
    platform: &Subject,
    allowed: serde_json::Value,
    at: &str,
) -> Result<()> {
    let control = shop.environment.aws_control()?;
    control
        .configure(json!({"quotas": {"eks/L-6D54EA21": allowed}}))
        .await?;
    shop.request_pass(platform, at).await?;
    let object = shop.get("Platform", "", "octank").await?;
    equals(
        "the quota in the status",
        &object["status"]["quotas"]["nodeGroupsPerCluster"],
        &allowed,
    )
}
