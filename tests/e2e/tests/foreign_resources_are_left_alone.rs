//! A resource that Shopkeeper did not make is not touched.
//!
//! Proves for a table, a bucket, a database and an object of the cluster that has the name that Shopkeeper would choose: the
//! custom resource is Stalled with what to do, nothing is changed on the other's resource, and everything else goes on; that
//! `adoption: Adopt` takes it over as far as the Platform lets it, and that deletion afterwards treats it as its own; and that what
//! an earlier custom resource of the same name has left is taken up again without asking.

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals, includes, read_example, run_together};

const NAMESPACE: &str = "foreign";

#[tokio::test]
async fn foreign_resources_are_left_alone() -> Result<()> {
    let shop = Shop::open("foreign").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    run_together(vec![
        ("a table of somebody else's", a_table(&shop).boxed_local()),
        ("a bucket of somebody else's", a_bucket(&shop).boxed_local()),
        (
            "a database of somebody else's",
            a_database(&shop).boxed_local(),
        ),
        (
            "a Deployment of somebody else's",
            a_deployment(&shop).boxed_local(),
        ),
        (
            "what an earlier one left",
            what_an_earlier_one_left(&shop).boxed_local(),
        ),
        (
            "a table that lost its tags",
            a_table_that_lost_its_tags(&shop).boxed_local(),
        ),
    ])
    .await?;
    shop.close().await
}

fn catalog(name: &str, parts: &str) -> String {
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
{parts}"
    )
}

async fn make_table(shop: &Shop, name: &str) -> Result<()> {
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()?;
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()?;
    let call = shop
        .aws
        .dynamodb
        .create_table()
        .table_name(name)
        .key_schema(key)
        .attribute_definitions(attribute);
    call.billing_mode(BillingMode::PayPerRequest).send().await?;
    shop.until("the table is there", PATIENCE, async || {
        equals(
            "its status",
            &shop.aws.table(name).await?["status"],
            &json!("ACTIVE"),
        )
    })
    .await
}

/// Waits until it is Stalled for want of adoption, and checks that the other's resource is as it was.
async fn is_left_alone(
    shop: &Shop,
    subject: &Subject,
    view: &View,
    before: &Value,
    name: &str,
) -> Result<()> {
    let mark = shop.mark().await?;
    let message = shop
        .until_condition(subject, "Stalled", "True", "AdoptionRequired")
        .await?;
    ensure!(
        message.contains(name),
        "the resource is not named: {message}"
    );
    ensure!(
        message.contains("policy.adoption"),
        "nothing says what to do: {message}"
    );
    let ready = shop
        .until_condition(subject, "Ready", "False", "AdoptionRequired")
        .await?;
    equals("the message of Ready", ready, message)?;
    // Looked at again, it is still somebody else's.
    shop.request_pass(subject, "2026-11-24T10:00:00Z").await?;
    equals("the other's resource", &shop.look(view).await?, before)?;
    equals(
        "what was done to it",
        shop.steps_since(mark, name).await?,
        Vec::<String>::new(),
    )
}

/// Somebody takes our tags off a table: from then on it is not touched, which is told while its owner lives and when it goes.
async fn a_table_that_lost_its_tags(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "untagged");
    shop.apply(&catalog(
        "untagged",
        "  products: {keys: {partition: {name: id, type: String}}}\n  policy: {deletion: Delete}\n",
    ))
    .await?;
    shop.until_ready(&subject).await?;
    let name = shop.made(&subject, "DynamoDbTable", "products").await?;
    let table = shop
        .aws
        .dynamodb
        .describe_table()
        .table_name(&name)
        .send()
        .await?;
    let arn = table
        .table()
        .and_then(|table| table.table_arn())
        .unwrap_or_default()
        .to_owned();
    shop.aws
        .dynamodb
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("shopkeeper.dev/owner")
        .tag_keys("shopkeeper.dev/owner-uid")
        .send()
        .await?;
    let view = View::Table(name.clone());
    let before = shop.look(&view).await?;
    shop.request_pass(&subject, "2026-11-24T09:00:00Z").await?;
    is_left_alone(shop, &subject, &view, &before, &name).await?;

    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals("the table", &shop.look(&view).await?, &before)?;
    let events = shop.list("Event", NAMESPACE, "").await?;
    let told = events.iter().any(|event| {
        let note = event["note"].as_str().unwrap_or_default();
        event["reason"] == "LeftBehind"
            && event["type"] == "Warning"
            && note.contains(&name)
            && note.contains("shopkeeper.dev/owner-uid")
            && note.contains("To do:")
    });
    ensure!(told, "nobody says that it was left: {events:?}");
    Ok(())
}

