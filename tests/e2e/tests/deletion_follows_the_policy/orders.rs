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

/// What an HTTPS server did not take lies in the dead letters of its topic, and outlives the custom resource.
pub async fn with_letters(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "lettered");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: lettered, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  notifications:
    topics:
      # Nobody listens there.
      - {{name: buy, subscribers: [{{type: HTTPS, https: 'https://127.0.0.1:9/hook'}}]}}
      - {{name: sell, subscribers: [{{type: SMS, sms: '+15550178'}}]}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let letters = shop.made(&subject, "SqsQueue", "topics.buy.dead").await?;
    let topic = shop.made(&subject, "SnsTopic", "topics.buy").await?;
    let topic = format!("arn:aws:sns:eu-west-1:123456789012:{topic}");
    let sent = shop.aws.sns.publish().topic_arn(topic).message("order 1");
    sent.send().await?;
    take_down(shop, &subject).await?;
    equals(
        "what is left",
        left(shop, &subject).await?,
        vec!["sqs:queue".to_owned()],
    )?;
    let url = shop.aws.queue(&letters).await?["url"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let received = shop.aws.sqs.receive_message().queue_url(url).send().await?;
    let bodies: Vec<&str> = received
        .messages()
        .iter()
        .filter_map(|message| message.body())
        .collect();
    ensure!(
        matches!(bodies.as_slice(), [only] if only.contains("order 1")),
        "what was lost is {bodies:?}"
    );
    Ok(())
}
