//! What somebody changes behind Shopkeeper's back is set back, or only told of, as the policy says.
//!
//! Proves for AWS and for the cluster that a change made outside is repaired at the next look, field by field; and that under
//! `drift: Report` it is told of in the condition Ready with the reason Drifted, and nothing is written.
//!
//! Rows R3, R4, R10, R11, R12, R13, R18, R22, R29 of the requirements.

use anyhow::{Context as _, Result, ensure};
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace, SuspendedState};
use aws_sdk_dynamodb::types::PointInTimeRecoverySpecification;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject, View, equals, includes, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "drift";

/// A change behind Shopkeeper's back.
struct Drift<'a> {
    what: &'static str,
    made: LocalBoxFuture<'a, Result<()>>,
    view: View,
}

#[tokio::test]
async fn drift_is_repaired() -> Result<()> {
    let shop = Shop::open("drift").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        (
            "drift of a catalog is repaired",
            of_a_catalog(&shop).boxed_local(),
        ),
        (
            "drift of orders is repaired",
            of_orders(&shop).boxed_local(),
        ),
        ("drift is only told", only_told(&shop).boxed_local()),
        (
            "drift of the platform is repaired",
            of_the_platform(&shop).boxed_local(),
        ),
    ])
    .await?;
    shop.close().await
}

/// Makes each drift, has Shopkeeper look, and waits until everything is as it was before.
async fn repaired(shop: &Shop, subject: &Subject, drifts: Vec<Drift<'_>>) -> Result<()> {
    for (index, Drift { what, made, view }) in drifts.into_iter().enumerate() {
        let before = shop.look(&view).await?;
        made.await
            .with_context(|| format!("making the drift of {what}"))?;
        if !matches!(view, View::Object(_)) {
            let drifted = shop.look(&view).await;
            ensure!(
                drifted.is_err() || drifted? != before,
                "the drift of {what} cannot be seen"
            );
            // Changes in the cluster are seen by watches; for AWS somebody has to look.
            shop.request_pass(subject, &format!("2026-11-24T10:00:{index:02}Z"))
                .await?;
        }
        shop.until(
            &format!("the drift of {what} is repaired"),
            shopkeeper_e2e::PATIENCE,
            async || {
                let now = shop.look(&view).await?;
                match view {
                    // The rest of an object tells of its history.
                    View::Object(_) => includes(
                        what,
                        &now,
                        &json!({"spec": before["spec"], "data": before["data"]}),
                    ),
                    _ => includes(what, &now, &before).and_then(|()| includes(what, &before, &now)),
                }
            },
        )
        .await?;
        shop.until_ready(subject).await?;
    }
    Ok(())
}

