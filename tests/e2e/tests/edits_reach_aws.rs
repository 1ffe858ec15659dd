//! Edits of a custom resource reach AWS and Kubernetes.
//!
//! Proves, field by field, that once the custom resource says of the edited generation that it is Ready, the new value is in
//! AWS or in the cluster; that an edit which customers could notice waits for approval and changes nothing before; and that
//! fields which EKS cannot change bring a new node group, to which the pods move before the old one goes.
//!
//! Rows R3, R4, R6, R8, R10, R11, R12, R13, R18 of the requirements.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, View, equals, includes, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "edits";

/// An edit, where it shows, and as what.
struct Edit {
    field: &'static str,
    patch: Value,
    view: View,
    expected: Value,
    /// Whether it waits for a person under `changes: ApproveDisruptive`.
    approval: bool,
}

fn edit(field: &'static str, patch: Value, view: &View, expected: Value) -> Edit {
    Edit { field, patch, view: view.clone(), expected, approval: false }
}

fn disruptive(field: &'static str, patch: Value, view: &View, expected: Value) -> Edit {
    Edit { approval: true, ..edit(field, patch, view, expected) }
}

#[tokio::test]
async fn edits_reach_aws() -> Result<()> {
    let shop = Shop::open("edits").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        ("edits of the data of a catalog", data_of_a_catalog(&shop).boxed_local()),
        ("edits of the data of orders", data_of_orders(&shop).boxed_local()),
        ("edits of pods and nodes", pods_and_nodes(&shop).boxed_local()),
    ])
    .await?;
    shop.close().await
}

