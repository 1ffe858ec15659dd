//! ElastiCache replication groups.

use async_trait::async_trait;
use aws_sdk_elasticache::{
    operation::modify_replication_group::builders::ModifyReplicationGroupFluentBuilder,
    types as sdk,
};
use aws_smithy_types::DateTime;
use shopkeeper_plan::{
    aws::{CacheEngine, CacheReplicationGroup, Tags, TransitEncryption},
    failure::{Class, Failure},
    observed::{Lifecycle, Notes},
    outputs::Outputs,
    plan::DeleteMode,
};

use super::{
    MISSING, add_tags,
    change::{self, Change},
    hidden_tags, shown_tags, tag_list,
};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    parts::part,
    request::{differs, final_name, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Replication groups.
pub(crate) struct ReplicationGroupApi<'a>(pub(crate) &'a Account);

/// Longest name of a snapshot, in characters.
const LONGEST_SNAPSHOT_NAME: usize = 255;

/// The port where ElastiCache is told of none.
const DEFAULT_PORT: i32 = 6379;

#[async_trait]
impl ResourceApi<CacheReplicationGroup> for ReplicationGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<CacheReplicationGroup>>, Failure> {
        let Some(group) = self.describe(name).await? else {
            self.0.cache_tags.forget(name);
            return Ok(None);
        };
        let arn = group
            .arn()
            .ok_or_else(|| unreadable("DescribeReplicationGroups", "ARN"))?;
        let (member, tags) = futures::join!(
            part(
                "DescribeCacheClusters",
                self.member(group.member_clusters().first())
            ),
            self.tags(name, arn, group.replication_group_create_time().copied())
        );
        Ok(Some(found(name, group, member?.as_ref(), tags?)))
    }

    async fn create(&self, desired: &CacheReplicationGroup) -> Result<(), Failure> {
        let encrypted = desired.transit_encryption != TransitEncryption::Disabled;
        let created = self
            .0
            .elasticache
            .create_replication_group()
            .replication_group_id(desired.id.to_lowercase())
            .replication_group_description(&desired.description)
            .engine(engine_name(desired.engine))
            .set_engine_version(desired.engine_version.clone())
            .cache_node_type(&desired.node_type)
            .num_cache_clusters(1 + desired.replicas)
            .automatic_failover_enabled(desired.multi_az)
            .multi_az_enabled(desired.multi_az)
            .transit_encryption_enabled(encrypted)
            .set_transit_encryption_mode(mode(desired.transit_encryption))
            // Always: it cannot be switched on later.
            .at_rest_encryption_enabled(true)
            .set_kms_key_id(desired.kms_key_arn.clone())
            .cache_subnet_group_name(desired.subnet_group.to_lowercase())
            .set_cache_parameter_group_name(desired.parameter_group.clone())
            .set_security_group_ids(security_groups(desired))
            .set_user_group_ids(desired.user_group.clone().map(|group| vec![group]))
            .port(desired.port)
            .snapshot_retention_limit(desired.snapshot_retention_days)
            .set_snapshot_window(desired.snapshot_window.clone())
            .set_preferred_maintenance_window(desired.maintenance_window.clone())
            .set_auto_minor_version_upgrade(desired.auto_minor_version_upgrade)
            .set_tags(Some(tag_list(&desired.tags)))
            .send()
            .await
            .map_err(|error| classify("CreateReplicationGroup", &error))?;
        let made = created
            .replication_group()
            .and_then(|group| group.replication_group_create_time().copied());
        self.0.cache_tags.remember(&desired.id, made, &desired.tags);
        Ok(())
    }

    async fn update(
        &self,
        desired: &CacheReplicationGroup,
        found: &Found<CacheReplicationGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let change = change::next(desired, &found.resource, fields)
            .ok_or_else(|| nothing_to_change("ElastiCache replication group", fields))?;
        // Within the approval that the policy asks for, every change is applied at once.
        let modify = self
            .0
            .elasticache
            .modify_replication_group()
            .replication_group_id(&desired.id)
            .apply_immediately(true);
        let modify = match change {
            Change::Tags => return add_tags(self.0, found.arn.as_deref(), &desired.tags).await,
            Change::MoreReplicas => return self.more_replicas(desired).await,
            Change::FewerReplicas => return self.fewer_replicas(desired).await,
            Change::Settings => settings(modify, desired, fields),
            Change::Engine => modify
                .set_engine(
                    differs(fields, "engine").then(|| engine_name(desired.engine).to_owned()),
                )
                .set_engine_version(desired.engine_version.clone())
                .set_cache_parameter_group_name(
                    desired
                        .parameter_group
                        .clone()
                        .filter(|_| differs(fields, "parameterGroup")),
                ),
            Change::ParameterGroup => {
                modify.set_cache_parameter_group_name(desired.parameter_group.clone())
            }
            Change::NodeType => modify.cache_node_type(&desired.node_type),
            Change::UserGroup => modify
                .set_user_group_ids_to_add(desired.user_group.clone().map(|group| vec![group]))
                .set_user_group_ids_to_remove(
                    found
                        .resource
                        .user_group
                        .clone()
                        .or(found.resource.other_user_group.clone())
                        .map(|group| vec![group]),
                ),
            // ElastiCache refuses another zone without takeover.
            Change::MultiAz => modify
                .automatic_failover_enabled(desired.multi_az)
                .multi_az_enabled(desired.multi_az),
            Change::TransitEncryption(step) => modify
                .set_transit_encryption_enabled(
                    // Only at the ends of the way: between Preferred and Required it is on already.
                    match (found.resource.transit_encryption, step) {
                        (TransitEncryption::Disabled, _) => Some(true),
                        (_, TransitEncryption::Disabled) => Some(false),
                        _ => None,
                    },
                )
                .set_transit_encryption_mode(mode(step)),
        };
        modify
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("ModifyReplicationGroup", &error))
    }

    async fn delete(
        &self,
        found: &Found<CacheReplicationGroup>,
        mode: DeleteMode,
        token: &DeletionToken,
    ) -> Result<(), Failure> {
        if found.lifecycle == Lifecycle::Deleting {
            return Ok(());
        }
        let id = &found.resource.id;
        // A group that never came to be has nothing to save, and ElastiCache refuses the snapshot.
        let snapshot = (mode == DeleteMode::Snapshot
            && !matches!(found.lifecycle, Lifecycle::Failed(_)))
        .then(|| {
            final_name(
                id,
                &token.of_incarnation(found.id.as_deref().unwrap_or_default()),
                LONGEST_SNAPSHOT_NAME,
            )
        });
        let answer = self
            .0
            .elasticache
            .delete_replication_group()
            .replication_group_id(id)
            .retain_primary_cluster(false)
            .set_final_snapshot_identifier(snapshot.clone())
            .send()
            .await;
        match (answer, snapshot) {
            (Ok(_), Some(snapshot)) => {
                tracing::info!(%id, %snapshot, "deleting, with a last snapshot");
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(error), _) if is_code(&error, MISSING) => Ok(()),
            (Err(error), Some(snapshot))
                if is_code(
                    &error,
                    &["SnapshotAlreadyExistsFault", "SnapshotAlreadyExists"],
                ) =>
            {
                let remedy = format!("copy the snapshot {snapshot} to another name and delete it");
                Err(Failure {
                    class: Class::Invalid,
                    ..classify("DeleteReplicationGroup", &error)
                }
                .with_remedy(remedy))
            }
            (Err(error), _) => Err(classify("DeleteReplicationGroup", &error)),
        }
    }
}

