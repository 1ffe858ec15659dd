//! A status that was lost, with the inventory in it, while the specification or the custom resource went on.
//!
//! Proves that what had been made is found by its tags, and what hangs on it by that; that what is not declared any more goes by the policy
//! and with approval, and is told; that the end of a custom resource takes what no inventory had; that what was kept on purpose is not
//! taken back; and that what carries the tags of another custom resource is not touched.

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, Tag,
};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, read_example};

/// It looks like what an earlier custom resource of the same name left.
const OF_AN_EARLIER_ONE: &str = "octank-shop-catalog-archive";

fn orders() -> Subject {
    Subject::new("OrderService", "shop", "orders")
}

fn catalog() -> Subject {
    Subject::new("CatalogService", "shop", "catalog")
}

fn orders_specification() -> Value {
    json!({
        "workload": {"image": "registry.example/orders:1", "ports": [{"name": "http", "containerPort": 8080}]},
        "nodes": {"type": "None"},
        "identity": {"type": "PodIdentity", "statements": [{"actions": ["s3:ListAllMyBuckets"], "resources": ["*"]}]},
        "database": {
            "type": "RDS",
            "rds": {"engine": "PostgreSQL", "version": "17", "instanceClass": "db.t4g.medium", "storage": "20Gi"},
        },
        "notifications": {
            "topics": [
                {"name": "buy", "subscribers": [{"type": "Queue", "queue": "fulfilment"}]},
                {"name": "ship"},
            ],
            "queues": [{"name": "fulfilment"}, {"name": "kept"}],
        },
    })
}

fn catalog_specification() -> Value {
    json!({
        "workload": {"image": "registry.example/catalog:1", "ports": [{"name": "http", "containerPort": 8080}]},
        "nodes": {"type": "NodeGroup", "nodeGroup": {"instanceTypes": ["m7g.large"], "min": 1, "max": 3}},
        "products": {
            "keys": {"partition": {"name": "id", "type": "String"}},
            "capacity": {"type": "Provisioned", "provisioned": {"autoscale": {
                "read": {"min": 5, "max": 50}, "write": {"min": 5, "max": 50},
            }}},
        },
        "cache": {"engine": "Valkey", "nodeType": "cache.t4g.small", "replicas": 1},
        "media": {"archiveAfterInactiveDays": 180},
        "policy": {"deletion": "Delete"},
    })
}

#[tokio::test]
async fn a_lost_inventory_leaves_nothing_behind() -> Result<()> {
    let mut shop = Shop::open("lost").await?;
    shop.namespace("shop").await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply_specification(&orders(), &orders_specification())
        .await?;
    shop.apply_specification(&catalog(), &catalog_specification())
        .await?;
    for subject in [orders(), catalog()] {
        shop.until_ready(&subject).await?;
    }
    let kept = a_queue_is_kept_on_purpose(&shop).await?;
    make_what_an_earlier_one_left(&shop).await?;
    let began = shop.mark().await?;

    what_is_not_declared_any_more_is_found(&mut shop, &kept).await?;
    all_of_it_goes_at_the_end(&mut shop).await?;

    equals(
        "what was done to what an earlier custom resource left",
        shop.steps_since(began, OF_AN_EARLIER_ONE).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "what was done to the queue that is kept",
        shop.steps_since(began, &kept).await?,
        Vec::<String>::new(),
    )?;
    shop.aws.table(OF_AN_EARLIER_ONE).await?;
    shop.aws.queue(&kept).await?;
    shop.close().await
}

/// It is taken out of the specification under `Retain`, and carries a tag that says so.
async fn a_queue_is_kept_on_purpose(shop: &Shop) -> Result<String> {
    let name = shop.made(&orders(), "SqsQueue", "queues.kept").await?;
    let queues = json!([{"name": "fulfilment"}]);
    let patch =
        json!({"spec": {"policy": {"deletion": "Retain"}, "notifications": {"queues": queues}}});
    shop.merge(&orders(), patch).await?;
    shop.until("the queue says that it is kept", PATIENCE, async || {
        let queue = shop.aws.queue(&name).await?;
        equals(
            "its tag",
            &queue["tags"]["shopkeeper.dev/retained"],
            &json!("true"),
        )
    })
    .await?;
    shop.until_ready(&orders()).await?;
    // It is said once.
    let mark = shop.mark().await?;
    shop.request_pass(&orders(), "2026-11-23T10:00:00Z").await?;
    let again = shop.aws_writes_since(mark).await?.len();
    equals("writes of a pass after that", again, 0)?;
    let policy = json!({"spec": {"policy": {"deletion": "Snapshot"}}});
    shop.merge(&orders(), policy).await?;
    shop.until_ready(&orders()).await?;
    Ok(name)
}

