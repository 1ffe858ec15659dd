//! A shop that was deleted under `Retain` and is made again finds its data.
//!
//! Proves for a table, a cache, a bucket, a database and a queue that deletion changes none of their fields, that the
//! custom resource of the same name takes them over without making anything of them again, and that a table whose name only
//! looks like ours is not written to.

use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, View, equals, read_example};

/// Named as if it belonged to the catalog, and not made by anybody we know.
const FOREIGN: &str = "octank-shop-catalog-archive";

const SHOP: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
  cache: {engine: Valkey, nodeType: cache.t4g.small, replicas: 1}
  media: {archiveAfterInactiveDays: 180}
  policy: {deletion: Retain}
---
apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: shop}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
  notifications:
    topics: [{name: buy, subscribers: [{type: Queue, queue: fulfilment}]}]
    queues: [{name: fulfilment}]
  policy: {deletion: Retain}
";

#[tokio::test]
async fn a_retained_shop_is_taken_over() -> Result<()> {
    let shop = Shop::open("retained").await?;
    shop.namespace("shop").await?;
    make_a_foreign_table(&shop).await?;
    let began = shop.mark().await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let (catalog, orders) = (
        Subject::new("CatalogService", "shop", "catalog"),
        Subject::new("OrderService", "shop", "orders"),
    );
    open(&shop, [&catalog, &orders]).await?;
    let names = [
        (
            &catalog,
            shop.made(&catalog, "DynamoDbTable", "products").await?,
        ),
        (
            &catalog,
            shop.made(&catalog, "CacheReplicationGroup", "cache")
                .await?,
        ),
        (&catalog, shop.made(&catalog, "S3Bucket", "media").await?),
        (
            &orders,
            shop.made(&orders, "RdsInstance", "database").await?,
        ),
        (
            &orders,
            shop.made(&orders, "SqsQueue", "queues.fulfilment").await?,
        ),
    ];
    let of = |index: usize| names[index].1.clone();
    let views = [
        View::Table(of(0)),
        View::Cache(of(1)),
        View::Bucket(of(2)),
        View::Database(of(3)),
        View::Queue(of(4)),
    ];
    let before = look_at_all(&shop, &views).await?;

    for subject in [&catalog, &orders] {
        shop.delete(subject).await?;
    }
    for subject in [&catalog, &orders] {
        shop.until_gone(subject).await?;
    }
    all_that_stays_is_told(&shop, &names).await?;
    for ((was, is), (_, name)) in before
        .iter()
        .zip(look_at_all(&shop, &views).await?)
        .zip(&names)
    {
        equals(&format!("{name} after the deletion"), &is, was)?;
    }

    let again = shop.mark().await?;
    open(&shop, [&catalog, &orders]).await?;
    let calls = shop.aws_writes_since(again).await?;
    let making = [
        "CreateTable",
        "CreateReplicationGroup",
        "CreateBucket",
        "CreateDBInstance",
        "CreateQueue",
        "CreateTopic",
        "Subscribe",
    ];
    let made: Vec<&str> = calls
        .iter()
        .filter_map(|call| call.operation.as_deref())
        .filter(|operation| making.contains(operation))
        .collect();
    ensure!(
        made.is_empty(),
        "what was retained was made again: {made:?}"
    );
    for (view, (subject, name)) in look_at_all(&shop, &views).await?.iter().zip(&names) {
        let object = shop
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        equals(
            &format!("the owner of {name}"),
            &view["tags"]["shopkeeper.dev/owner-uid"],
            &object["metadata"]["uid"],
        )?;
    }
    shop.aws
        .table(FOREIGN)
        .await
        .context("the table that is not ours is gone")?;
    equals(
        "what was done to the table that is not ours",
        shop.steps_since(began, FOREIGN).await?,
        Vec::<String>::new(),
    )?;
    shop.close().await
}

async fn open(shop: &Shop, subjects: [&Subject; 2]) -> Result<()> {
    shop.apply(SHOP).await?;
    for subject in subjects {
        shop.until_ready(subject).await?;
    }
    Ok(())
}

async fn look_at_all(shop: &Shop, views: &[View]) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for view in views {
        found.push(shop.look(view).await?);
    }
    Ok(found)
}

async fn make_a_foreign_table(shop: &Shop) -> Result<()> {
    let id = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()?;
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()?;
    let call = shop
        .aws
        .dynamodb
        .create_table()
        .table_name(FOREIGN)
        .billing_mode(BillingMode::PayPerRequest);
    call.attribute_definitions(id)
        .key_schema(key)
        .send()
        .await?;
    shop.until(
        "the foreign table is there",
        shopkeeper_e2e::PATIENCE,
        async || {
            equals(
                "its status",
                &shop.aws.table(FOREIGN).await?["status"],
                &json!("ACTIVE"),
            )
        },
    )
    .await
}

/// The custom resources are gone: nothing else tells of what stays.
async fn all_that_stays_is_told(shop: &Shop, names: &[(&Subject, String)]) -> Result<()> {
    let events = shop.list("Event", "shop", "").await?;
    for (subject, name) in names {
        let told: Vec<&str> = events
            .iter()
            .filter(|event| {
                event["reason"] == "Retained" && event["regarding"]["name"] == subject.name.as_str()
            })
            .filter_map(|event| event["note"].as_str())
            .collect();
        ensure!(
            told.len() < 4 && told.iter().any(|note| note.contains(name)),
            "{name} is not told, or in too many words: {told:?}"
        );
    }
    Ok(())
}
