//! The database, topics and queues of orders.

use anyhow::{Context as _, Result};
use serde_json::json;
use shopkeeper_e2e::{Definition, Shop, Subject, View};

use super::{Approval, Edit, Edited, Fields, NAMESPACE, edit, workload};

const ACCOUNT: &str = "eu-west-1:123456789012";

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("OrderService", NAMESPACE, "orders");
    let specification = json!({
        "workload": workload("orders"),
        "nodes": {"type": "None"},
        "database": {"type": "RDS", "rds": {
            "engine": "PostgreSQL", "version": "16", "instanceClass": "db.t4g.medium", "storage": "400Gi",
        }},
        "notifications": {
            "topics": [
                {"name": "buy", "subscribers": [{"type": "Queue", "queue": "fulfilment"}]},
                {"name": "sell", "deadLetterRetentionSeconds": 86_400, "subscribers": [{"type": "SMS", "sms": "+15550143"}]},
            ],
            "queues": [{"name": "fulfilment", "retentionSeconds": 86_400, "deadLetterRetentionSeconds": 86_400}],
        },
    });
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    edited
        .refused(&[
            (
                "/database/rds/engine",
                json!("MySQL"),
                "engine is immutable",
            ),
            (
                "/database/rds/identifier",
                json!("others"),
                "identifier is immutable",
            ),
            (
                "/database/rds/databaseName",
                json!("others"),
                "databaseName is immutable",
            ),
            (
                "/database/rds/username",
                json!("others"),
                "username is immutable",
            ),
            (
                "/notifications/topics/0/type",
                json!("FIFO"),
                "type is immutable",
            ),
            (
                "/notifications/queues/0/type",
                json!("FIFO"),
                "type is immutable",
            ),
        ])
        .await?;
    let mut first = of_database(shop, &edited.subject).await?;
    first.extend(of_queues(shop).await?);
    first.extend(of_topics(shop).await?);
    edited.edit(Approval::None, first).await?;
    interrupting(shop, &mut edited).await?;
    // Neither goes down again.
    edited
        .taken_back(
            Approval::Needed,
            &["/database/rds/storage", "/database/rds/version"],
        )
        .await?;
    Ok(edited.done())
}

async fn of_database(shop: &Shop, subject: &Subject) -> Result<Vec<Edit>> {
    let database = View::Database(shop.made(subject, "RdsInstance", "database").await?);
    let parameters = View::Parameters(
        shop.made(subject, "RdsParameterGroup", "database.parameters")
            .await?,
    );
    let edit = |at, value, expected| edit(at, value, &database, expected);
    Ok(vec![
        edit(
            "/database/rds/backupRetentionDays",
            json!(10),
            json!({"backupRetention": 10}),
        ),
        edit(
            "/database/rds/backupWindow",
            json!("02:00-03:00"),
            json!({"backupWindow": "02:00-03:00"}),
        )
        // AWS chose the one before, and chooses no other.
        .that_stays(),
        edit(
            "/database/rds/maintenanceWindow",
            json!("sat:05:00-sat:06:00"),
            json!({"maintenanceWindow": "sat:05:00-sat:06:00"}),
        )
        // AWS chose the one before, and chooses no other.
        .that_stays(),
        edit(
            "/database/rds/logExports",
            json!(["postgresql"]),
            json!({"logExports": ["postgresql"]}),
        ),
        edit(
            "/database/rds/autoMinorVersionUpgrade",
            json!("Disabled"),
            json!({"autoMinorVersionUpgrade": false}),
        ),
        edit(
            "/database/rds/deletionProtection",
            json!("Disabled"),
            json!({"deletionProtection": false}),
        ),
        edit(
            "/database/rds/performanceInsights",
            json!("Disabled"),
            json!({"performanceInsights": false}),
        ),
        edit(
            "/database/rds/multiAZ",
            json!("Disabled"),
            json!({"multiAZ": false}),
        ),
        edit(
            "/database/rds/storage",
            json!("500Gi"),
            json!({"storage": 500}),
        ),
        edit(
            "/database/rds/maxStorage",
            json!("1000Gi"),
            json!({"maxStorage": 1000}),
        ),
        edit(
            "/database/rds/storageType",
            json!("io2"),
            json!({"storageType": "io2"}),
        ),
        edit("/database/rds/iops", json!(20_000), json!({"iops": 20_000}))
            // As the field says: RDS has no word for what a size includes.
            .that_stays(),
        super::edit(
            "/database/rds/transitEncryption",
            json!("Preferred"),
            &parameters,
            json!({"rds.force_ssl": "0"}),
        )
        // The group of the next major version takes the place of this one.
        .that_stays(),
        super::edit(
            "/database/rds/parameters",
            json!([{"name": "log_min_duration_statement", "value": "500"}]),
            &parameters,
            json!({"log_min_duration_statement": "500"}),
        ),
    ])
}

/// What interrupts the database, all of it after one approval.
async fn interrupting(shop: &Shop, edited: &mut Edited<'_>) -> Result<()> {
    let database = View::Database(
        shop.made(&edited.subject, "RdsInstance", "database")
            .await?,
    );
    let edit = |at, value, expected| edit(at, value, &database, expected);
    edited
        .edit(
            // The parameter group of the new version goes with the upgrade.
            Approval::Needed,
            vec![
                edit(
                    "/database/rds/version",
                    json!("17"),
                    json!({"version": "17.6"}),
                ),
                edit(
                    "/database/rds/instanceClass",
                    json!("db.r7g.large"),
                    json!({"class": "db.r7g.large"}),
                ),
                edit(
                    "/database/rds/caCertificate",
                    json!("rds-ca-rsa4096-g1"),
                    json!({"caCertificate": "rds-ca-rsa4096-g1"}),
                ),
                edit("/database/rds/port", json!(5433), json!({"port": 5433})),
            ],
        )
        .await
}