async fn adopt(shop: &Shop, subject: &Subject) -> Result<()> {
    shop.merge(subject, json!({"spec": {"policy": {"adoption": "Adopt"}}}))
        .await?;
    shop.until_ready(subject).await.map(drop)
}

async fn a_table(shop: &Shop) -> Result<()> {
    let (subject, name) = (
        Subject::new("CatalogService", NAMESPACE, "tabled"),
        "octank-foreign-tabled-products",
    );
    make_table(shop, name).await?;
    let view = View::Table(name.to_owned());
    let before = shop.look(&view).await?;
    shop.apply(&catalog(
        "tabled",
        "  products: {keys: {partition: {name: id, type: String}}}\n  media: {}\n",
    ))
    .await?;
    is_left_alone(shop, &subject, &view, &before, name).await?;
    // Everything else goes on.
    shop.until("the bucket beside it is made", PATIENCE, async || {
        let bucket = shop.made(&subject, "S3Bucket", "media").await?;
        includes(
            "the bucket",
            &shop.aws.bucket(&bucket).await?,
            &json!({"versioning": "Enabled"}),
        )
    })
    .await?;
    adopt(shop, &subject).await?;
    let expected = json!({"deletionProtection": true, "recovery": "ENABLED", "encryption": "KMS", "tags": {"shopkeeper.dev/owner": subject.path()}});
    includes("the adopted table", &shop.look(&view).await?, &expected)
}

async fn a_bucket(shop: &Shop) -> Result<()> {
    let (subject, name) = (
        Subject::new("CatalogService", NAMESPACE, "bucketed"),
        "octank-pictures-of-somebody",
    );
    let location = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::EuWest1)
        .build();
    shop.aws
        .s3
        .create_bucket()
        .bucket(name)
        .create_bucket_configuration(location)
        .send()
        .await?;
    let mark = shop.mark().await?;
    shop.apply(&catalog(
        "bucketed",
        &format!("  media: {{bucketName: {name}}}\n"),
    ))
    .await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "AdoptionRequired")
        .await?;
    ensure!(
        message.contains(name) && message.contains("policy.adoption"),
        "{message}"
    );
    equals(
        "what was done to it",
        shop.steps_since(mark, name).await?,
        Vec::<String>::new(),
    )?;
    let platform = Subject::new("Platform", "", "octank");
    let allow = async |names: Value| {
        let patch = json!({"spec": {"adoption": {"allowedNames": names}}});
        shop.merge(&platform, patch).await?;
        shop.until_ready(&platform).await.map(drop)
    };
    allow(json!(["octank-foreign-*"])).await?;
    shop.merge(&subject, json!({"spec": {"policy": {"adoption": "Adopt"}}}))
        .await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "AdoptionRequired")
        .await?;
    ensure!(message.contains("spec.adoption.allowedNames"), "{message}");
    equals(
        "what was done to it",
        shop.steps_since(mark, name).await?,
        Vec::<String>::new(),
    )?;
    // The list of a Platform is heard by those that wait for it.
    allow(json!(["octank-foreign-*", "octank-pictures-*"])).await?;
    shop.until_ready(&subject).await?;
    let expected = json!({"versioning": "Enabled", "publicAccessBlocked": true, "encryption": "aws:kms", "tags": {"shopkeeper.dev/owner": subject.path()}});
    includes(
        "the adopted bucket",
        &shop.aws.bucket(name).await?,
        &expected,
    )
}

