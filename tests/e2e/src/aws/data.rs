//! Tables, caches, buckets, databases and keys.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::TimeToLiveStatus;
use serde_json::{Map, Value, json};

use super::{Aws, document, tags};

impl Aws {
    /// A DynamoDB table with its continuous backups and its expiry.
    pub async fn table(&self, name: &str) -> Result<Value> {
        let table = self
            .dynamodb
            .describe_table()
            .table_name(name)
            .send()
            .await?
            .table
            .context("DescribeTable answered no table")?;
        let backups = self
            .dynamodb
            .describe_continuous_backups()
            .table_name(name)
            .send()
            .await?;
        let recovery = backups
            .continuous_backups_description
            .and_then(|backups| backups.point_in_time_recovery_description);
        let expiry = self
            .dynamodb
            .describe_time_to_live()
            .table_name(name)
            .send()
            .await?
            .time_to_live_description;
        // The attribute may still be told after expiry was switched off.
        let expiry = expiry.filter(|expiry| {
            matches!(
                expiry.time_to_live_status(),
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            )
        });
        let listed = self
            .dynamodb
            .list_tags_of_resource()
            .resource_arn(table.table_arn().unwrap_or_default())
            .send()
            .await?;
        let policy = self
            .dynamodb
            .get_resource_policy()
            .resource_arn(table.table_arn().unwrap_or_default())
            .send()
            .await;
        let policy = match policy {
            Ok(answer) => answer.policy,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_policy_not_found_exception()) =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let mut indexes = Map::new();
        for index in table.global_secondary_indexes() {
            let view = json!({
                "status": index.index_status().map(|status| status.as_str()),
                "keys": keys(index.key_schema()),
                "projection": index.projection().and_then(|projection| projection.projection_type()).map(|kind| kind.as_str()),
                "attributes": index.projection().map(|projection| projection.non_key_attributes()),
                "read": index.provisioned_throughput().and_then(|throughput| throughput.read_capacity_units()),
                "write": index.provisioned_throughput().and_then(|throughput| throughput.write_capacity_units()),
                "warmRead": index.warm_throughput().and_then(|warm| warm.read_units_per_second()),
                "warmWrite": index.warm_throughput().and_then(|warm| warm.write_units_per_second()),
            });
            indexes.insert(index.index_name().unwrap_or_default().to_owned(), view);
        }
        let attributes: Map<String, Value> = table
            .attribute_definitions()
            .iter()
            .map(|attribute| {
                (
                    attribute.attribute_name().to_owned(),
                    json!(attribute.attribute_type().as_str()),
                )
            })
            .collect();
        Ok(json!({
            "status": table.table_status().map(|status| status.as_str()),
            "keys": keys(table.key_schema()),
            "attributes": attributes,
            "indexes": indexes,
            "billing": table.billing_mode_summary().and_then(|billing| billing.billing_mode()).map_or("PROVISIONED", |mode| mode.as_str()),
            "read": table.provisioned_throughput().and_then(|throughput| throughput.read_capacity_units()),
            "write": table.provisioned_throughput().and_then(|throughput| throughput.write_capacity_units()),
            "maxRead": table.on_demand_throughput().and_then(|limits| limits.max_read_request_units()),
            "maxWrite": table.on_demand_throughput().and_then(|limits| limits.max_write_request_units()),
            "warmRead": table.warm_throughput().and_then(|warm| warm.read_units_per_second()),
            "warmWrite": table.warm_throughput().and_then(|warm| warm.write_units_per_second()),
            "class": table.table_class_summary().and_then(|class| class.table_class()).map_or("STANDARD", |class| class.as_str()),
            "encryption": table.sse_description().and_then(|encryption| encryption.sse_type()).map(|kind| kind.as_str()),
            "key": table.sse_description().and_then(|encryption| encryption.kms_master_key_arn()),
            "deletionProtection": table.deletion_protection_enabled(),
            "recovery": recovery.as_ref().and_then(|recovery| recovery.point_in_time_recovery_status()).map(|status| status.as_str()),
            "recoveryDays": recovery.as_ref().and_then(|recovery| recovery.recovery_period_in_days()),
            "expiry": expiry.as_ref().and_then(|expiry| expiry.attribute_name()),
            "policy": policy,
            "stream": table.stream_specification().and_then(|stream| stream.stream_view_type()).map(|view| view.as_str()),
            "tags": tags(listed.tags().iter().map(|tag| (tag.key(), tag.value()))),
        }))
    }