/// Makes the edits one after the other, so that a failure names the field.
async fn make(shop: &Shop, subject: &Subject, edits: Vec<Edit>) -> Result<()> {
    for Edit { field, patch, view, expected, approval } in edits {
        let began = Instant::now();
        let before = shop.look(&view).await.with_context(|| format!("before the edit of {field}"))?;
        ensure!(includes("", &before, &expected).is_err(), "{field} is as expected before the edit");
        let mark = shop.mark().await?;
        shop.merge(subject, json!({"spec": patch})).await?;
        if approval {
            let message = shop.until_condition(subject, "Ready", "False", "ApprovalRequired").await.context(field)?;
            ensure!(message.contains("shopkeeper.dev/approve="), "nothing says how {field} is approved: {message}");
            let writes = shop.steps_since(mark, name_of(&view)).await?;
            ensure!(writes.is_empty(), "{field} was changed before it was approved: {writes:?}");
            shop.approve(subject).await?;
        }
        shop.until_ready(subject).await.context(field)?;
        includes(field, &shop.look(&view).await?, &expected)?;
        println!("  edited {field} in {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

fn name_of(view: &View) -> &str {
    match view {
        View::Table(name) | View::Cache(name) | View::Bucket(name) | View::Database(name) | View::Parameters(name) => name,
        View::Queue(name) | View::Topic(name) | View::Role(name) | View::NodeGroup(_, name) | View::Key(name) => name,
        View::Object(subject) => &subject.name,
    }
}

async fn data_of_a_catalog(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "data");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: data, namespace: edits}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products:
    keys: {partition: {name: id, type: String}}
    indexes: [{name: by-category, partition: {name: category, type: String}}]
  cache: {engine: Valkey, nodeType: cache.t4g.small, replicas: 1}
  media: {archiveAfterInactiveDays: 180}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let table = View::Table(shop.made(&subject, "DynamoDbTable", "products").await?);
    let cache = View::Cache(shop.made(&subject, "CacheReplicationGroup", "cache").await?);
    let bucket = View::Bucket(shop.made(&subject, "S3Bucket", "media").await?);
    let products = |patch: Value| json!({"products": patch});
    let index = |name: &str, attribute: &str| json!({"name": name, "partition": {"name": attribute, "type": "String"}});
    let provisioned = |read: i64, write: i64| json!({"capacity": {"type": "Provisioned", "provisioned": {"read": read, "write": write}}});
    let edits = vec![
        edit("products.timeToLive", products(json!({"timeToLive": {"attribute": "expires"}})), &table, json!({"expiry": "expires"})),
        edit("products.recoveryPeriodDays", products(json!({"recoveryPeriodDays": 7})), &table, json!({"recoveryDays": 7})),
        edit(
            "products.tableClass",
            products(json!({"tableClass": "StandardInfrequentAccess"})),
            &table,
            json!({"status": "ACTIVE", "class": "STANDARD_INFREQUENT_ACCESS"}),
        ),
        edit("products.capacity.type", products(provisioned(5, 5)), &table, json!({"billing": "PROVISIONED", "read": 5, "write": 5})),
        edit("products.capacity.provisioned", products(provisioned(10, 6)), &table, json!({"read": 10, "write": 6})),
        edit(
            "products.indexes, one added",
            products(json!({"indexes": [index("by-category", "category"), index("by-brand", "brand")]})),
            &table,
            json!({"attributes": {"brand": "S"}, "indexes": {"by-brand": {"status": "ACTIVE", "keys": ["brand"]}}}),
        ),
        disruptive(
            "products.indexes, one removed",
            products(json!({"indexes": [index("by-brand", "brand")]})),
            &table,
            json!({"attributes": {"category": null}, "indexes": {"by-category": null, "by-brand": {"status": "ACTIVE"}}}),
        ),
        edit("products.stream", products(json!({"stream": "NewImage"})), &table, json!({"stream": "NEW_IMAGE"})),
        edit("products.deletionProtection", products(json!({"deletionProtection": "Disabled"})), &table, json!({"deletionProtection": false})),
        edit("cache.replicas, more", json!({"cache": {"replicas": 3}}), &cache, json!({"status": "available", "members": 4})),
        edit("cache.replicas, fewer", json!({"cache": {"replicas": 2}}), &cache, json!({"status": "available", "members": 3})),
        edit("cache.snapshotRetentionDays", json!({"cache": {"snapshotRetentionDays": 5}}), &cache, json!({"snapshotRetention": 5})),
        disruptive(
            "cache.nodeType",
            json!({"cache": {"nodeType": "cache.m7g.large"}}),
            &cache,
            json!({"status": "available", "nodeType": "cache.m7g.large"}),
        ),
        edit(
            "media.archiveAfterInactiveDays",
            json!({"media": {"archiveAfterInactiveDays": 200}}),
            &bucket,
            json!({"tierings": [{"days": 200, "tier": "ARCHIVE_ACCESS"}]}),
        ),
        edit(
            "media.deepArchiveAfterInactiveDays",
            json!({"media": {"deepArchiveAfterInactiveDays": 400}}),
            &bucket,
            json!({"tierings": [{"days": 200, "tier": "ARCHIVE_ACCESS"}, {"days": 400, "tier": "DEEP_ARCHIVE_ACCESS"}]}),
        ),
        edit("media.versioning", json!({"media": {"versioning": "Disabled"}}), &bucket, json!({"versioning": "Suspended"})),
        edit("products.timeToLive, removed", products(json!({"timeToLive": null})), &table, json!({"expiry": null})),
        edit("products.stream, removed", products(json!({"stream": null})), &table, json!({"stream": null})),
    ];
    make(shop, &subject, edits).await
}

async fn data_of_orders(shop: &Shop) -> Result<()> {
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
    let parameters = View::Parameters(shop.made(&subject, "RdsParameterGroup", "database.parameters").await?);
    let database = View::Database(identifier);
    let queue = View::Queue(shop.made(&subject, "SqsQueue", "queues.fulfilment").await?);
    let topic_name = shop.made(&subject, "SnsTopic", "topics.buy").await?;
    let topic = View::Topic(format!("arn:aws:sns:eu-west-1:123456789012:{topic_name}"));
    let rds = |patch: Value| json!({"database": {"rds": patch}});
    let to_queue = json!({"type": "Queue", "queue": "fulfilment"});
    let topics = |subscribers: Value| json!({"notifications": {"topics": [{"name": "buy", "subscribers": subscribers}]}});
    let queues = |patch: Value| json!({"notifications": {"queues": [patch]}});
    let edits = vec![
        edit("rds.backupRetentionDays", rds(json!({"backupRetentionDays": 10})), &database, json!({"backupRetention": 10})),
        edit("rds.deletionProtection", rds(json!({"deletionProtection": "Disabled"})), &database, json!({"deletionProtection": false})),
        edit("rds.maxStorage", rds(json!({"maxStorage": "100Gi"})), &database, json!({"maxStorage": 100})),
        edit("rds.performanceInsights", rds(json!({"performanceInsights": "Disabled"})), &database, json!({"performanceInsights": false})),
        edit(
            "rds.parameters",
            rds(json!({"parameters": [{"name": "log_min_duration_statement", "value": "500"}]})),
            &parameters,
            json!({"log_min_duration_statement": "500"}),
        ),
        edit("rds.parameters, removed", rds(json!({"parameters": null})), &parameters, json!({"log_min_duration_statement": null})),
        disruptive(
            "rds.instanceClass",
            rds(json!({"instanceClass": "db.r7g.large"})),
            &database,
            json!({"status": "available", "class": "db.r7g.large"}),
        ),
        edit("rds.multiAZ", rds(json!({"multiAZ": "Disabled"})), &database, json!({"multiAZ": false})),
        edit("rds.storage", rds(json!({"storage": "40Gi"})), &database, json!({"storage": 40})),
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
            topics(json!([to_queue, {"type": "SMS", "sms": "+15550199", "filterPolicy": {"priority": ["high"]}}])),
            &topic,
            json!({"subscriptions": {"sms +15550199": {"filter": {"priority": ["high"]}}}}),
        ),
        edit("topics.subscribers, one removed", topics(json!([to_queue])), &topic, json!({"subscriptions": {"sms +15550199": null}})),
    ];
    make(shop, &subject, edits).await
}