async fn of_queues(shop: &Shop) -> Result<Vec<Edit>> {
    let name = "octank-fields-orders-fulfilment".to_owned();
    let redrive = shop.aws.queue(&name).await?["redrive"].take();
    let letters = redrive["deadLetterTargetArn"].as_str().unwrap_or_default();
    let letters = letters.rsplit(':').next().unwrap_or_default();
    let (queue, dead) = (View::Queue(name), View::Queue(letters.to_owned()));
    Ok(vec![
        edit(
            "/notifications/queues/0/maxReceives",
            json!(9),
            &queue,
            json!({"redrive": {"maxReceiveCount": 9}}),
        ),
        edit(
            "/notifications/queues/0/visibilityTimeoutSeconds",
            json!(90),
            &queue,
            json!({"visibility": "90"}),
        ),
        edit(
            "/notifications/queues/0/retentionSeconds",
            json!(172_800),
            &queue,
            json!({"retention": "172800"}),
        ),
        edit(
            "/notifications/queues/0/deadLetterRetentionSeconds",
            json!(259_200),
            &dead,
            json!({"retention": "259200"}),
        ),
        edit(
            "/notifications/queues/0/delaySeconds",
            json!(7),
            &queue,
            json!({"delay": "7"}),
        ),
        edit(
            "/notifications/queues/0/receiveWaitSeconds",
            json!(11),
            &queue,
            json!({"receiveWait": "11"}),
        ),
        edit(
            "/notifications/queues/-",
            json!({"name": "returns"}),
            &View::Queue("octank-fields-orders-returns".to_owned()),
            json!({"redrive": {"maxReceiveCount": 5}}),
        ),
    ])
}

async fn of_topics(shop: &Shop) -> Result<Vec<Edit>> {
    let arn = |name: &str| format!("arn:aws:sns:{ACCOUNT}:octank-fields-orders-{name}");
    let queue = |name: &str| format!("sqs arn:aws:sqs:{ACCOUNT}:octank-fields-orders-{name}");
    let topic = View::Topic(arn("buy"));
    let device = device(shop).await?;
    let subscribed = |who: String, as_what| json!({"subscriptions": {who: as_what}});
    let subscriber = |value, expected| {
        edit(
            "/notifications/topics/0/subscribers/-",
            value,
            &topic,
            expected,
        )
    };
    Ok(vec![
        edit(
            "/notifications/topics/0/displayName",
            json!("Octank"),
            &topic,
            json!({"displayName": "Octank"}),
        ),
        edit(
            "/notifications/topics/0/subscribers/0/raw",
            json!("Enabled"),
            &topic,
            subscribed(queue("fulfilment"), json!({"raw": "true"})),
        ),
        subscriber(
            json!({"type": "Queue", "queue": "returns"}),
            subscribed(queue("returns"), json!({"raw": "false"})),
        ),
        subscriber(
            json!({"type": "Email", "email": "sales@octank.example"}),
            subscribed(
                "email sales@octank.example".to_owned(),
                json!({"pending": true}),
            ),
        )
        // Nobody can take back what its address has not confirmed: SNS forgets it after two days.
        .that_stays(),
        subscriber(
            json!({"type": "SMS", "sms": "+15550142", "filterPolicy": {"priority": ["high"]}}),
            subscribed(
                "sms +15550142".to_owned(),
                json!({"filter": {"priority": ["high"]}}),
            ),
        ),
        subscriber(
            json!({"type": "HTTPS", "https": "https://hooks.octank.example/orders"}),
            subscribed(
                "https https://hooks.octank.example/orders".to_owned(),
                json!({}),
            ),
        ),
        subscriber(
            json!({"type": "Push", "push": device}),
            subscribed(format!("application {device}"), json!({})),
        ),
        edit(
            "/notifications/topics/0/deadLetters",
            json!("Disabled"),
            &topic,
            subscribed("sms +15550142".to_owned(), json!({"deadLetters": null})),
        ),
        edit(
            "/notifications/topics/1/deadLetterRetentionSeconds",
            json!(259_200),
            &View::Queue("octank-fields-orders-sell_dead".to_owned()),
            json!({"retention": "259200"}),
        ),
        edit(
            "/notifications/topics/-",
            json!({"name": "ship"}),
            &View::Topic(arn("ship")),
            json!({"subscriptions": {}}),
        ),
    ])
}

/// A telephone that messages can be pushed to.
async fn device(shop: &Shop) -> Result<String> {
    let sns = &shop.aws.sns;
    let application = sns
        .create_platform_application()
        .name("octank")
        .platform("GCM")
        .attributes("PlatformCredential", "test")
        .send()
        .await?;
    let device = sns
        .create_platform_endpoint()
        .platform_application_arn(application.platform_application_arn().unwrap_or_default())
        .token("telephone")
        .send()
        .await?;
    device.endpoint_arn.context("the endpoint has no ARN")
}