    /// An ElastiCache replication group.
    pub async fn cache(&self, id: &str) -> Result<Value> {
        let answer = self
            .elasticache
            .describe_replication_groups()
            .replication_group_id(id)
            .send()
            .await?;
        let group = answer
            .replication_groups()
            .first()
            .context("DescribeReplicationGroups answered no group")?;
        let listed = self
            .elasticache
            .list_tags_for_resource()
            .resource_name(group.arn().unwrap_or_default())
            .send()
            .await?;
        let member = group
            .member_clusters()
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        let clusters = self
            .elasticache
            .describe_cache_clusters()
            .cache_cluster_id(member)
            .send()
            .await?;
        let cluster = clusters.cache_clusters().first();
        let subnet_group = cluster.and_then(|cluster| cluster.cache_subnet_group_name());
        Ok(json!({
            "status": group.status(),
            "engine": group.engine(),
            "version": cluster.and_then(|cluster| cluster.engine_version()),
            "nodeType": group.cache_node_type(),
            "members": group.member_clusters().len(),
            "multiAZ": group.multi_az().map(|mode| mode.as_str()),
            "failover": group.automatic_failover().map(|mode| mode.as_str()),
            "transitEncryption": group.transit_encryption_enabled(),
            "transitEncryptionMode": group.transit_encryption_mode().map(|mode| mode.as_str()),
            "atRestEncryption": group.at_rest_encryption_enabled(),
            "key": group.kms_key_id(),
            "subnetGroup": subnet_group,
            "parameterGroup": cluster.and_then(|cluster| cluster.cache_parameter_group()?.cache_parameter_group_name()),
            "snapshotRetention": group.snapshot_retention_limit(),
            "snapshotWindow": group.snapshot_window(),
            "maintenanceWindow": cluster.and_then(|cluster| cluster.preferred_maintenance_window()),
            "autoMinorVersionUpgrade": group.auto_minor_version_upgrade(),
            "userGroups": group.user_group_ids(),
            "tags": tags(listed.tag_list().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)))),
        }))
    }

    /// The parameters of an ElastiCache parameter group that a user has set.
    pub async fn cache_parameters(&self, name: &str) -> Result<Value> {
        let mut pages = self
            .elasticache
            .describe_cache_parameters()
            .cache_parameter_group_name(name)
            .source("user")
            .into_paginator()
            .send();
        let mut found = Map::new();
        while let Some(page) = pages.next().await.transpose()? {
            for parameter in page.parameters() {
                let name = parameter.parameter_name().unwrap_or_default();
                found.insert(name.to_owned(), json!(parameter.parameter_value()));
            }
        }
        Ok(Value::Object(found))
    }

    /// The subnets of an ElastiCache subnet group, sorted.
    pub async fn cache_subnets(&self, name: &str) -> Result<Vec<String>> {
        let answer = self
            .elasticache
            .describe_cache_subnet_groups()
            .cache_subnet_group_name(name)
            .send()
            .await?;
        let group = answer
            .cache_subnet_groups()
            .first()
            .context("DescribeCacheSubnetGroups answered no group")?;
        let mut subnets: Vec<String> = group
            .subnets()
            .iter()
            .filter_map(|subnet| subnet.subnet_identifier())
            .map(str::to_owned)
            .collect();
        subnets.sort();
        Ok(subnets)
    }

    /// An S3 bucket with its settings.
    pub async fn bucket(&self, name: &str) -> Result<Value> {
        let versioning = self.s3.get_bucket_versioning().bucket(name).send().await?;
        let encryption = self
            .s3
            .get_bucket_encryption()
            .bucket(name)
            .send()
            .await?
            .server_side_encryption_configuration;
        let rule = encryption
            .as_ref()
            .and_then(|encryption| encryption.rules().first());
        let applied = rule.and_then(|rule| rule.apply_server_side_encryption_by_default());
        let block = self
            .s3
            .get_public_access_block()
            .bucket(name)
            .send()
            .await?
            .public_access_block_configuration;
        let ownership = self
            .s3
            .get_bucket_ownership_controls()
            .bucket(name)
            .send()
            .await?
            .ownership_controls;
        let policy = self
            .s3
            .get_bucket_policy()
            .bucket(name)
            .send()
            .await?
            .policy;
        let lifecycle = self
            .s3
            .get_bucket_lifecycle_configuration()
            .bucket(name)
            .send()
            .await?;
        // A bucket without rules has no configuration of them.
        let cors = self
            .s3
            .get_bucket_cors()
            .bucket(name)
            .send()
            .await
            .map(|answer| answer.cors_rules.unwrap_or_default())
            .unwrap_or_default();
        let tiering = self
            .s3
            .list_bucket_intelligent_tiering_configurations()
            .bucket(name)
            .send()
            .await?;
        let tagging = self.s3.get_bucket_tagging().bucket(name).send().await?;
        let transitions: Vec<Value> = lifecycle
            .rules()
            .iter()
            .flat_map(|rule| rule.transitions())
            .map(|transition| json!({"days": transition.days(), "class": transition.storage_class().map(|class| class.as_str())}))
            .collect();
        let tierings: Vec<Value> = tiering
            .intelligent_tiering_configuration_list()
            .iter()
            .flat_map(|configuration| configuration.tierings().iter().map(move |tier| (configuration, tier)))
            .map(|(configuration, tier)| {
                json!({"id": configuration.id(), "status": configuration.status().as_str(), "days": tier.days(), "tier": tier.access_tier().as_str()})
            })
            .collect();
        let on = |value: Option<bool>| value == Some(true);
        Ok(json!({
            "versioning": versioning.status().map(|status| status.as_str()),
            "encryption": applied.map(|applied| applied.sse_algorithm().as_str()),
            "key": applied.and_then(|applied| applied.kms_master_key_id()),
            "bucketKey": rule.and_then(|rule| rule.bucket_key_enabled()),
            "publicAccessBlocked": block.is_some_and(|block| {
                on(block.block_public_acls()) && on(block.block_public_policy()) && on(block.ignore_public_acls()) && on(block.restrict_public_buckets())
            }),
            "ownership": ownership.and_then(|ownership| Some(ownership.rules().first()?.object_ownership().as_str().to_owned())),
            "policy": policy.as_deref().map(serde_json::from_str::<Value>).transpose()?,
            "transitions": transitions,
            "noncurrentDays": lifecycle.rules().iter().find_map(|rule| rule.noncurrent_version_expiration()?.noncurrent_days()),
            "cors": cors.iter().map(|rule| json!({
                "origins": rule.allowed_origins(), "methods": rule.allowed_methods(), "headers": rule.allowed_headers(),
                "maxAge": rule.max_age_seconds(),
            })).collect::<Vec<_>>(),
            "tierings": tierings,
            "tags": tags(tagging.tag_set().iter().map(|tag| (tag.key(), tag.value()))),
        }))
    }

    /// An RDS instance.
    pub async fn database(&self, identifier: &str) -> Result<Value> {
        let answer = self
            .rds
            .describe_db_instances()
            .db_instance_identifier(identifier)
            .send()
            .await?;
        let instance = answer
            .db_instances()
            .first()
            .context("DescribeDBInstances answered no instance")?;
        let group = instance.db_subnet_group();
        let mut subnets: Vec<&str> = group
            .map(|group| group.subnets())
            .unwrap_or_default()
            .iter()
            .filter_map(|subnet| subnet.subnet_identifier())
            .collect();
        subnets.sort_unstable();
        Ok(json!({
            "status": instance.db_instance_status(),
            "engine": instance.engine(),
            "version": instance.engine_version(),
            "class": instance.db_instance_class(),
            "storage": instance.allocated_storage(),
            "storageType": instance.storage_type(),
            "maxStorage": instance.max_allocated_storage(),
            "iops": instance.iops(),
            "encrypted": instance.storage_encrypted(),
            "key": instance.kms_key_id(),
            "multiAZ": instance.multi_az(),
            "public": instance.publicly_accessible(),
            "database": instance.db_name(),
            "username": instance.master_username(),
            "managedPassword": instance.master_user_secret().and_then(|secret| secret.secret_arn()).is_some(),
            "passwordKey": instance.master_user_secret().and_then(|secret| secret.kms_key_id()),
            "secret": instance.master_user_secret().and_then(|secret| secret.secret_arn()),
            "subnetGroup": group.and_then(|group| group.db_subnet_group_name()),
            "subnets": subnets,
            "parameterGroup": instance.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name()),
            "securityGroups": instance.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id()).collect::<Vec<_>>(),
            "backupRetention": instance.backup_retention_period(),
            "backupWindow": instance.preferred_backup_window(),
            "maintenanceWindow": instance.preferred_maintenance_window(),
            "logExports": instance.enabled_cloudwatch_logs_exports(),
            "autoMinorVersionUpgrade": instance.auto_minor_version_upgrade(),
            "caCertificate": instance.ca_certificate_identifier(),
            "deletionProtection": instance.deletion_protection(),
            "performanceInsights": instance.performance_insights_enabled(),
            "copyTagsToSnapshot": instance.copy_tags_to_snapshot(),
            "host": instance.endpoint().and_then(|endpoint| endpoint.address()),
            "port": instance.endpoint().and_then(|endpoint| endpoint.port()),
            "tags": tags(instance.tag_list().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)))),
        }))
    }

    /// The parameters of an RDS parameter group that a user has set.
    pub async fn database_parameters(&self, name: &str) -> Result<Value> {
        let answer = self
            .rds
            .describe_db_parameters()
            .db_parameter_group_name(name)
            .source("user")
            .send()
            .await?;
        Ok(tags(answer.parameters().iter().filter_map(|parameter| {
            Some((parameter.parameter_name()?, parameter.parameter_value()?))
        })))
    }

    /// The manual snapshots of an RDS instance, those of instances that are gone included.
    pub async fn database_snapshots(&self, identifier: &str) -> Result<Vec<String>> {
        let answer = self
            .rds
            .describe_db_snapshots()
            .db_instance_identifier(identifier)
            .snapshot_type("manual")
            .send()
            .await?;
        Ok(answer
            .db_snapshots()
            .iter()
            .filter_map(|snapshot| snapshot.db_snapshot_identifier())
            .map(str::to_owned)
            .collect())
    }

    /// The snapshots of an ElastiCache replication group.
    pub async fn cache_snapshots(&self, id: &str) -> Result<Vec<String>> {
        let answer = self.elasticache.describe_snapshots().send().await?;
        let of_group = answer
            .snapshots()
            .iter()
            .filter(|snapshot| snapshot.replication_group_id() == Some(id));
        Ok(of_group
            .filter_map(|snapshot| snapshot.snapshot_name())
            .map(str::to_owned)
            .collect())
    }

    /// The backups of a DynamoDB table that were made on demand.
    pub async fn table_backups(&self, name: &str) -> Result<Vec<String>> {
        let answer = self.dynamodb.list_backups().table_name(name).send().await?;
        Ok(answer
            .backup_summaries()
            .iter()
            .filter_map(|backup| backup.backup_name())
            .map(str::to_owned)
            .collect())
    }

    /// The master password of an RDS instance, from Secrets Manager.
    pub async fn master_password(&self, identifier: &str) -> Result<String> {
        let database = self.database(identifier).await?;
        let secret = database["secret"]
            .as_str()
            .context("the instance has no managed password")?;
        let answer = self
            .secretsmanager
            .get_secret_value()
            .secret_id(secret)
            .send()
            .await?;
        let value: Value = serde_json::from_str(answer.secret_string().unwrap_or_default())?;
        Ok(value["password"]
            .as_str()
            .context("the secret has no password")?
            .to_owned())
    }

    /// Every secret of Secrets Manager with its value.
    pub async fn secret_values(&self) -> Result<Vec<(String, String)>> {
        let mut pages = self.secretsmanager.list_secrets().into_paginator().send();
        let mut secrets = Vec::new();
        while let Some(page) = pages.next().await.transpose()? {
            secrets.extend(page.secret_list.unwrap_or_default());
        }
        let mut values = Vec::new();
        for secret in secrets {
            let name = secret.name().unwrap_or_default();
            let answer = self
                .secretsmanager
                .get_secret_value()
                .secret_id(name)
                .send()
                .await?;
            values.push((
                name.to_owned(),
                answer.secret_string().unwrap_or_default().to_owned(),
            ));
        }
        Ok(values)
    }

    /// A KMS key by its alias.
    pub async fn key(&self, alias: &str) -> Result<Value> {
        let key = self
            .kms
            .describe_key()
            .key_id(alias)
            .send()
            .await?
            .key_metadata
            .context("DescribeKey answered no key")?;
        let rotation = self
            .kms
            .get_key_rotation_status()
            .key_id(key.key_id())
            .send()
            .await?;
        let policy = self
            .kms
            .get_key_policy()
            .key_id(key.key_id())
            .policy_name("default")
            .send()
            .await?
            .policy;
        let listed = self
            .kms
            .list_resource_tags()
            .key_id(key.key_id())
            .send()
            .await?;
        Ok(json!({
            "arn": key.arn(),
            "state": key.key_state().map(|state| state.as_str()),
            "rotation": rotation.key_rotation_enabled(),
            "rotationDays": rotation.rotation_period_in_days(),
            "policy": policy.as_deref().map(document).transpose()?,
            "tags": tags(listed.tags().iter().map(|tag| (tag.tag_key(), tag.tag_value()))),
        }))
    }
}

fn keys(schema: &[aws_sdk_dynamodb::types::KeySchemaElement]) -> Vec<&str> {
    schema
        .iter()
        .map(|element| element.attribute_name())
        .collect()
}