async fn pods_and_nodes(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "pods");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: pods, namespace: edits}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 2, max: 4, version: '1.35'}}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let object = |kind: &'static str| View::Object(Subject::new(kind, NAMESPACE, "pods"));
    let (deployment, autoscaler, budget) = (object("Deployment"), object("HorizontalPodAutoscaler"), object("PodDisruptionBudget"));
    let group = View::NodeGroup(CLUSTER.to_owned(), shop.made(&subject, "NodeGroup", "nodes").await?);
    let container = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    let nodes = |patch: Value| json!({"nodes": {"nodeGroup": patch}});
    let edits = vec![
        edit(
            "workload.image",
            json!({"workload": {"image": "registry.example/catalog:2"}}),
            &deployment,
            container(json!({"image": "registry.example/catalog:2"})),
        ),
        edit(
            "workload.env",
            json!({"workload": {"env": [{"name": "MODE", "value": "fast"}]}}),
            &deployment,
            container(json!({"env": [{"name": "MODE", "value": "fast"}]})),
        ),
        edit(
            "scaling.fixed",
            json!({"scaling": {"type": "Fixed", "fixed": {"replicas": 3}}}),
            &deployment,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 3}}),
        ),
        edit("disruption", json!({"disruption": {"minAvailable": 1}}), &budget, json!({"spec": {"minAvailable": 1, "maxUnavailable": null}})),
        edit("nodes.min and max", nodes(json!({"min": 3, "max": 6})), &group, json!({"status": "ACTIVE", "min": 3, "max": 6, "desired": 3})),
        edit("nodes.labels", nodes(json!({"labels": {"tier": "catalog"}})), &group, json!({"labels": {"tier": "catalog"}})),
        edit(
            "nodes.taints",
            nodes(json!({"taints": [{"key": "tier", "value": "catalog", "effect": "NoSchedule"}]})),
            &group,
            json!({"status": "ACTIVE", "taints": ["shopkeeper.dev/dedicated=edits.pods:NO_SCHEDULE", "tier=catalog:NO_SCHEDULE"]}),
        ),
        edit(
            "nodes.update",
            nodes(json!({"update": {"maxUnavailablePercentage": 50}})),
            &group,
            json!({"maxUnavailable": null, "maxUnavailablePercentage": 50}),
        ),
        edit("nodes.version", nodes(json!({"version": "1.36"})), &group, json!({"status": "ACTIVE", "version": "1.36"})),
    ];
    make(shop, &subject, edits).await?;

    shop.merge(&subject, json!({"spec": {"scaling": {"type": "Autoscale", "fixed": null, "autoscale": {"min": 2, "max": 8, "cpu": 50}}}})).await?;
    shop.until_ready(&subject).await?;
    includes("scaling.autoscale", &shop.look(&autoscaler).await?, &json!({"spec": {"minReplicas": 2, "maxReplicas": 8}}))?;
    let edits = vec![edit("scaling.autoscale.max", json!({"scaling": {"autoscale": {"max": 10}}}), &autoscaler, json!({"spec": {"maxReplicas": 10}}))];
    make(shop, &subject, edits).await?;
    shop.merge(&subject, json!({"spec": {"scaling": {"type": "Fixed", "fixed": {"replicas": 2}, "autoscale": null}}})).await?;
    shop.until_ready(&subject).await?;
    ensure!(shop.look(&autoscaler).await.is_err(), "the autoscaler is still there");

    a_new_group_takes_over(shop, &subject).await
}

/// EKS cannot change the instance types of a group: another is made, the pods move, and the old one goes.
async fn a_new_group_takes_over(shop: &Shop, subject: &Subject) -> Result<()> {
    let old = shop.made(subject, "NodeGroup", "nodes").await?;
    let mark = shop.mark().await?;
    shop.merge(subject, json!({"spec": {"nodes": {"nodeGroup": {"instanceTypes": ["c7g.xlarge"]}}}})).await?;
    shop.until_ready(subject).await?;
    let groups = shop.aws.node_groups(CLUSTER, &subject.path()).await?;
    equals("the number of groups", groups.len(), 1)?;
    ensure!(groups[0] != old, "the old group is still there");
    includes("the new group", &shop.aws.node_group(CLUSTER, &groups[0]).await?, &json!({"status": "ACTIVE", "instanceTypes": ["c7g.xlarge"]}))?;
    let created = shop.steps_since(mark, &groups[0]).await?;
    equals("what was done to the new group", created, vec!["eks:CreateNodegroup".to_owned()])?;
    let deleted = shop.steps_since(mark, &old).await?;
    equals("what was done to the old group", deleted, vec!["eks:DeleteNodegroup".to_owned()])?;
    let evictions = shop.kubernetes_writes_since(mark)?.iter().filter(|write| write.request_uri.contains("/eviction")).count();
    ensure!(evictions >= 2, "the pods were not moved before the group went: {evictions} evictions");
    for pod in shop.list("Pod", NAMESPACE, "app.kubernetes.io/name=pods").await? {
        let node = shop.get("Node", "", pod["spec"]["nodeName"].as_str().context("a pod has no node")?).await?;
        let of = &node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"];
        equals("the group of a pod's node", of, &json!(groups[0]))?;
    }
    Ok(())
}