impl ReplicationGroupApi<'_> {
    /// Its tags; while ElastiCache shows none, those that it had.
    async fn tags(&self, id: &str, arn: &str, made: Option<DateTime>) -> Result<Tags, Failure> {
        let known = &self.0.cache_tags;
        let shown = shown_tags(self.0, arn).await?;
        if let Some(tags) = &shown {
            known.remember(id, made, tags);
        }
        shown
            .or_else(|| known.known(id, made))
            .ok_or_else(hidden_tags)
    }

    async fn describe(&self, name: &str) -> Result<Option<sdk::ReplicationGroup>, Failure> {
        let call = self.0.elasticache.describe_replication_groups();
        let all = pages!(
            "DescribeReplicationGroups",
            call,
            replication_groups,
            replication_group_id
        );
        if let Some(found) = self.0.listings.replication_groups.find(name, all).await {
            return Ok(Some(found));
        }
        match part(
            "DescribeReplicationGroups",
            call.replication_group_id(name).send(),
        )
        .await
        {
            Ok(answer) => Ok(answer
                .replication_groups
                .unwrap_or_default()
                .into_iter()
                .next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeReplicationGroups", &error)),
        }
    }

    /// One member: it carries what all have in common and the group does not tell.
    async fn member(&self, id: Option<&String>) -> Result<Option<sdk::CacheCluster>, Failure> {
        let Some(id) = id else { return Ok(None) };
        let call = self.0.elasticache.describe_cache_clusters();
        let all = pages!(
            "DescribeCacheClusters",
            call,
            cache_clusters,
            cache_cluster_id
        );
        if let Some(member) = self.0.listings.cache_clusters.find(id, all).await {
            return Ok(Some(member));
        }
        match call.cache_cluster_id(id).send().await {
            Ok(answer) => Ok(answer.cache_clusters.unwrap_or_default().into_iter().next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeCacheClusters", &error)),
        }
    }

    async fn more_replicas(&self, desired: &CacheReplicationGroup) -> Result<(), Failure> {
        self.0
            .elasticache
            .increase_replica_count()
            .replication_group_id(&desired.id)
            .new_replica_count(desired.replicas)
            .apply_immediately(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("IncreaseReplicaCount", &error))
    }

    async fn fewer_replicas(&self, desired: &CacheReplicationGroup) -> Result<(), Failure> {
        self.0
            .elasticache
            .decrease_replica_count()
            .replication_group_id(&desired.id)
            .new_replica_count(desired.replicas)
            .apply_immediately(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("DecreaseReplicaCount", &error))
    }
}

fn settings(
    modify: ModifyReplicationGroupFluentBuilder,
    desired: &CacheReplicationGroup,
    fields: &[String],
) -> ModifyReplicationGroupFluentBuilder {
    modify
        .set_replication_group_description(
            differs(fields, "description").then(|| desired.description.clone()),
        )
        .set_security_group_ids(
            security_groups(desired).filter(|_| differs(fields, "securityGroups")),
        )
        .set_snapshot_retention_limit(
            differs(fields, "snapshotRetentionDays").then_some(desired.snapshot_retention_days),
        )
        .set_snapshot_window(
            desired
                .snapshot_window
                .clone()
                .filter(|_| differs(fields, "snapshotWindow")),
        )
        .set_preferred_maintenance_window(
            desired
                .maintenance_window
                .clone()
                .filter(|_| differs(fields, "maintenanceWindow")),
        )
        .set_auto_minor_version_upgrade(
            desired
                .auto_minor_version_upgrade
                .filter(|_| differs(fields, "autoMinorVersionUpgrade")),
        )
}

fn security_groups(desired: &CacheReplicationGroup) -> Option<Vec<String>> {
    (!desired.security_groups.is_empty()).then(|| desired.security_groups.iter().cloned().collect())
}

const fn engine_name(engine: CacheEngine) -> &'static str {
    match engine {
        CacheEngine::Valkey => "valkey",
        CacheEngine::Redis => "redis",
    }
}

