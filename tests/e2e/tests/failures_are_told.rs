//! What AWS gives up on is told with what AWS says of it and what to do, and goes on when that was done: a node group is made again
//! once and not without end, also by another process; an update of one that EKS gives up on is not begun again at once; one that could not
//! be deleted is deleted again later; a change that AWS accepts and does not show is told, and not made for ever; a failed database with
//! deletion protection holds up its own end, and no other.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, read_example, says};
use shopkeeper_localenv::{AwsFault, FaultKind, Outcome};

const DATABASE: &str = "octank-shop-orders";

const SHOP: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 3, version: '1.35'}}
  products: {keys: {partition: {name: id, type: String}}}
---
apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: shop}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  notifications: {queues: [{name: fulfilment}]}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
";

#[tokio::test]
async fn failures_are_told() -> Result<()> {
    let mut shop = Shop::open("failures").await?;
    shop.namespace("shop").await?;
    let no_way_out = Outcome::new("eks.nodegroup.creating", "CREATE_FAILED").telling(json!({
        "code": "NodeCreationFailure",
        "message": "Instances failed to join the kubernetes cluster",
    }));
    let control = shop.environment.aws_control()?;
    control.script_outcome(&no_way_out.times(2)).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply(SHOP).await?;
    a_node_group_is_made_twice(&mut shop).await?;
    an_update_of_a_node_group_is_not_begun_without_end(&shop).await?;
    a_change_that_is_put_back_is_told(&shop).await?;
    a_failed_database_holds_up_its_own_end(&shop).await?;
    a_node_group_that_stays_is_told_and_deleted_again(&shop).await?;
    shop.close().await
}

async fn a_node_group_is_made_twice(shop: &mut Shop) -> Result<()> {
    let mark = shop.mark().await?;
    let catalog = Subject::new("CatalogService", "shop", "catalog");
    let message = shop
        .until_condition(&catalog, "Stalled", "True", "Failed")
        .await?;
    says(
        &message,
        &[
            "EKS node group octank-shop-catalog-",
            "NodeCreationFailure: Instances failed to join",
            "for the second time",
            "To do: ",
        ],
    )?;
    // Another process knows that it was made again.
    shop.stop_operator().await?;
    shop.operator = Some(shop.start_operator("successor").await?);
    shop.request_pass(&catalog, "2026-11-24T10:00:00Z").await?;
    equals(
        "the message of Stalled",
        shop.until_condition(&catalog, "Stalled", "True", "Failed")
            .await?,
        message,
    )?;
    let steps = |calls: Vec<shopkeeper_localenv::AwsCall>| -> Vec<String> {
        let operations = calls.into_iter().filter_map(|call| call.operation);
        operations
            .filter(|operation| operation.ends_with("Nodegroup"))
            .collect()
    };
    equals(
        "the calls about node groups after the first",
        steps(shop.aws_writes_since(mark).await?),
        ["CreateNodegroup", "DeleteNodegroup", "CreateNodegroup"]
            .map(str::to_owned)
            .to_vec(),
    )?;

    // Another wish is tried.
    shop.merge(
        &catalog,
        json!({"spec": {"nodes": {"nodeGroup": {"max": 4}}}}),
    )
    .await?;
    shop.until_ready(&catalog).await.map(drop)
}

