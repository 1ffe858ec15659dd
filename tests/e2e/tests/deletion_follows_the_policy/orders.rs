//! Orders under each policy.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject, equals, includes};

use super::{NAMESPACE, in_order, left, take_down};

async fn orders(shop: &Shop, name: &str, policy: &str) -> Result<Subject> {
    let subject = Subject::new("OrderService", NAMESPACE, name);
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  database:
    type: RDS
    rds: {{engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}}
  notifications:
    topics: [{{name: buy, subscribers: [{{type: Queue, queue: fulfilment}}]}}]
    queues: [{{name: fulfilment}}]
  policy: {{deletion: {policy}}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    Ok(subject)
}

pub async fn under_retain(shop: &Shop) -> Result<()> {
    let subject = orders(shop, "kept", "Retain").await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    take_down(shop, &subject).await?;
    let view = shop.aws.database(&database).await?;
    includes(
        "the database",
        &view,
        &json!({"status": "available", "deletionProtection": true}),
    )?;
    let left = left(shop, &subject).await?;
    for kept in [
        "rds:db-instance",
        "rds:db-subnet-group",
        "rds:db-parameter-group",
        "sns:topic",
        "sqs:queue",
    ] {
        ensure!(
            left.iter().any(|kind| kind == kept),
            "{kept} was not kept: {left:?}"
        );
    }
    // Messages still flow: the subscription is kept with its topic.
    let topic = shop
        .aws
        .topic("arn:aws:sns:eu-west-1:123456789012:octank-deletion-kept-buy")
        .await?;
    equals(
        "the subscriptions that are left",
        topic["subscriptions"].as_object().map(serde_json::Map::len),
        Some(1),
    )
}

pub async fn under_snapshot(shop: &Shop) -> Result<()> {
    let subject = orders(shop, "archived", "Snapshot").await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    let mark = take_down(shop, &subject).await?;
    let left = left(shop, &subject).await?;
    // Snapshots carry the tags of their instance.
    ensure!(
        left.iter().all(|kind| kind.ends_with("snapshot")),
        "more than the snapshot is left: {left:?}"
    );
    equals(
        "the last snapshots",
        shop.aws.database_snapshots(&database).await?.len(),
        1,
    )?;
    in_order(
        shop,
        mark,
        &database,
        &[
            "rds:ModifyDBInstance",
            "rds:DeleteDBInstance",
            "rds:DeleteDBSubnetGroup",
        ],
    )
    .await
}

pub async fn under_delete(shop: &Shop) -> Result<()> {
    let subject = orders(shop, "erased", "Delete").await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    take_down(shop, &subject).await?;
    equals(
        "what is left",
        left(shop, &subject).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "the last snapshots",
        shop.aws.database_snapshots(&database).await?,
        Vec::<String>::new(),
    )
}
