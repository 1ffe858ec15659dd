//! A catalog: its table, cache, bucket, nodes, role, and what it is in the cluster.

use anyhow::Result;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace, SuspendedState};
use aws_sdk_dynamodb::types::PointInTimeRecoverySpecification;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use futures::FutureExt as _;
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, includes};

use super::{CLUSTER, Drift, NAMESPACE, for_others, repaired};

pub async fn of_a_catalog(shop: &Shop) -> Result<()> {
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
  media: {archiveAfterInactiveDays: 180, cloudFrontDistributionArns: ['arn:aws:cloudfront::123456789012:distribution/E1DRIFTEXAMPLE']}
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
    let secret = shop
        .made(&subject, "SecretsManagerSecret", "cache.users.app.password")
        .await?;
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
            what: "who may read the table: another account by a policy",
            made: async {
                let arn = format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}");
                let policy = for_others("dynamodb:GetItem", &arn).to_string();
                aws.dynamodb.put_resource_policy().resource_arn(arn).policy(policy).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::Table(table.clone()),
        },
        Drift {
            what: "who may read the password of the cache: another account by a policy",
            made: async {
                let policy = for_others("secretsmanager:GetSecretValue", "*").to_string();
                aws.secretsmanager.put_resource_policy().secret_id(&secret).resource_policy(policy).send().await?;
                Ok(())
            }
            .boxed_local(),
            view: View::CacheSecret(user.clone()),
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
            what: "who may read the bucket: any distribution",
            made: async {
                let policy = aws.s3.get_bucket_policy().bucket(&bucket).send().await?.policy.unwrap_or_default();
                let open = policy.replace("E1DRIFTEXAMPLE", "*").replace("StringEquals", "StringLike");
                aws.s3.put_bucket_policy().bucket(&bucket).policy(open).send().await?;
                Ok(())
            }
            .boxed_local(),
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
                let call = aws.elasticache.modify_replication_group().replication_group_id(&cache).snapshot_retention_limit(0);
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

/// Before that the users are those from before, and there is nothing to be repaired.
async fn until_active(shop: &Shop, user_group: &str) -> Result<()> {
    shop.until("the user group is active", PATIENCE, async || {
        let view = shop.aws.cache_users(user_group).await?;
        includes("the user group", &view, &json!({"status": "active"}))
    })
    .await
}
