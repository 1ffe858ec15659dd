//! A catalog under each policy, and a part that is taken out of one.

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes};
use shopkeeper_localenv::{AwsFault, FaultKind};

use super::{CLUSTER, NAMESPACE, in_order, left, take_down};

async fn catalog(shop: &Shop, name: &str, policy: &str) -> Result<Subject> {
    let subject = Subject::new("CatalogService", NAMESPACE, name);
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: NodeGroup, nodeGroup: {{min: 1, max: 3}}}}
  products:
    keys: {{partition: {{name: id, type: String}}}}
    capacity: {{type: Provisioned, provisioned: {{read: 5, autoscale: {{write: {{min: 5, max: 50}}}}}}}}
  cache: {{engine: Valkey, nodeType: cache.t4g.small, replicas: 1, users: [{{name: app, authentication: Password}}]}}
  media: {{archiveAfterInactiveDays: 180}}
  policy: {{deletion: {policy}}}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    Ok(subject)
}

/// The name in the bucket, which keeps it from being empty.
async fn put_a_picture(shop: &Shop, bucket: &str) -> Result<()> {
    let picture = aws_sdk_s3::primitives::ByteStream::from_static(b"a picture");
    shop.aws
        .s3
        .put_object()
        .bucket(bucket)
        .key("products/1.jpg")
        .body(picture)
        .send()
        .await?;
    Ok(())
}

pub async fn under_retain(shop: &Shop) -> Result<()> {
    let subject = catalog(shop, "retained", "Retain").await?;
    let mark = take_down(shop, &subject).await?;
    // Data and what it needs stay; nodes, roles and associations go whatever the policy.
    let left = left(shop, &subject).await?;
    for kept in [
        "dynamodb:table",
        "application-autoscaling:scalable-target",
        "elasticache:replication-group",
        "elasticache:subnet-group",
        "elasticache:user-group",
        "elasticache:user",
        "secretsmanager:secret",
        "s3:bucket",
    ] {
        ensure!(
            left.iter().any(|kind| kind == kept),
            "{kept} was not kept: {left:?}"
        );
    }
    ensure!(
        !left
            .iter()
            .any(|kind| kind.starts_with("eks:") || kind.starts_with("iam:")),
        "nodes or roles were kept: {left:?}"
    );
    let deletions: Vec<String> = shop.steps_since(mark, "octank-deletion-retained").await?;
    let of_data = |call: &&String| {
        (call.contains("Delete") || call.contains("Deregister"))
            && [
                "application-autoscaling",
                "dynamodb",
                "elasticache",
                "s3",
                "rds",
            ]
            .iter()
            .any(|service| call.starts_with(service))
    };
    ensure!(
        !deletions.iter().any(|call| of_data(&call)),
        "data was touched: {deletions:?}"
    );
    equals(
        "the table's protection",
        &shop.aws.table("octank-deletion-retained-products").await?["deletionProtection"],
        &json!(true),
    )
}

pub async fn under_snapshot(shop: &Shop) -> Result<()> {
    let subject = catalog(shop, "saved", "Snapshot").await?;
    let (table, cache) = (
        shop.made(&subject, "DynamoDbTable", "products").await?,
        shop.made(&subject, "CacheReplicationGroup", "cache")
            .await?,
    );
    let bucket = shop.made(&subject, "S3Bucket", "media").await?;
    put_a_picture(shop, &bucket).await?;
    let mark = take_down(shop, &subject).await?;
    // S3 has no snapshots: a bucket that is not empty stays, and the key stays with it.
    equals(
        "what is left",
        left(shop, &subject).await?,
        vec!["s3:bucket".to_owned()],
    )?;
    equals(
        "the backups of the table",
        shop.aws.table_backups(&table).await?.len(),
        1,
    )?;
    equals(
        "the snapshots of the cache",
        shop.aws.cache_snapshots(&cache).await?.len(),
        1,
    )?;
    in_order(
        shop,
        mark,
        &table,
        &[
            "application-autoscaling:DeregisterScalableTarget",
            "dynamodb:CreateBackup",
            "dynamodb:DeleteTable",
        ],
    )
    .await?;
    in_order(
        shop,
        mark,
        &cache,
        &[
            "elasticache:DeleteReplicationGroup",
            "elasticache:DeleteUserGroup",
            "elasticache:DeleteUser",
            "secretsmanager:DeleteSecret",
        ],
    )
    .await?;
    in_order(
        shop,
        mark,
        &cache,
        &[
            "elasticache:DeleteReplicationGroup",
            "elasticache:DeleteCacheSubnetGroup",
        ],
    )
    .await?;
    let objects = shop.aws.s3.list_objects_v2().bucket(&bucket).send().await?;
    equals("the pictures that are left", objects.contents().len(), 1)
}

