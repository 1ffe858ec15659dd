//! Tables, caches and buckets.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals, includes};
use shopkeeper_localenv::{AwsFault, FaultKind};

use super::{NAMESPACE, disruptive, edit, make, name_of};

const APP: &str = "arn:aws:cloudfront::123456789012:distribution/E1APPEXAMPLE01";
const WEB: &str = "arn:aws:cloudfront::123456789012:distribution/E2WEBEXAMPLE02";

pub async fn data_of_a_catalog(shop: &Shop) -> Result<()> {
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
    let cache = View::Cache(
        shop.made(&subject, "CacheReplicationGroup", "cache")
            .await?,
    );
    let users = View::CacheUsers("octank-edits-data".to_owned());
    let bucket = View::Bucket(shop.made(&subject, "S3Bucket", "media").await?);
    let products = |patch: Value| json!({"products": patch});
    let read_by = |arns: Value| json!({"media": {"cloudFrontDistributionArns": arns}});
    let policy = |sources: &[&str]| {
        json!({"publicAccessBlocked": true, "policy": {"Version": "2012-10-17", "Statement": [{"Sid": "TlsOnly"}, {
            "Sid": "CloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{}/*", name_of(&bucket)),
            "Condition": {"StringEquals": {"AWS:SourceArn": sources}},
        }]}})
    };
    let index = |name: &str, attribute: &str| json!({"name": name, "partition": {"name": attribute, "type": "String"}});
    let provisioned = |read: i64, write: i64| json!({"capacity": {"type": "Provisioned", "provisioned": {"read": read, "write": write}}});
    let edits = vec![
        disruptive(
            "products.timeToLive",
            products(json!({"timeToLive": {"attribute": "expires"}})),
            &table,
            json!({"expiry": "expires"}),
        ),
        disruptive(
            "products.recoveryPeriodDays",
            products(json!({"recoveryPeriodDays": 7})),
            &table,
            json!({"recoveryDays": 7}),
        ),
        edit(
            "products.tableClass",
            products(json!({"tableClass": "StandardInfrequentAccess"})),
            &table,
            json!({"status": "ACTIVE", "class": "STANDARD_INFREQUENT_ACCESS"}),
        ),
        edit(
            "products.capacity.type",
            products(provisioned(5, 5)),
            &table,
            json!({"billing": "PROVISIONED", "read": 5, "write": 5}),
        ),
        edit(
            "products.capacity.provisioned",
            products(provisioned(10, 6)),
            &table,
            json!({"read": 10, "write": 6}),
        ),
        edit(
            "products.indexes, one added",
            products(
                json!({"indexes": [index("by-category", "category"), index("by-brand", "brand")]}),
            ),
            &table,
            json!({"attributes": {"brand": "S"}, "indexes": {"by-brand": {"status": "ACTIVE", "keys": ["brand"]}}}),
        ),
        disruptive(
            "products.indexes, one removed",
            products(json!({"indexes": [index("by-brand", "brand")]})),
            &table,
            json!({"attributes": {"category": null}, "indexes": {"by-category": null, "by-brand": {"status": "ACTIVE"}}}),
        ),
        edit(
            "products.stream",
            products(json!({"stream": "NewImage"})),
            &table,
            json!({"stream": "NEW_IMAGE"}),
        ),
        edit(
            "products.deletionProtection",
            products(json!({"deletionProtection": "Disabled"})),
            &table,
            json!({"deletionProtection": false}),
        ),
        edit(
            "cache.replicas, more",
            json!({"cache": {"replicas": 3}}),
            &cache,
            json!({"status": "available", "members": 4}),
        ),
        disruptive(
            "cache.replicas, fewer",
            json!({"cache": {"replicas": 2}}),
            &cache,
            json!({"status": "available", "members": 3}),
        ),
        edit(
            "cache.snapshotRetentionDays",
            json!({"cache": {"snapshotRetentionDays": 5}}),
            &cache,
            json!({"snapshotRetention": 5}),
        ),
        disruptive(
            "cache.nodeType",
            json!({"cache": {"nodeType": "cache.m7g.large"}}),
            &cache,
            json!({"status": "available", "nodeType": "cache.m7g.large"}),
        ),
        disruptive(
            "cache.users, the first",
            json!({"cache": {"users": [{"name": "app"}]}}),
            &cache,
            json!({"status": "available", "userGroups": ["octank-edits-data"]}),
        ),
        edit(
            "cache.users, one more",
            json!({"cache": {"users": [{"name": "app"}, {"name": "reports", "accessString": "on ~* +@read"}], "applicationUser": "app"}}),
            &users,
            json!({"status": "active", "users": {
                "octank-edits-data-app": {"authentication": "iam", "access": "on ~* &* +@all"},
                "octank-edits-data-reports": {"authentication": "iam", "access": "on ~* -@all +@read"},
            }}),
        ),
        edit(
            "cache.users[].accessString, more",
            json!({"cache": {"users": [{"name": "app"}, {"name": "reports"}]}}),
            &users,
            json!({"users": {"octank-edits-data-reports": {"status": "active", "access": "on ~* &* +@all"}}}),
        ),
        disruptive(
            "cache.users[].accessString, less",
            json!({"cache": {"users": [{"name": "app", "accessString": "on ~catalog:* +@all -@dangerous"}, {"name": "reports"}]}}),
            &users,
            json!({"users": {"octank-edits-data-app": {"status": "active", "access": "on ~catalog:* +@all -@dangerous"}}}),
        ),
        disruptive(
            "cache.users[].authentication",
            json!({"cache": {"users": [{"name": "app", "accessString": "on ~catalog:* +@all -@dangerous", "authentication": "Password"}, {"name": "reports"}]}}),
            &users,
            json!({"users": {"octank-edits-data-app": {"status": "active", "authentication": "password", "passwords": 1}}}),
        ),
        edit(
            "cache.users, one fewer",
            json!({"cache": {"users": [{"name": "app", "accessString": "on ~catalog:* +@all -@dangerous", "authentication": "Password"}]}}),
            &users,
            json!({"status": "active", "users": {"octank-edits-data-reports": null}}),
        ),
        disruptive(
            "cache.users, none",
            json!({"cache": {"users": null, "applicationUser": null}}),
            &cache,
            json!({"status": "available", "userGroups": []}),
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
        disruptive(
            "media.versioning",
            json!({"media": {"versioning": "Disabled"}}),
            &bucket,
            json!({"versioning": "Suspended"}),
        ),
        edit(
            "media.cloudFrontDistributionArns",
            read_by(json!([WEB])),
            &bucket,
            policy(&[WEB]),
        ),
        edit(
            "media.cloudFrontDistributionArns, one more",
            read_by(json!([WEB, APP])),
            &bucket,
            policy(&[APP, WEB]),
        ),
        edit(
            "media.cloudFrontDistributionArns, another",
            read_by(json!([APP])),
            &bucket,
            policy(&[APP]),
        ),
        edit(
            "media.cloudFrontDistributionArns, removed",
            read_by(json!(null)),
            &bucket,
            json!({"publicAccessBlocked": true, "policy": {"Statement": [{"Sid": "TlsOnly"}]}}),
        ),
        edit(
            "products.timeToLive, removed",
            products(json!({"timeToLive": null})),
            &table,
            json!({"expiry": null}),
        ),
        edit(
            "products.stream, removed",
            products(json!({"stream": null})),
            &table,
            json!({"stream": null}),
        ),
    ];
    make(shop, &subject, edits).await?;
    let left = shop.owned_in_aws(&subject).await?;
    ensure!(
        !left
            .iter()
            .any(|resource| resource.contains("user") || resource.contains("secret")),
        "what was for users of the cache is left: {left:?}"
    );
    two_changes_are_approved_once(shop, &subject, &table, &cache).await
}

