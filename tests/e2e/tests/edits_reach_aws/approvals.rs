//! What people approve is what they were shown, and what was shown rests on a look of that moment.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, includes};

use super::NAMESPACE;

pub async fn of_queues_that_fill(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "filling");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: filling, namespace: edits}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
  notifications:
    queues: [{name: fulfilment}, {name: full}, {name: audit}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let full = shop.made(&subject, "SqsQueue", "queues.full").await?;
    let audit = shop.made(&subject, "SqsQueue", "queues.audit").await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    let queues = |names: &[&str]| {
        let queues: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"queues": queues})
    };

    // It was empty when it was looked at last, which is not long ago. Nobody is asked whether it may be deleted: it is kept.
    send(shop, &full).await?;
    let mark = shop.mark().await?;
    let kept = json!({"spec": {"notifications": queues(&["fulfilment", "audit"])}});
    shop.merge(&subject, kept).await?;
    shop.until_ready(&subject).await?;
    let deleted = shop.steps_since(mark, &full).await?;
    ensure!(
        deleted.iter().all(|call| !call.contains(":Delete")),
        "a queue with a message: {deleted:?}"
    );
    shop.aws.queue(&full).await?;

    // A message comes after the plan was shown: what is as it was shown is done, what is not is kept, and no more is asked.
    let patch = json!({"spec": {
        "database": {"rds": {"instanceClass": "db.r7g.large"}},
        "notifications": queues(&["fulfilment"]),
    }});
    shop.merge(&subject, patch).await?;
    shop.until_condition(&subject, "Ready", "False", "ApprovalRequired")
        .await?;
    let object = shop.get(subject.kind, NAMESPACE, &subject.name).await?;
    let shown = &object["status"]["plan"];
    equals(
        "what is asked for",
        shown["steps"].as_array().map(Vec::len),
        Some(2),
    )?;
    let hash = shown["hash"].as_str().unwrap_or_default().to_owned();
    send(shop, &audit).await?;
    shop.approve(&subject).await?;
    shop.until_ready(&subject).await?;
    includes(
        "the database",
        &shop.aws.database(&database).await?,
        &json!({"class": "db.r7g.large"}),
    )?;
    shop.aws.queue(&audit).await?;
    let object = shop.get(subject.kind, NAMESPACE, &subject.name).await?;
    equals(
        "the approval",
        object["status"]["lastHandledApproval"].as_str(),
        Some(hash.as_str()),
    )?;
    let events = shop.list("Event", NAMESPACE, "").await?;
    let told = events.iter().any(|event| {
        let note = event["note"]
            .as_str()
            .or(event["message"].as_str())
            .unwrap_or_default();
        event["reason"] == "PlanChanged"
            && note.contains(&hash)
            && note.contains(&format!(
                "{audit}: was approved `to be deleted`, and is kept in AWS"
            ))
    });
    ensure!(told, "nobody says what changed: {events:?}");
    Ok(())
}

async fn send(shop: &Shop, queue: &str) -> Result<()> {
    let url = shop.aws.queue(queue).await?["url"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let message = shop.aws.sqs.send_message().queue_url(url);
    message.message_body("order 1").send().await?;
    Ok(())
}