async fn a_database(shop: &Shop) -> Result<()> {
    let (subject, name) = (
        Subject::new("OrderService", NAMESPACE, "based"),
        "octank-foreign-based",
    );
    let call = shop
        .aws
        .rds
        .create_db_instance()
        .db_instance_identifier(name)
        .engine("postgres")
        .db_instance_class("db.t4g.medium");
    let call = call
        .allocated_storage(20)
        .master_username("somebody")
        .manage_master_user_password(true)
        .storage_encrypted(true);
    call.send().await?;
    let view = View::Database(name.to_owned());
    shop.until("the database is there", PATIENCE, async || {
        equals(
            "its status",
            &shop.look(&view).await?["status"],
            &json!("available"),
        )
    })
    .await?;
    let before = shop.look(&view).await?;
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: based, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  database:
    type: RDS
    rds: {{engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}}
"
    ))
    .await?;
    is_left_alone_database(shop, &subject, &view, &before, name).await?;
    // Deleting the custom resource leaves it alone as well.
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals("the other's database", &shop.look(&view).await?, &before)
}

/// Its subnet and parameter groups have the same name as the database and are ours, so that calls are told apart by operation.
async fn is_left_alone_database(
    shop: &Shop,
    subject: &Subject,
    view: &View,
    before: &Value,
    name: &str,
) -> Result<()> {
    let mark = shop.mark().await?;
    let message = shop
        .until_condition(subject, "Stalled", "True", "AdoptionRequired")
        .await?;
    ensure!(
        message.contains(name) && message.contains("policy.adoption"),
        "{message}"
    );
    shop.request_pass(subject, "2026-11-24T10:00:00Z").await?;
    equals("the other's database", &shop.look(view).await?, before)?;
    let touched: Vec<String> = shop
        .steps_since(mark, name)
        .await?
        .into_iter()
        .filter(|call| call.ends_with("DBInstance"))
        .collect();
    equals("what was done to it", touched, Vec::<String>::new())
}

async fn a_deployment(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "deployed");
    shop.apply(&format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: deployed, namespace: {NAMESPACE}}}
spec:
  selector: {{matchLabels: {{app: theirs}}}}
  template:
    metadata: {{labels: {{app: theirs}}}}
    spec: {{containers: [{{name: theirs, image: registry.example/theirs:1}}]}}
"
    ))
    .await?;
    let view = View::Object(Subject::new("Deployment", NAMESPACE, "deployed"));
    let before = shop.look(&view).await?["spec"].clone();
    shop.apply(&catalog("deployed", "")).await?;
    let message = shop
        .until_condition(&subject, "Stalled", "True", "AdoptionRequired")
        .await?;
    ensure!(
        message.contains("Deployment") && message.contains("deployed"),
        "{message}"
    );
    equals(
        "the other's Deployment",
        &shop.look(&view).await?["spec"],
        &before,
    )?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals(
        "the other's Deployment",
        &shop.look(&view).await?["spec"],
        &before,
    )
}

/// The same custom resource made again, as after a restore of the cluster or a mistake.
async fn what_an_earlier_one_left(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "again");
    let yaml = catalog(
        "again",
        "  products: {keys: {partition: {name: id, type: String}}}\n  policy: {deletion: Retain}\n",
    );
    shop.apply(&yaml).await?;
    let first = shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "products").await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    let mark = shop.mark().await?;
    shop.apply(&yaml).await?;
    let second = shop.until_ready(&subject).await?;
    ensure!(
        first["metadata"]["uid"] != second["metadata"]["uid"],
        "it is the same custom resource"
    );
    includes(
        "its tags",
        &shop.aws.table(&table).await?["tags"],
        &json!({"shopkeeper.dev/owner-uid": second["metadata"]["uid"]}),
    )?;
    let made = shop.steps_since(mark, &table).await?;
    ensure!(
        !made.iter().any(|call| call.contains("CreateTable")),
        "the table was made again: {made:?}"
    );
    Ok(())
}
