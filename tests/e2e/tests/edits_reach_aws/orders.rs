//! Databases, topics and queues.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, View, includes};

use super::{NAMESPACE, disruptive, edit, make};

/// What the ARNs of queues begin with.
const QUEUES: &str = "arn:aws:sqs:eu-west-1:123456789012:octank-edits-";

pub async fn data_of_orders(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "orders");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: edits}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
  notifications:
    topics: [{name: buy, subscribers: [{type: Queue, queue: fulfilment}]}]
    queues: [{name: fulfilment}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let identifier = shop.made(&subject, "RdsInstance", "database").await?;
    let parameters = View::Parameters(
        shop.made(&subject, "RdsParameterGroup", "database.parameters")
            .await?,
    );
    let database = View::Database(identifier);
    let queue = View::Queue(shop.made(&subject, "SqsQueue", "queues.fulfilment").await?);
    let topic_name = shop.made(&subject, "SnsTopic", "topics.buy").await?;
    let topic = View::Topic(format!("arn:aws:sns:eu-west-1:123456789012:{topic_name}"));
    let rds = |patch: Value| json!({"database": {"rds": patch}});
    let to_queue = json!({"type": "Queue", "queue": "fulfilment"});
    let topics = |subscribers: Value| json!({"notifications": {"topics": [{"name": "buy", "subscribers": subscribers}]}});
    let queues = |patch: Value| json!({"notifications": {"queues": [patch]}});
    let edits = vec![
        edit(
            "rds.backupRetentionDays",
            rds(json!({"backupRetentionDays": 10})),
            &database,
            json!({"backupRetention": 10}),
        ),
        edit(
            "rds.deletionProtection",
            rds(json!({"deletionProtection": "Disabled"})),
            &database,
            json!({"deletionProtection": false}),
        ),
        edit(
            "rds.maxStorage",
            rds(json!({"maxStorage": "100Gi"})),
            &database,
            json!({"maxStorage": 100}),
        ),
        edit(
            "rds.performanceInsights",
            rds(json!({"performanceInsights": "Disabled"})),
            &database,
            json!({"performanceInsights": false}),
        ),
        edit(
            "rds.parameters",
            rds(json!({"parameters": [{"name": "log_min_duration_statement", "value": "500"}]})),
            &parameters,
            json!({"log_min_duration_statement": "500"}),
        ),
        edit(
            "rds.parameters, removed",
            rds(json!({"parameters": null})),
            &parameters,
            json!({"log_min_duration_statement": null}),
        ),
        disruptive(
            "rds.instanceClass",
            rds(json!({"instanceClass": "db.r7g.large"})),
            &database,
            json!({"status": "available", "class": "db.r7g.large"}),
        ),
        edit(
            "rds.multiAZ",
            rds(json!({"multiAZ": "Disabled"})),
            &database,
            json!({"multiAZ": false}),
        ),
        edit(
            "rds.storage",
            rds(json!({"storage": "40Gi"})),
            &database,
            json!({"storage": 40}),
        ),
        edit(
            "queues.maxReceives",
            queues(json!({"name": "fulfilment", "maxReceives": 9})),
            &queue,
            json!({"redrive": {"maxReceiveCount": 9}}),
        ),
        edit(
            "queues.visibilityTimeoutSeconds",
            queues(json!({"name": "fulfilment", "maxReceives": 9, "visibilityTimeoutSeconds": 90})),
            &queue,
            json!({"visibility": "90"}),
        ),
        edit(
            "topics.subscribers, one added",
            topics(json!([to_queue, {"type": "SMS", "sms": "+15550199"}])),
            &topic,
            json!({"subscriptions": {"sms +15550199": {}}}),
        ),
        edit(
            "topics.subscribers.filterPolicy",
            topics(
                json!([to_queue, {"type": "SMS", "sms": "+15550199", "filterPolicy": {"priority": ["high"]}}]),
            ),
            &topic,
            json!({"subscriptions": {"sms +15550199": {"filter": {"priority": ["high"]}}}}),
        ),
        edit(
            "topics.deadLetters",
            json!({"notifications": {"topics": [{
                "name": "buy", "deadLetters": "Disabled", "subscribers": [to_queue, {"type": "SMS", "sms": "+15550199"}],
            }]}}),
            &topic,
            json!({"subscriptions": {"sms +15550199": {"deadLetters": null}}}),
        ),
        edit(
            "topics.deadLetters, removed",
            topics(json!([to_queue, {"type": "SMS", "sms": "+15550199"}])),
            &topic,
            json!({"subscriptions": {"sms +15550199": {"deadLetters": format!("{QUEUES}orders-buy_dead")}}}),
        ),
        edit(
            "topics.subscribers, one removed",
            topics(json!([to_queue])),
            &topic,
            json!({"subscriptions": {"sms +15550199": null}}),
        ),
    ];
    make(shop, &subject, edits).await?;
    a_newer_version_stays(shop, &subject, &database).await
}

/// RDS gave `17` its newest minor version. An older one that is declared is not asked for, and holds up nothing else.
async fn a_newer_version_stays(shop: &Shop, subject: &Subject, database: &View) -> Result<()> {
    let mark = shop.mark().await?;
    shop.merge(
        subject,
        json!({"spec": {"database": {"rds": {"version": "17.4", "backupRetentionDays": 12}}}}),
    )
    .await?;
    shop.until_ready(subject).await?;
    includes(
        "the database",
        &shop.look(database).await?,
        &json!({"status": "available", "backupRetention": 12}),
    )?;
    for call in shop.aws_writes_since(mark).await? {
        let asked = &call.parameters["EngineVersion"];
        ensure!(asked.is_null(), "version {asked} was asked for");
    }
    let object = shop.get(subject.kind, NAMESPACE, &subject.name).await?;
    let inventory = object["status"]["inventory"].to_string();
    ensure!(
        inventory.contains("than 17.4 as declared"),
        "nothing is noted: {inventory}"
    );
    Ok(())
}
