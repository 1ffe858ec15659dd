//! A table whose capacity is scaled.

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::ProvisionedThroughput;
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals, includes};

use super::{NAMESPACE, edit, make};

pub async fn of_a_table(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "scaled");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: scaled, namespace: edits}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products:
    keys: {partition: {name: id, type: String}}
    indexes: [{name: by-category, partition: {name: category, type: String}}]
    capacity: {type: Provisioned, provisioned: {read: 40, write: 8}}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let name = shop.made(&subject, "DynamoDbTable", "products").await?;
    let (table, scaling) = (View::Table(name.clone()), View::Autoscaling(name.clone()));
    let capacity = |capacity: Value| json!({"products": {"capacity": capacity}});
    let scaled = |provisioned: Value| capacity(json!({"provisioned": provisioned}));

    // From fixed numbers: reads are scaled from where they are, writes stay fixed.
    let mark = shop.mark().await?;
    make(
        shop,
        &subject,
        vec![edit(
            "products.capacity.provisioned.autoscale.read",
            scaled(json!({"read": null, "autoscale": {"read": {"min": 5, "max": 500}}})),
            &scaling,
            json!({
                "reads": {
                    "min": 5, "max": 500, "suspended": false,
                    "role": "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
                    "policies": [{
                        "name": format!("DynamoDBReadCapacityUtilization:table/{name}"),
                        "tracking": true, "metric": "DynamoDBReadCapacityUtilization", "target": 70.0,
                        "scaleInCooldown": 0, "scaleOutCooldown": 0, "scaleInDisabled": false, "alarms": 4,
                    }],
                    "tags": {"shopkeeper.dev/owner": subject.path()},
                },
                "by-category.reads": {"min": 5, "max": 500},
                "writes": null,
                "by-category.writes": null,
            }),
        )],
    )
    .await?;
    equals(
        "the calls that changed the table",
        updates_of_the_table(shop, mark, &name).await?,
        0,
    )?;
    capacity_is(shop, &name, 40, 8).await?;

    make(
        shop,
        &subject,
        vec![
            edit(
                "products.capacity.provisioned.autoscale.read.targetUtilization",
                scaled(json!({"autoscale": {"read": {"targetUtilization": 55}}})),
                &scaling,
                json!({"reads": {"policies": [{"target": 55.0}]}, "by-category.reads": {"policies": [{"target": 55.0}]}}),
            ),
            edit(
                "products.capacity.provisioned.autoscale.read.scaleIn and its cooldowns",
                scaled(json!({"autoscale": {"read": {"scaleIn": "Disabled", "scaleInCooldownSeconds": 120, "scaleOutCooldownSeconds": 30}}})),
                &scaling,
                json!({"reads": {"policies": [{"scaleInDisabled": true, "scaleInCooldown": 120, "scaleOutCooldown": 30}]}}),
            ),
            edit(
                "products.capacity.provisioned.autoscale.read.min",
                scaled(json!({"autoscale": {"read": {"min": 60, "scaleIn": null}}})),
                &scaling,
                json!({"reads": {"min": 60, "policies": [{"scaleInDisabled": false}]}}),
            ),
        ],
    )
    .await?;
    // AWS raises what is below the range.
    capacity_is(shop, &name, 60, 8).await?;

    what_aws_has_scaled_is_left_alone(shop, &subject, &name).await?;

    // A fixed number beside a scaled one.
    make(
        shop,
        &subject,
        vec![edit(
            "products.capacity.provisioned.write, beside scaled reads",
            scaled(json!({"write": 9})),
            &table,
            json!({"read": 312, "write": 9, "indexes": {"by-category": {"read": 60}}}),
        )],
    )
    .await?;

    // On demand: the targets go first.
    let mark = shop.mark().await?;
    make(
        shop,
        &subject,
        vec![edit(
            "products.capacity.type, from scaled to on demand",
            capacity(json!({"type": "OnDemand", "provisioned": null})),
            &table,
            json!({"billing": "PAY_PER_REQUEST"}),
        )],
    )
    .await?;
    equals(
        "what is scaled of a table on demand",
        &shop.look(&scaling).await?,
        &json!({}),
    )?;
    let steps = shop.steps_since(mark, &name).await?;
    equals(
        "the steps to on demand",
        steps,
        [
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:DeregisterScalableTarget",
            "dynamodb:UpdateTable",
        ],
    )?;

    // And back: the table first, with the most.
    let mark = shop.mark().await?;
    let range = |min: i64, max: i64| json!({"min": min, "max": max});
    make(
        shop,
        &subject,
        vec![edit(
            "products.capacity.type, from on demand to scaled",
            capacity(json!({"type": "Provisioned", "provisioned": {"autoscale": {"read": range(5, 100), "write": range(2, 20)}}})),
            &table,
            json!({"billing": "PROVISIONED", "read": 100, "write": 20, "indexes": {"by-category": {"read": 100}}}),
        )],
    )
    .await?;
    let steps = shop.steps_since(mark, &name).await?;
    equals(
        "the first step to scaled",
        steps.first().map(String::as_str),
        Some("dynamodb:UpdateTable"),
    )?;
    includes(
        "what is scaled",
        &shop.look(&scaling).await?,
        &json!({"reads": {"max": 100}, "writes": {"max": 20}, "by-category.reads": {"max": 100}, "by-category.writes": {"max": 20}}),
    )?;

    // Fixed again: nobody sets them back.
    make(
        shop,
        &subject,
        vec![edit(
            "products.capacity.provisioned, from scaled to fixed",
            scaled(json!({"read": 1, "write": 1, "autoscale": null})),
            &table,
            json!({"read": 1, "write": 1}),
        )],
    )
    .await?;
    equals(
        "what is scaled of a fixed table",
        &shop.look(&scaling).await?,
        &json!({}),
    )
}

/// What Application Auto Scaling does when the load grows is made here by hand. The next look finds nothing to do.
async fn what_aws_has_scaled_is_left_alone(
    shop: &Shop,
    subject: &Subject,
    table: &str,
) -> Result<()> {
    let units = ProvisionedThroughput::builder()
        .read_capacity_units(312)
        .write_capacity_units(8)
        .build()?;
    shop.aws
        .dynamodb
        .update_table()
        .table_name(table)
        .provisioned_throughput(units)
        .send()
        .await?;
    capacity_is(shop, table, 312, 8).await?;
    let mark = shop.mark().await?;
    shop.request_pass(subject, "2026-11-24T10:00:00Z").await?;
    let steps = shop.steps_since(mark, table).await?;
    ensure!(
        steps.is_empty(),
        "what was scaled is fought over: {steps:?}"
    );
    shop.until_ready(subject).await?;
    capacity_is(shop, table, 312, 8).await
}

async fn capacity_is(shop: &Shop, table: &str, read: i64, write: i64) -> Result<()> {
    shop.until(
        &format!("{table} has {read} and {write} units"),
        PATIENCE,
        async || {
            includes(
                "the table",
                &shop.aws.table(table).await?,
                &json!({"status": "ACTIVE", "read": read, "write": write}),
            )
        },
    )
    .await
}

async fn updates_of_the_table(
    shop: &Shop,
    mark: shopkeeper_e2e::Ledger,
    table: &str,
) -> Result<usize> {
    let steps = shop.steps_since(mark, table).await?;
    Ok(steps
        .iter()
        .filter(|step| *step == "dynamodb:UpdateTable")
        .count())
}