pub async fn under_delete(shop: &Shop) -> Result<()> {
    let subject = catalog(shop, "deleted", "Delete").await?;
    let (table, cache) = (
        shop.made(&subject, "DynamoDbTable", "products").await?,
        shop.made(&subject, "CacheReplicationGroup", "cache")
            .await?,
    );
    let group = shop.made(&subject, "NodeGroup", "nodes").await?;
    put_a_picture(shop, &shop.made(&subject, "S3Bucket", "media").await?).await?;
    let mark = take_down(shop, &subject).await?;
    equals(
        "what is left",
        left(shop, &subject).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "the backups of the table",
        shop.aws.table_backups(&table).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "the snapshots of the cache",
        shop.aws.cache_snapshots(&cache).await?,
        Vec::<String>::new(),
    )?;
    // Identity, then compute, then data, then what both need.
    let made = shop.steps_since(mark, "").await?;
    ensure!(
        made.iter()
            .any(|call| call == "eks:DeletePodIdentityAssociation"),
        "the association was not deleted: {made:?}"
    );
    in_order(
        shop,
        mark,
        "deleted",
        &[
            "eks:DeleteNodegroup",
            "dynamodb:DeleteTable",
            "iam:DeleteRole",
        ],
    )
    .await?;
    in_order(
        shop,
        mark,
        &table,
        &[
            "application-autoscaling:DeregisterScalableTarget",
            "dynamodb:DeleteTable",
        ],
    )
    .await?;
    ensure!(
        shop.aws.node_group(CLUSTER, &group).await.is_err(),
        "the node group is still there"
    );
    Ok(())
}

pub async fn a_cache_is_taken_out(shop: &Shop) -> Result<()> {
    let subject = catalog(shop, "thinner", "Snapshot").await?;
    let cache = shop
        .made(&subject, "CacheReplicationGroup", "cache")
        .await?;
    let mark = shop.mark().await?;
    shop.merge(&subject, json!({"spec": {"cache": null}}))
        .await?;
    shop.until_condition(&subject, "Ready", "False", "ApprovalRequired")
        .await?;
    equals(
        "what was done before the approval",
        shop.steps_since(mark, &cache).await?,
        Vec::<String>::new(),
    )?;
    shop.approve(&subject).await?;
    shop.until_ready(&subject).await?;
    ensure!(
        shop.aws.cache(&cache).await.is_err(),
        "the cache is still there"
    );
    equals(
        "the snapshots of the cache",
        shop.aws.cache_snapshots(&cache).await?.len(),
        1,
    )?;
    ensure!(
        shop.aws.cache_subnets(&cache).await.is_err(),
        "its subnet group is still there"
    );
    includes(
        "the table",
        &shop.aws.table("octank-deletion-thinner-products").await?,
        &json!({"status": "ACTIVE"}),
    )
}

/// The last backup of a table that was put back, and written to, is not the last one when it is taken out again.
pub async fn a_table_is_taken_out_twice(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "twice");
    let tables = json!([
        {"name": "carts", "table": {"keys": {"partition": {"name": "id", "type": "String"}}}}
    ]);
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: twice, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  products: {{keys: {{partition: {{name: id, type: String}}}}}}
  tables: {tables}
"
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "tables.carts").await?;

    // The backup is made, and the table cannot be deleted.
    let control = shop.environment.aws_control()?;
    let mut fault = AwsFault::new(FaultKind::AccessDenied, "dynamodb", "DeleteTable");
    fault.resource = Some(table.clone());
    let fault = control.add_fault(&fault).await?;
    let mark = shop.mark().await?;
    shop.merge(&subject, json!({"spec": {"tables": null}}))
        .await?;
    shop.approve(&subject).await?;
    shop.until_condition(&subject, "Stalled", "True", "AccessDenied")
        .await?;
    in_order(shop, mark, &table, &["dynamodb:CreateBackup"]).await?;
    equals("backups", shop.aws.table_backups(&table).await?.len(), 1)?;

    // It is put back, and used.
    shop.merge(&subject, json!({"spec": {"tables": tables}}))
        .await?;
    shop.until_ready(&subject).await?;
    control.remove_fault(&fault).await?;
    shop.aws
        .dynamodb
        .put_item()
        .table_name(&table)
        .item("id", AttributeValue::S("of today".to_owned()))
        .send()
        .await?;

    let mark = shop.mark().await?;
    shop.merge(&subject, json!({"spec": {"tables": null}}))
        .await?;
    shop.approve(&subject).await?;
    shop.until_ready(&subject).await?;
    shop.until("the table is gone", PATIENCE, async || {
        ensure!(shop.aws.table(&table).await.is_err(), "it is still there");
        Ok(())
    })
    .await?;
    in_order(
        shop,
        mark,
        &table,
        &["dynamodb:CreateBackup", "dynamodb:DeleteTable"],
    )
    .await?;
    equals("backups", shop.aws.table_backups(&table).await?.len(), 2)?;
    take_down(shop, &subject).await.map(drop)
}
