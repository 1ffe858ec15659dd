//! A table that somebody deletes in AWS.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes};

use super::NAMESPACE;

/// A catalog whose table somebody deleted; with the name of the table, and what it was like.
async fn bereft(shop: &Shop, name: &str, drift: &str) -> Result<(Subject, String, Value)> {
    let subject = Subject::new("CatalogService", NAMESPACE, name);
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  products: {{keys: {{partition: {{name: id, type: String}}}}}}
  policy: {{drift: {drift}}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "products").await?;
    let before = shop.aws.table(&table).await?;
    let dynamodb = &shop.aws.dynamodb;
    dynamodb
        .update_table()
        .table_name(&table)
        .deletion_protection_enabled(false)
        .send()
        .await?;
    shop.until("the table is deleted", PATIENCE, async || {
        dynamodb.delete_table().table_name(&table).send().await?;
        Ok(())
    })
    .await?;
    shop.until("the table is gone", PATIENCE, async || {
        ensure!(shop.aws.table(&table).await.is_err(), "it is still there");
        Ok(())
    })
    .await?;
    shop.request_pass(&subject, "2026-11-24T10:00:01Z").await?;
    Ok((subject, table, before))
}

async fn has_event(shop: &Shop, table: &str) -> Result<()> {
    shop.until("an event tells of the loss", PATIENCE, async || {
        let events = shop.list("Event", NAMESPACE, "").await?;
        let told = events.iter().any(|event| {
            let note = event["note"].as_str().unwrap_or_default();
            event["reason"] == "Gone" && event["type"] == "Warning" && note.contains(table)
        });
        ensure!(told, "no event tells that {table} is gone");
        Ok(())
    })
    .await
}

async fn made_with_leave(
    shop: &Shop,
    subject: &Subject,
    table: &str,
    before: &Value,
) -> Result<()> {
    let message = shop
        .until_condition(subject, "Ready", "False", "ApprovalRequired")
        .await?;
    ensure!(
        message.contains(table) && message.contains("is gone from AWS"),
        "the loss is not named: {message}"
    );
    let plan = shop.plan_of(subject).await?;
    equals(
        "the effect",
        &plan["steps"][0]["effect"],
        &json!("DataLoss"),
    )?;
    ensure!(shop.aws.table(table).await.is_err(), "it was made already");
    shop.approve(subject).await?;
    shop.until_ready(subject).await?;
    let now = shop.aws.table(table).await?;
    includes("the table", &now, before).and_then(|()| includes("the table", before, &now))
}

pub async fn asked_for(shop: &Shop) -> Result<()> {
    let (subject, table, before) = bereft(shop, "bereft", "Repair").await?;
    shop.until_condition(&subject, "DataReady", "False", "ApprovalRequired")
        .await?;
    has_event(shop, &table).await?;
    made_with_leave(shop, &subject, &table, &before).await
}

pub async fn only_told(shop: &Shop) -> Result<()> {
    let (subject, table, before) = bereft(shop, "forsaken", "Report").await?;
    let mark = shop.mark().await?;
    let message = shop
        .until_condition(&subject, "Ready", "False", "Drifted")
        .await?;
    ensure!(
        message.contains(&table) && message.contains("is gone from AWS"),
        "the loss is not named: {message}"
    );
    has_event(shop, &table).await?;
    shop.request_pass(&subject, "2026-11-24T10:00:02Z").await?;
    equals(
        "what was written to AWS",
        shop.steps_since(mark, &table).await?,
        Vec::<String>::new(),
    )?;
    // Once it may be repaired, it is complete, whatever the policy is by then.
    shop.merge(&subject, json!({"spec": {"policy": {"drift": "Repair"}}}))
        .await?;
    made_with_leave(shop, &subject, &table, &before).await
}