fn mode(encryption: TransitEncryption) -> Option<sdk::TransitEncryptionMode> {
    match encryption {
        TransitEncryption::Required => Some(sdk::TransitEncryptionMode::Required),
        TransitEncryption::Preferred => Some(sdk::TransitEncryptionMode::Preferred),
        TransitEncryption::Disabled => None,
    }
}

fn found(
    name: &str,
    group: sdk::ReplicationGroup,
    member: Option<&sdk::CacheCluster>,
    tags: Tags,
) -> Found<CacheReplicationGroup> {
    let node_group = group.node_groups().first();
    let primary = node_group.and_then(|nodes| nodes.primary_endpoint());
    let reader = node_group.and_then(|nodes| nodes.reader_endpoint());
    let port = primary
        .and_then(|endpoint| endpoint.port())
        .unwrap_or(DEFAULT_PORT);
    let engine = group.engine().or(member.and_then(|member| member.engine()));
    let host = primary.and_then(|endpoint| endpoint.address());
    let outputs = Outputs::new()
        .with_optional("host", host)
        .with_optional("port", host.map(|_| port.to_string()))
        .with_optional("endpoint", host.map(|host| format!("{host}:{port}")))
        .with_optional("readerHost", reader.and_then(|endpoint| endpoint.address()))
        .with_optional("arn", group.arn());
    let (ours, others): (Vec<_>, Vec<_>) = group
        .user_group_ids()
        .iter()
        .cloned()
        .partition(|user_group| user_group == name);
    let resource = CacheReplicationGroup {
        id: name.to_owned(),
        description: group.description().unwrap_or_default().to_owned(),
        engine: if engine == Some("redis") {
            CacheEngine::Redis
        } else {
            CacheEngine::Valkey
        },
        engine_version: member
            .and_then(|member| member.engine_version())
            .map(str::to_owned),
        node_type: group
            .cache_node_type()
            .or(member.and_then(|member| member.cache_node_type()))
            .unwrap_or_default()
            .to_owned(),
        replicas: i32::try_from(group.member_clusters().len())
            .unwrap_or(i32::MAX)
            .saturating_sub(1)
            .max(0),
        multi_az: group.multi_az() == Some(&sdk::MultiAzStatus::Enabled),
        transit_encryption: match (
            group.transit_encryption_enabled(),
            group.transit_encryption_mode(),
        ) {
            (Some(true), Some(sdk::TransitEncryptionMode::Preferred)) => {
                TransitEncryption::Preferred
            }
            // Groups from before there were modes serve TLS only.
            (Some(true), _) => TransitEncryption::Required,
            _ => TransitEncryption::Disabled,
        },
        kms_key_arn: group.kms_key_id().map(str::to_owned),
        subnet_group: member
            .and_then(|member| member.cache_subnet_group_name())
            .unwrap_or_default()
            .to_owned(),
        parameter_group: member
            .and_then(|member| member.cache_parameter_group())
            .and_then(|parameters| parameters.cache_parameter_group_name())
            .map(str::to_owned),
        security_groups: member
            .map(|member| {
                member
                    .security_groups()
                    .iter()
                    .filter_map(|group| group.security_group_id().map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default(),
        user_group: ours.into_iter().next(),
        other_user_group: others.into_iter().next(),
        port,
        snapshot_retention_days: group.snapshot_retention_limit().unwrap_or_default(),
        snapshot_window: group.snapshot_window().map(str::to_owned),
        maintenance_window: member
            .and_then(|member| member.preferred_maintenance_window())
            .map(str::to_owned),
        auto_minor_version_upgrade: group
            .auto_minor_version_upgrade()
            .or(member.and_then(|member| member.auto_minor_version_upgrade())),
        tags,
    };
    let (lifecycle, note) = lifecycle(group.status(), member.is_some());
    // When it was made: a group of the same name made later is another one, with another last snapshot.
    let id = group
        .replication_group_create_time()
        .map(|time| time.secs().to_string());
    Found {
        resource,
        lifecycle,
        arn: group.arn,
        id,
        outputs,
        empty: None,
        note: note.map(Notes::from),
    }
}

fn lifecycle(status: Option<&str>, has_member: bool) -> (Lifecycle, Option<String>) {
    match status {
        Some("creating") => (Lifecycle::Creating, None),
        Some("available") if has_member => (Lifecycle::Available, None),
        Some("deleting") => (Lifecycle::Deleting, None),
        Some("create-failed") => (
            Lifecycle::Failed(
                "ElastiCache could not make the replication group; its events tell why".into(),
            ),
            None,
        ),
        Some("snapshotting") => (
            Lifecycle::Modifying,
            Some("a snapshot is being taken".into()),
        ),
        // `modifying`, and what is not documented: usable, not open for changes.
        _ => (Lifecycle::Modifying, None),
    }
}
