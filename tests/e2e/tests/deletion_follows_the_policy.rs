//! What becomes of AWS resources when their custom resource goes.
//!
//! Proves for each deletion policy what is left and what is saved, from AWS and from the order of the calls; that what nobody
//! needs goes whatever the policy; that the custom resource goes last; that the resources of others are untouched; that a
//! Platform waits for those that run on it; and that a part that is taken out of a specification goes by the policy, too,
//! after approval.
//!
//! Rows R3, R10, R11, R12, R13, R18, R22 of the requirements.

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{Ledger, Shop, Subject, equals, includes, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "deletion";

#[tokio::test]
async fn deletion_follows_the_policy() -> Result<()> {
    let shop = Shop::open("deletion").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        (
            "catalog under Retain",
            catalog_under_retain(&shop).boxed_local(),
        ),
        (
            "catalog under Snapshot",
            catalog_under_snapshot(&shop).boxed_local(),
        ),
        (
            "catalog under Delete",
            catalog_under_delete(&shop).boxed_local(),
        ),
        (
            "orders under Retain",
            orders_under_retain(&shop).boxed_local(),
        ),
        (
            "orders under Snapshot",
            orders_under_snapshot(&shop).boxed_local(),
        ),
        (
            "orders under Delete",
            orders_under_delete(&shop).boxed_local(),
        ),
        (
            "a cache taken out of a catalog",
            a_cache_is_taken_out(&shop).boxed_local(),
        ),
    ])
    .await?;
    a_platform_waits_for_those_on_it(&shop).await?;
    shop.close().await
}

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

/// Deletes it and waits until it is gone; returns the point in the records from which on it was taken down.
async fn take_down(shop: &Shop, subject: &Subject) -> Result<Ledger> {
    let mark = shop.mark().await?;
    shop.delete(subject).await?;
    shop.until_gone(subject).await?;
    // What belongs to it in the cluster went before it.
    for kind in ["Deployment", "NetworkPolicy", "Service"] {
        let object = Subject::new(kind, &subject.namespace, &subject.name);
        ensure!(
            shop.find(&object).await?.is_none(),
            "{object} outlived {subject}"
        );
    }
    Ok(mark)
}

/// What is left, as the types of resources.
async fn left(shop: &Shop, subject: &Subject) -> Result<Vec<String>> {
    let owned = shop.owned_in_aws(subject).await?;
    let mut types: Vec<String> = owned
        .iter()
        .filter_map(|resource| resource.split(' ').next())
        .map(str::to_owned)
        .collect();
    types.dedup();
    Ok(types)
}

/// Checks that the calls are in this order among all that were made.
async fn in_order(shop: &Shop, mark: Ledger, concerns: &str, expected: &[&str]) -> Result<()> {
    let made = shop.steps_since(mark, concerns).await?;
    let mut rest = made.iter();
    for call in expected {
        ensure!(
            rest.any(|made| made == call),
            "{call} was not made, or not in this order; made were {made:?}"
        );
    }
    Ok(())
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

async fn catalog_under_retain(shop: &Shop) -> Result<()> {
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

async fn catalog_under_snapshot(shop: &Shop) -> Result<()> {
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

async fn catalog_under_delete(shop: &Shop) -> Result<()> {
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

async fn orders_under_retain(shop: &Shop) -> Result<()> {
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

async fn orders_under_snapshot(shop: &Shop) -> Result<()> {
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

async fn orders_under_delete(shop: &Shop) -> Result<()> {
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

async fn a_cache_is_taken_out(shop: &Shop) -> Result<()> {
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

async fn a_platform_waits_for_those_on_it(shop: &Shop) -> Result<()> {
    let platform = Subject::new("Platform", "", "octank");
    let last = Subject::new("CatalogService", NAMESPACE, "thinner");
    let others = shop.environment.aws_control()?.inventory().await?;
    let seeded = |resources: &[Value]| -> Vec<Value> {
        let of_ours = |resource: &&Value| {
            resource["tags"]["shopkeeper.dev/owner"].is_null()
                && resource["service"] != "rds"
                && resource["service"] != "secretsmanager"
        };
        resources
            .iter()
            .filter(of_ours)
            // Without tags of their own, and gone with what they belong to.
            .filter(|resource| resource["type"] != "alias" && resource["type"] != "scaling-policy")
            .map(|resource| resource["name"].clone())
            .collect()
    };
    shop.delete(&platform).await?;
    let message = shop
        .until_condition(&platform, "Ready", "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("thinner"),
        "what blocks the deletion is not named: {message}"
    );
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    shop.delete(&last).await?;
    shop.until_gone(&last).await?;
    shop.until_gone(&platform).await?;
    // Snapshots cannot be read without the key: it is kept under Snapshot.
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    let now = shop.environment.aws_control()?.inventory().await?;
    let kept = seeded(&now);
    for resource in seeded(&others) {
        ensure!(
            kept.contains(&resource),
            "{resource}, which belongs to nobody here, is gone"
        );
    }
    let cluster = shop.aws.eks.describe_cluster().name(CLUSTER).send().await?;
    let status = cluster
        .cluster()
        .and_then(|cluster| cluster.status())
        .context("the cluster has no status")?;
    equals("the cluster", status.as_str(), "ACTIVE")
}
