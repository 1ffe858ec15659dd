//! The table of a catalog.

use anyhow::Result;
use serde_json::{Value, json};
use shopkeeper_e2e::{Definition, Shop, Subject, View};

use super::{Approval, Edited, Fields, NAMESPACE, edit, workload};

/// Seconds and percents that differ from each other, so that none can stand in for another.
fn range(least: i64) -> Value {
    json!({
        "min": least,
        "max": least * 10,
        "targetUtilization": least + 50,
        "scaleInCooldownSeconds": least + 100,
        "scaleOutCooldownSeconds": least + 200,
        "scaleIn": "Disabled",
    })
}

/// What Application Auto Scaling tells of it.
fn scaled(least: i64) -> Value {
    json!({"min": least, "max": least * 10, "policies": [{
        "target": (least + 50) as f64,
        "scaleInCooldown": least + 100,
        "scaleOutCooldown": least + 200,
        "scaleInDisabled": true,
    }]})
}

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("CatalogService", NAMESPACE, "table");
    let specification = json!({
        "workload": workload("catalog"),
        "nodes": {"type": "None"},
        "products": {
            "keys": {"partition": {"name": "id", "type": "String"}, "sort": {"name": "edition", "type": "String"}},
            "localIndexes": [{"name": "by-title", "sort": {"name": "title", "type": "String"}}],
            "indexes": [{"name": "by-category", "partition": {"name": "category", "type": "Number"}}],
        },
    });
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    edited
        .refused(&[
            ("/products/tableName", json!("others"), "immutable"),
            ("/products/keys/partition/name", json!("sku"), "immutable"),
            (
                "/products/keys/partition/type",
                json!("Number"),
                "immutable",
            ),
            ("/products/keys/sort/name", json!("issue"), "immutable"),
            ("/products/keys/sort/type", json!("Number"), "immutable"),
            (
                "/products/localIndexes/0",
                json!({
                    "name": "by-maker",
                    "sort": {"name": "maker", "type": "Number"},
                    "projection": {"type": "Include", "attributes": ["price"]},
                }),
                "localIndexes can only be set when the table is made",
            ),
        ])
        .await?;

    let name = shop
        .made(&edited.subject, "DynamoDbTable", "products")
        .await?;
    let (table, scaling) = (View::Table(name.clone()), View::Autoscaling(name));
    let ready = json!({"read": 13_000, "write": 5_000});
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/products/capacity",
                    json!({"type": "OnDemand", "onDemand": {"maxRead": 4000, "maxWrite": 2000}}),
                    &table,
                    json!({"maxRead": 4000, "maxWrite": 2000}),
                ),
                edit(
                    "/products/tableClass",
                    json!("StandardInfrequentAccess"),
                    &table,
                    json!({"class": "STANDARD_INFREQUENT_ACCESS"}),
                ),
                edit(
                    "/products/deletionProtection",
                    json!("Disabled"),
                    &table,
                    json!({"deletionProtection": false}),
                ),
                edit(
                    "/products/stream",
                    json!("NewImage"),
                    &table,
                    json!({"stream": "NEW_IMAGE"}),
                ),
                edit(
                    "/products/warmThroughput",
                    ready.clone(),
                    &table,
                    json!({"warmRead": 13_000, "warmWrite": 5_000}),
                ),
                edit(
                    "/products/indexes/0/warmThroughput",
                    ready,
                    &table,
                    json!({"indexes": {"by-category": {"warmRead": 13_000, "warmWrite": 5_000}}}),
                ),
                edit(
                    "/products/indexes/-",
                    json!({
                        "name": "by-brand",
                        "partition": {"name": "brand", "type": "String"},
                        "sort": {"name": "price", "type": "Number"},
                        "projection": {"type": "Include", "attributes": ["picture"]},
                    }),
                    &table,
                    json!({
                        "status": "ACTIVE",
                        "attributes": {"brand": "S", "price": "N"},
                        "indexes": {"by-brand": {
                            "status": "ACTIVE",
                            "keys": ["brand", "price"],
                            "projection": "INCLUDE",
                            "attributes": ["picture"],
                        }},
                    }),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/products/timeToLive",
                    json!({"attribute": "expires"}),
                    &table,
                    json!({"expiry": "expires"}),
                ),
                edit(
                    "/products/recoveryPeriodDays",
                    json!(7),
                    &table,
                    json!({"recoveryDays": 7}),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/products/recoveryPeriodDays",
                    Value::Null,
                    &table,
                    json!({"recovery": "DISABLED"}),
                ),
                edit(
                    "/products/pointInTimeRecovery",
                    json!("Disabled"),
                    &table,
                    json!({"recovery": "DISABLED"}),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/products/capacity",
                    json!({"type": "Provisioned", "provisioned": {"read": 50, "autoscale": {"write": range(5)}}}),
                    &table,
                    json!({"billing": "PROVISIONED", "read": 50}),
                ),
                edit(
                    "/products/indexes/0/provisioned",
                    json!({"read": 40, "autoscale": {"write": range(6)}}),
                    &table,
                    json!({"indexes": {"by-category": {"read": 40}}}),
                ),
                // The same edits once more, where the rest of them shows.
                edit(
                    "/products/indexes/0/provisioned/read",
                    json!(40),
                    &scaling,
                    json!({"writes": scaled(5), "reads": null, "by-category.writes": scaled(6), "by-category.reads": null}),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/products/capacity/provisioned",
                    json!({"write": 30, "autoscale": {"read": range(7)}}),
                    &table,
                    json!({"write": 30}),
                ),
                edit(
                    "/products/indexes/0/provisioned",
                    json!({"write": 20, "autoscale": {"read": range(8)}}),
                    &table,
                    json!({"indexes": {"by-category": {"write": 20}}}),
                ),
                edit(
                    "/products/indexes/0/provisioned/write",
                    json!(20),
                    &scaling,
                    json!({"reads": scaled(7), "writes": null, "by-category.reads": scaled(8), "by-category.writes": null}),
                ),
            ],
        )
        .await?;
    // What a table is ready for only grows.
    edited
        .taken_back(
            Approval::Needed,
            &[
                "/products/warmThroughput",
                "/products/indexes/0/warmThroughput",
            ],
        )
        .await?;
    Ok(edited.done())
}
