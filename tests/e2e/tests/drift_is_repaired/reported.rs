//! Under `drift: Report` nothing is written.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes};

use super::{NAMESPACE, for_others};

pub async fn only_told(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "watched");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: watched, namespace: drift}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
  policy: {drift: Report}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "products").await?;
    let mark = shop.mark().await?;
    shop.aws
        .dynamodb
        .update_table()
        .table_name(&table)
        .deletion_protection_enabled(false)
        .send()
        .await?;
    let arn = format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}");
    let policy = for_others("dynamodb:GetItem", &arn).to_string();
    shop.aws
        .dynamodb
        .put_resource_policy()
        .resource_arn(arn)
        .policy(&policy)
        .send()
        .await?;
    shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
    let message = shop
        .until_condition(&subject, "Ready", "True", "Drifted")
        .await?;
    ensure!(
        message.contains(&table)
            && message.contains("deletionProtection")
            && message.contains("policy"),
        "the drift is not named: {message}"
    );
    let patch = json!({"spec": {"maxUnavailable": 2}});
    shop.merge(
        &Subject::new("PodDisruptionBudget", NAMESPACE, "watched"),
        patch,
    )
    .await?;
    shop.until("the drift in the cluster is told", PATIENCE, async || {
        let message = shop
            .until_condition(&subject, "Ready", "True", "Drifted")
            .await?;
        ensure!(message.contains("PodDisruptionBudget"), "{message}");
        Ok(())
    })
    .await?;
    drift_is_counted_and_has_events(shop, &table).await?;
    equals(
        "what was written to AWS",
        shop.steps_since(mark, &table).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "the table's protection",
        &shop.aws.table(&table).await?["deletionProtection"],
        &json!(false),
    )?;
    equals(
        "the table's policy",
        &shop.aws.table(&table).await?["policy"],
        &json!(policy),
    )?;
    let budget = shop
        .get("PodDisruptionBudget", NAMESPACE, "watched")
        .await?;
    equals("the budget", &budget["spec"]["maxUnavailable"], &json!(2))?;

    // An edit of the same resource is no drift: it is made. What can be recovered shrinks with it, so a person approves.
    shop.merge(
        &subject,
        json!({"spec": {"products": {"recoveryPeriodDays": 9}}}),
    )
    .await?;
    shop.approve(&subject).await?;
    shop.until("the edit is made", PATIENCE, async || {
        includes(
            "the table",
            &shop.aws.table(&table).await?,
            &json!({"recoveryDays": 9}),
        )
    })
    .await
}

async fn drift_is_counted_and_has_events(shop: &Shop, table: &str) -> Result<()> {
    // What is counted is what the operator's own watches told it: a moment behind what is stored.
    shop.until("the drift is counted", PATIENCE, async || {
        let metrics = shop.metrics().await?;
        for counted in [
            r#"shopkeeper_drifted_resources{kind="DynamoDbTable"}"#,
            r#"shopkeeper_drifted_resources{kind="PodDisruptionBudget"}"#,
            r#"shopkeeper_resource_condition{kind="Platform",type="PodIdentityReady",status="True"}"#,
        ] {
            // What else is left drifted at this moment is counted too.
            let count = metrics
                .lines()
                .find_map(|line| line.strip_prefix(counted)?.trim().parse::<f64>().ok());
            ensure!(
                count.is_some_and(|count| count >= 1.0),
                "the metrics lack {counted}: {count:?}"
            );
        }
        Ok(())
    })
    .await?;
    shop.until("events tell of the drift", PATIENCE, async || {
        let events = shop.list("Event", NAMESPACE, "").await?;
        for (name, field) in [
            (table, "deletionProtection"),
            (table, "to let others in"),
            ("watched", "maxUnavailable"),
        ] {
            let told = events.iter().any(|event| {
                let note = event["note"].as_str().unwrap_or_default();
                event["reason"] == "Drifted"
                    && event["type"] == "Warning"
                    && note.contains(name)
                    && note.contains(field)
            });
            ensure!(told, "no event tells that {field} of {name} was changed");
        }
        Ok(())
    })
    .await
}