/// Its status is lost and its database, a topic, a subscription and the autoscaling of a table are taken out while nobody looks.
async fn what_is_not_declared_any_more_is_found(shop: &mut Shop, kept: &str) -> Result<()> {
    let database = shop.made(&orders(), "RdsInstance", "database").await?;
    let topic = shop.made(&orders(), "SnsTopic", "topics.ship").await?;
    let table = shop.made(&catalog(), "DynamoDbTable", "products").await?;
    shop.stop_operator().await?;
    for subject in [orders(), catalog()] {
        shop.lose_status(&subject).await?;
    }
    let buy = json!([{"name": "buy"}]);
    let orders_patch = json!({"spec": {"database": null, "notifications": {"topics": buy}}});
    shop.merge(&orders(), orders_patch).await?;
    let capacity = json!({"type": "OnDemand", "provisioned": null});
    let catalog_patch = json!({"spec": {"products": {"capacity": capacity}}});
    shop.merge(&catalog(), catalog_patch).await?;
    shop.operator = Some(shop.start_operator("after the loss").await?);

    shop.approve(&orders()).await?;
    shop.until_ready(&orders()).await?;
    shop.until_ready(&catalog()).await?;
    ensure!(
        shop.aws.database(&database).await.is_err(),
        "the database is still there"
    );
    equals(
        "the last snapshots",
        shop.aws.database_snapshots(&database).await?.len(),
        1,
    )?;
    let left = shop.owned_in_aws(&orders()).await?;
    for (what, is_left) in [
        ("the topic", left.iter().any(|one| one.ends_with(&topic))),
        (
            "the subscription",
            left.iter().any(|one| one.starts_with("sns:subscription")),
        ),
        (
            "its subnet group",
            left.iter().any(|one| one.starts_with("rds:subnet-group")),
        ),
    ] {
        ensure!(!is_left, "{what} is left: {left:?}");
    }
    let autoscaling = shop.aws.autoscaling(&table).await?;
    equals("what is scaled of the table", &autoscaling, &json!({}))?;
    let told = told(shop, "Found").await?;
    ensure!(
        told.iter().any(|note| note.contains(&database)),
        "the database is not told: {told:?}"
    );
    ensure!(
        told.iter().all(|note| !note.contains(kept)),
        "what is kept is told as found: {told:?}"
    );
    // What is declared was taken back as well.
    let object = shop.get("CatalogService", "shop", "catalog").await?;
    let inventory = object["status"]["inventory"].to_string();
    for kind in [
        "NodeGroup",
        "IamRole",
        "DynamoDbTable",
        "CacheReplicationGroup",
        "S3Bucket",
    ] {
        ensure!(inventory.contains(kind), "{kind} is not in {inventory}");
    }
    for subject in [orders(), catalog()] {
        shop.second_pass_is_silent(&subject).await?;
    }
    Ok(())
}

/// Its status is lost again, nothing of what it had is declared any more, and it is deleted before anybody looks.
async fn all_of_it_goes_at_the_end(shop: &mut Shop) -> Result<()> {
    shop.stop_operator().await?;
    for subject in [orders(), catalog()] {
        shop.lose_status(&subject).await?;
    }
    let bare = json!({"spec": {"cache": null, "media": null, "nodes": {"type": "None", "nodeGroup": null}}});
    shop.merge(&catalog(), bare).await?;
    let bare = json!({"spec": {"notifications": null}});
    shop.merge(&orders(), bare).await?;
    for subject in [orders(), catalog()] {
        shop.delete(&subject).await?;
    }
    shop.operator = Some(shop.start_operator("after the second loss").await?);
    for subject in [orders(), catalog()] {
        shop.until_gone(&subject).await?;
    }
    let left = shop.owned_in_aws(&catalog()).await?;
    let expected = [format!("dynamodb:table {OF_AN_EARLIER_ONE}")];
    equals("what is left of the catalog", &left, &expected.to_vec())?;
    let left = shop.owned_in_aws(&orders()).await?;
    ensure!(
        left.iter()
            .all(|one| one.contains("snapshot") || one.starts_with("sqs:queue")),
        "left of the orders: {left:?}"
    );
    Ok(())
}

async fn told(shop: &Shop, reason: &str) -> Result<Vec<String>> {
    let events = shop.list("Event", "shop", "").await?;
    Ok(events
        .iter()
        .filter(|event| event["reason"] == reason)
        .filter_map(|event| event["note"].as_str().map(str::to_owned))
        .collect())
}

async fn make_what_an_earlier_one_left(shop: &Shop) -> Result<()> {
    let cluster = "arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod";
    let tags = [
        ("shopkeeper.dev/owner", "CatalogService/shop/catalog"),
        ("shopkeeper.dev/owner-uid", "an-earlier-one"),
        ("shopkeeper.dev/cluster", cluster),
    ];
    let tags = tags
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let id = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()?;
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()?;
    shop.aws
        .dynamodb
        .create_table()
        .table_name(OF_AN_EARLIER_ONE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(id)
        .key_schema(key)
        .set_tags(Some(tags))
        .send()
        .await?;
    shop.until("the earlier table is there", PATIENCE, async || {
        equals(
            "its status",
            &shop.aws.table(OF_AN_EARLIER_ONE).await?["status"],
            &json!("ACTIVE"),
        )
    })
    .await
}