async fn of_a_catalog(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "catalog");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: drift}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {min: 1, max: 3}}
  products:
    keys: {partition: {name: id, type: String}}
    capacity: {type: Provisioned, provisioned: {read: 5, autoscale: {write: {min: 5, max: 50}}}}
  cache: {engine: Valkey, nodeType: cache.t4g.small, replicas: 1, users: [{name: app, authentication: Password}]}
  media: {archiveAfterInactiveDays: 180}
  bindings:
    - {resource: products, env: [{name: PRODUCTS_TABLE, template: '{{tableName}}'}]}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "products").await?;
    let bucket = shop.made(&subject, "S3Bucket", "media").await?;
    let cache = shop
        .made(&subject, "CacheReplicationGroup", "cache")
        .await?;
    let user = shop.made(&subject, "CacheUser", "cache.users.app").await?;
    let nobody = shop
        .made(&subject, "CacheUser", "cache.users.default")
        .await?;
    let group = shop.made(&subject, "NodeGroup", "nodes").await?;
    let role = shop.made(&subject, "IamRole", "identity.role").await?;
    let aws = &shop.aws;
    let object = |kind: &'static str, name: &str| Subject::new(kind, NAMESPACE, name);
    let scaled = format!("table/{table}");
    let (namespace, writes) = (
        ServiceNamespace::Dynamodb,
        ScalableDimension::DynamoDbTableWriteCapacityUnits,
    );
    let drifts = vec![
        Drift {
            what: "the table's point-in-time recovery",
            made: async {
                let off = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(false).build()?;
                aws.dynamodb.update_continuous_backups().table_name(&table).point_in_time_recovery_specification(off).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Table(table.clone()),
        },
        Drift {
            what: "the table's protection",
            made: async { aws.dynamodb.update_table().table_name(&table).deletion_protection_enabled(false).send().await.map(drop).map_err(Into::into) }
                .boxed_local(),
            view: View::Table(table.clone()),
        },
        Drift {
            what: "the range of the table's autoscaling, which is suspended as well",
            made: async {
                let state = SuspendedState::builder().dynamic_scaling_out_suspended(true).build();
                let call = aws.applicationautoscaling.register_scalable_target().service_namespace(namespace.clone()).resource_id(&scaled);
                call.scalable_dimension(writes.clone()).max_capacity(9).suspended_state(state).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Autoscaling(table.clone()),
        },
        Drift {
            what: "the policy of the table's autoscaling, deleted",
            made: async {
                let call = aws.applicationautoscaling.delete_scaling_policy().service_namespace(namespace.clone()).resource_id(&scaled);
                let name = format!("DynamoDBWriteCapacityUtilization:{scaled}");
                call.scalable_dimension(writes.clone()).policy_name(name).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Autoscaling(table.clone()),
        },
        Drift {
            what: "the table's autoscaling, taken away",
            made: async {
                let call = aws.applicationautoscaling.deregister_scalable_target().service_namespace(namespace.clone()).resource_id(&scaled);
                call.scalable_dimension(writes.clone()).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Autoscaling(table.clone()),
        },
        Drift {
            what: "the bucket's versioning",
            made: async {
                let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
                aws.s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(off).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Bucket(bucket.clone()),
        },
        Drift {
            what: "the bucket's public access block",
            made: async { aws.s3.delete_public_access_block().bucket(&bucket).send().await.map(drop).map_err(Into::into) }.boxed_local(),
            view: View::Bucket(bucket.clone()),
        },
        Drift {
            what: "the bucket's policy",
            made: async { aws.s3.delete_bucket_policy().bucket(&bucket).send().await.map(drop).map_err(Into::into) }.boxed_local(),
            view: View::Bucket(bucket.clone()),
        },
        Drift {
            what: "the bucket's archive",
            made: async {
                aws.s3.delete_bucket_intelligent_tiering_configuration().bucket(&bucket).id("shopkeeper-archive").send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Bucket(bucket.clone()),
        },
        Drift {
            what: "the cache's snapshots",
            made: async {
                let call = aws.elasticache.modify_replication_group().replication_group_id(&cache).snapshot_retention_limit(9);
                call.apply_immediately(true).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Cache(cache.clone()),
        },
        Drift {
            what: "what a user of the cache may do",
            made: async {
                let call = aws.elasticache.modify_user().user_id(&user).access_string("off -@all");
                call.send().await.map(drop).map_err(Into::into)
            }
            .boxed_local(),
            view: View::CacheUsers(cache.clone()),
        },
        Drift {
            what: "what those may do who do not authenticate",
            made: async {
                let call = aws.elasticache.modify_user().user_id(&nobody).access_string("on ~* +@all");
                call.no_password_required(true).send().await.map(drop).map_err(Into::into)
            }
            .boxed_local(),
            view: View::CacheUsers(cache.clone()),
        },
        Drift {
            what: "the users of the cache",
            made: async {
                let call = aws.elasticache.modify_user_group().user_group_id(&cache);
                call.user_ids_to_remove(&user).send().await?;
                until_active(shop, &cache).await
            }
            .boxed_local(),
            view: View::CacheUsers(cache.clone()),
        },
        Drift {
            what: "the node group's labels",
            made: async {
                let labels = aws_sdk_eks::types::UpdateLabelsPayload::builder().add_or_update_labels("shopkeeper.dev/nodes", "others").build();
                aws.eks.update_nodegroup_config().cluster_name(CLUSTER).nodegroup_name(&group).labels(labels).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::NodeGroup(CLUSTER.to_owned(), group.clone()),
        },
        Drift {
            what: "the role's policy",
            made: async {
                let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
                aws.iam.put_role_policy().role_name(&role).policy_name("shopkeeper").policy_document(all.to_string()).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Role(role.clone()),
        },
        Drift {
            what: "the Deployment's image",
            made: async {
                let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/evil:1"}]);
                let patch = patch.to_string();
                shop.environment.kubectl(&["patch", "deployment", "catalog", "-n", NAMESPACE, "--type=json", "-p", &patch]).await.map(drop)
            }
            .boxed_local(),
            view: View::Object(object("Deployment", "catalog")),
        },
        Drift {
            what: "the Deployment's containers and variables, added to",
            made: async {
                let patch = json!([
                    {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "debug", "image": "registry.example/debug:1"}},
                    {"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "DEBUG", "value": "1"}]},
                    {"op": "add", "path": "/spec/template/spec/containers/0/ports/-", "value": {"containerPort": 9999}},
                ]);
                let patch = patch.to_string();
                shop.environment.kubectl(&["patch", "deployment", "catalog", "-n", NAMESPACE, "--type=json", "-p", &patch]).await.map(drop)
            }
            .boxed_local(),
            view: View::Object(object("Deployment", "catalog")),
        },
        Drift {
            what: "the ConfigMap of the bindings",
            made: async { shop.merge(&object("ConfigMap", "catalog-bindings"), json!({"data": {"PRODUCTS_TABLE": "other"}})).await.map(drop) }.boxed_local(),
            view: View::Object(object("ConfigMap", "catalog-bindings")),
        },
        Drift {
            what: "the network policy, deleted",
            made: async { shop.delete(&object("NetworkPolicy", "catalog")).await }.boxed_local(),
            view: View::Object(object("NetworkPolicy", "catalog")),
        },
    ];
    repaired(shop, &subject, drifts).await
}

async fn of_orders(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "orders");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: drift}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}
  notifications:
    topics: [{name: buy, subscribers: [{type: Queue, queue: fulfilment}, {type: SMS, sms: '+15550177'}]}]
    queues: [{name: fulfilment, maxReceives: 5}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;
    let queue = shop.made(&subject, "SqsQueue", "queues.fulfilment").await?;
    let topic = format!(
        "arn:aws:sns:eu-west-1:123456789012:{}",
        shop.made(&subject, "SnsTopic", "topics.buy").await?
    );
    let parameters = shop
        .made(&subject, "RdsParameterGroup", "database.parameters")
        .await?;
    let aws = &shop.aws;
    let url = aws.queue(&queue).await?["url"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let drifts = vec![
        Drift {
            what: "the database's backups",
            made: async {
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&database)
                    .backup_retention_period(1)
                    .apply_immediately(true)
                    .send()
                    .await?;
                until_available(shop, &database).await
            }
            .boxed_local(),
            view: View::Database(database.clone()),
        },
        Drift {
            what: "the database's protection",
            made: async {
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&database)
                    .deletion_protection(false)
                    .apply_immediately(true)
                    .send()
                    .await?;
                until_available(shop, &database).await
            }
            .boxed_local(),
            view: View::Database(database.clone()),
        },
        Drift {
            what: "the database's parameters",
            made: async {
                let parameter = aws_sdk_rds::types::Parameter::builder()
                    .parameter_name("log_min_duration_statement")
                    .parameter_value("1")
                    .apply_method(aws_sdk_rds::types::ApplyMethod::Immediate)
                    .build();
                aws.rds
                    .modify_db_parameter_group()
                    .db_parameter_group_name(&parameters)
                    .parameters(parameter)
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Parameters(parameters.clone()),
        },
        Drift {
            what: "the queue's redrive and policy",
            made: async {
                let call = aws
                    .sqs
                    .set_queue_attributes()
                    .queue_url(&url)
                    .attributes(QueueAttributeName::RedrivePolicy, "");
                call.attributes(QueueAttributeName::Policy, "")
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Queue(queue.clone()),
        },
        Drift {
            what: "the topic's key",
            made: async {
                aws.sns
                    .set_topic_attributes()
                    .topic_arn(&topic)
                    .attribute_name("KmsMasterKeyId")
                    .attribute_value("")
                    .send()
                    .await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
        Drift {
            what: "a subscription, removed",
            made: async {
                let listed = aws
                    .sns
                    .list_subscriptions_by_topic()
                    .topic_arn(&topic)
                    .send()
                    .await?;
                let sms = listed
                    .subscriptions()
                    .iter()
                    .find(|subscription| subscription.protocol() == Some("sms"));
                let arn = sms
                    .and_then(|sms| sms.subscription_arn())
                    .context("there is no SMS subscription")?;
                aws.sns.unsubscribe().subscription_arn(arn).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Topic(topic.clone()),
        },
    ];
    repaired(shop, &subject, drifts).await
}

/// Before that the users are those from before, and there is nothing to be repaired.
async fn until_active(shop: &Shop, user_group: &str) -> Result<()> {
    shop.until(
        "the user group is active",
        shopkeeper_e2e::PATIENCE,
        async || {
            let view = shop.aws.cache_users(user_group).await?;
            includes("the user group", &view, &json!({"status": "active"}))
        },
    )
    .await
}

async fn until_available(shop: &Shop, database: &str) -> Result<()> {
    shop.until(
        "the database takes changes",
        shopkeeper_e2e::PATIENCE,
        async || {
            equals(
                "its status",
                &shop.aws.database(database).await?["status"],
                &json!("available"),
            )
        },
    )
    .await
}

async fn of_the_platform(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Platform", "", "octank");
    shop.until_ready(&subject).await?;
    let alias = "alias/shopkeeper-octank";
    let key = shop.aws.key(alias).await?["arn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let drifts = vec![Drift {
        what: "the key's rotation",
        made: async {
            shop.aws
                .kms
                .disable_key_rotation()
                .key_id(&key)
                .send()
                .await
                .map(drop)
                .map_err(Into::into)
        }
        .boxed_local(),
        view: View::Key(alias.to_owned()),
    }];
    repaired(shop, &subject, drifts).await
}

async fn only_told(shop: &Shop) -> Result<()> {
    let subject = Subject::new("CatalogService", NAMESPACE, "watched");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: watched, namespace: drift}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
  policy: {drift: Report}
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let table = shop.made(&subject, "DynamoDbTable", "products").await?;
    let mark = shop.mark().await?;
    shop.aws
        .dynamodb
        .update_table()
        .table_name(&table)
        .deletion_protection_enabled(false)
        .send()
        .await?;
    shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
    let message = shop
        .until_condition(&subject, "Ready", "True", "Drifted")
        .await?;
    ensure!(
        message.contains(&table) && message.contains("deletionProtection"),
        "the drift is not named: {message}"
    );
    let patch = json!({"spec": {"maxUnavailable": 2}});
    shop.merge(
        &Subject::new("PodDisruptionBudget", NAMESPACE, "watched"),
        patch,
    )
    .await?;
    shop.until(
        "the drift in the cluster is told",
        shopkeeper_e2e::PATIENCE,
        async || {
            let message = shop
                .until_condition(&subject, "Ready", "True", "Drifted")
                .await?;
            ensure!(message.contains("PodDisruptionBudget"), "{message}");
            Ok(())
        },
    )
    .await?;
    equals(
        "what was written to AWS",
        shop.steps_since(mark, &table).await?,
        Vec::<String>::new(),
    )?;
    equals(
        "the table's protection",
        &shop.aws.table(&table).await?["deletionProtection"],
        &json!(false),
    )?;
    let budget = shop
        .get("PodDisruptionBudget", NAMESPACE, "watched")
        .await?;
    equals("the budget", &budget["spec"]["maxUnavailable"], &json!(2))?;

    // An edit of the same field is no drift: it is made.
    shop.merge(
        &subject,
        json!({"spec": {"products": {"recoveryPeriodDays": 9}}}),
    )
    .await?;
    shop.until("the edit is made", shopkeeper_e2e::PATIENCE, async || {
        includes(
            "the table",
            &shop.aws.table(&table).await?,
            &json!({"recoveryDays": 9}),
        )
    })
    .await
}