/// EKS goes back to the old version and says so in the update alone.
async fn an_update_of_a_node_group_is_not_begun_without_end(shop: &Shop) -> Result<()> {
    let catalog = Subject::new("CatalogService", "shop", "catalog");
    let gives_up = Outcome::new("eks.nodegroup.updating", "ACTIVE").telling(json!({
        "errorCode": "PodEvictionFailure",
        "errorMessage": "Reached max retries while trying to evict pods from nodes",
    }));
    let control = shop.environment.aws_control()?;
    control.script_outcome(&gives_up.times(1)).await?;
    let mark = shop.mark().await?;
    let edit = async |node_group: serde_json::Value| {
        let patch = json!({"spec": {"nodes": {"nodeGroup": node_group}}});
        shop.merge(&catalog, patch).await
    };
    edit(json!({"version": "1.36"})).await?;
    let message = shop
        .until_condition(&catalog, "Stalled", "True", "Failed")
        .await?;
    says(
        &message,
        &[
            "PodEvictionFailure: Reached max retries",
            "To do: ",
            "poddisruptionbudgets",
            "nodes.nodeGroup.update.force",
        ],
    )?;
    shop.request_pass(&catalog, "2026-11-24T11:00:00Z").await?;
    let updates = async || {
        let calls = shop.aws_writes_since(mark).await?;
        let operations = calls.into_iter().filter_map(|call| call.operation);
        anyhow::Ok(
            operations
                .filter(|operation| operation == "UpdateNodegroupVersion")
                .count(),
        )
    };
    equals("updates that were begun", updates().await?, 1)?;
    // Somebody decides to go past the budget.
    edit(json!({"update": {"force": "Enabled"}})).await?;
    shop.until_ready(&catalog).await?;
    equals("updates that were begun", updates().await?, 2)
}

/// Whether somebody puts it back or AWS spells it in another way, the operator sees the same.
async fn a_change_that_is_put_back_is_told(shop: &Shop) -> Result<()> {
    let orders = Subject::new("OrderService", "shop", "orders");
    shop.until_ready(&orders).await?;
    let control = shop.environment.aws_control()?;
    let put_back = AwsFault::new(FaultKind::PutBack, "sqs", "SetQueueAttributes");
    control.add_fault(&put_back).await?;
    let queue = json!([{"name": "fulfilment", "visibilityTimeoutSeconds": 90}]);
    shop.merge(
        &orders,
        json!({"spec": {"notifications": {"queues": queue}}}),
    )
    .await?;
    let message = shop
        .until_condition(&orders, "Stalled", "True", "Failed")
        .await?;
    says(
        &message,
        &[
            "SQS queue octank-shop-orders-fulfilment",
            "goes on showing visibilityTimeoutSeconds as 30",
            "To do: ",
            "CloudTrail",
        ],
    )?;
    // Whoever put it back stops.
    control.clear_faults().await?;
    shop.request_pass(&orders, "2026-11-24T12:00:00Z").await?;
    shop.until_ready(&orders).await.map(drop)
}

async fn a_failed_database_holds_up_its_own_end(shop: &Shop) -> Result<()> {
    let orders = Subject::new("OrderService", "shop", "orders");
    shop.until_ready(&orders).await?;
    let control = shop.environment.aws_control()?;
    let instance = ("rds", "db-instance");
    let changed = control
        .force_state(instance, DATABASE, Some("incompatible-network"), None)
        .await?;
    equals("instances that fail", changed, 1)?;
    shop.delete(&orders).await?;
    let message = shop
        .until_condition(&orders, "Stalled", "True", "Failed")
        .await?;
    says(
        &message,
        &[
            DATABASE,
            "incompatible-network",
            "deletion protection",
            "To do: ",
        ],
    )?;
    // What it does not need goes all the same.
    let queue = "octank-shop-orders-fulfilment";
    shop.until("the queue is gone", PATIENCE, async || {
        let found = shop.aws.queue(queue).await;
        ensure!(found.is_err(), "{found:?}");
        Ok(())
    })
    .await?;
    control.force_state(instance, DATABASE, None, None).await?;
    shop.until_gone(&orders).await
}

async fn a_node_group_that_stays_is_told_and_deleted_again(shop: &Shop) -> Result<()> {
    let catalog = Subject::new("CatalogService", "shop", "catalog");
    let stays = Outcome::new("eks.nodegroup.deleting", "DELETE_FAILED");
    let control = shop.environment.aws_control()?;
    control.script_outcome(&stays.times(1)).await?;
    shop.delete(&catalog).await?;
    let message = shop
        .until_condition(&catalog, "Stalled", "True", "Failed")
        .await?;
    says(
        &message,
        &[
            "EKS node group octank-shop-catalog-",
            "Ec2SecurityGroupDeletionFailure",
            "To do: ",
        ],
    )?;
    shop.until_gone(&catalog).await
}