/// Two disruptive changes are approved at once. The first is done while AWS refuses the second, which is done later without being
/// asked for again.
async fn two_changes_are_approved_once(
    shop: &Shop,
    subject: &Subject,
    table: &View,
    cache: &View,
) -> Result<()> {
    let control = shop.environment.aws_control()?;
    control
        .add_fault(&AwsFault::new(
            FaultKind::ServerFault,
            "elasticache",
            "ModifyReplicationGroup",
        ))
        .await?;
    shop.merge(
        subject,
        json!({"spec": {"products": {"indexes": []}, "cache": {"nodeType": "cache.r7g.large"}}}),
    )
    .await?;
    shop.until_condition(subject, "Ready", "False", "ApprovalRequired")
        .await?;
    let plan = shop.plan_of(subject).await?;
    equals(
        "what waits for approval",
        &decided(&plan),
        &json!([
            ["DynamoDbTable", "Downtime", false],
            ["CacheReplicationGroup", "Failover", false]
        ]),
    )?;
    ensure!(
        plan["steps"][1]["change"] == "nodeType cache.m7g.large -> cache.r7g.large",
        "the plan does not say what changes: {plan}"
    );
    shop.approve(subject).await?;

    let without = json!({"status": "ACTIVE", "indexes": {"by-brand": null}});
    shop.until("the index is gone", PATIENCE, async || {
        includes("the table", &shop.look(table).await?, &without)
    })
    .await?;
    shop.until("what is left is approved", PATIENCE, async || {
        equals(
            "what is left",
            &decided(&shop.plan_of(subject).await?),
            &json!([["CacheReplicationGroup", "Failover", true]]),
        )
    })
    .await?;
    // The approval is in the status: the annotation may be about something else by now.
    shop.annotate(subject, "shopkeeper.dev/approve", "another")
        .await?;
    shop.request_pass(subject, "2026-11-24T12:00:00Z").await?;
    let plan = shop.plan_of(subject).await?;
    ensure!(plan["hash"].is_null(), "it is asked for again: {plan}");
    includes(
        "the cache",
        &shop.look(cache).await?,
        &json!({"nodeType": "cache.m7g.large"}),
    )?;

    control.clear_faults().await?;
    shop.request_pass(subject, "2026-11-24T13:00:00Z").await?;
    let object = shop.until_ready(subject).await?;
    includes(
        "the cache",
        &shop.look(cache).await?,
        &json!({"status": "available", "nodeType": "cache.r7g.large"}),
    )?;
    ensure!(
        object["status"]["plan"].is_null(),
        "a plan is left: {}",
        object["status"]["plan"]
    );
    Ok(())
}

/// Kind, effect and whether it was approved, of each step.
fn decided(plan: &Value) -> Value {
    plan["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| json!([step["kind"], step["effect"], step["approved"]]))
        .collect()
}
