//! ElastiCache.

use shopkeeper_api::{Toggle, cache as api, defaults};

use super::{Context, DataResource};
use crate::aws::{CacheEngine, CacheReplicationGroup, CacheSubnetGroup, TransitEncryption};

/// Longest id of a replication group.
const LONGEST_ID: usize = 40;
/// Port of Valkey and Redis.
const PORT: i32 = 6379;

/// A cache with its subnet group.
pub(super) fn cache(context: Context<'_>, declared: &api::Cache) -> Vec<DataResource> {
    let id = context.name("", LONGEST_ID);
    let subnet_group = CacheSubnetGroup {
        name: id.clone(),
        description: format!("Private subnets for {}", context.owner.path()),
        subnets: context.private_subnets(),
        tags: context.tags(),
    };
    let replicas = declared.replicas.unwrap_or(defaults::CACHE_REPLICAS);
    let (engine, newest) = match declared.engine {
        api::CacheEngine::Valkey => (CacheEngine::Valkey, defaults::VALKEY_VERSION),
        api::CacheEngine::Redis => (CacheEngine::Redis, defaults::REDIS_VERSION),
    };
    let group = CacheReplicationGroup {
        id: id.clone(),
        description: format!("Cache of {}", context.owner.path()),
        engine,
        engine_version: Some(declared.version.clone().unwrap_or_else(|| newest.to_owned())),
        node_type: declared.node_type.clone(),
        replicas,
        multi_az: declared.multi_az.map_or(replicas > 0, Toggle::is_enabled),
        transit_encryption: match declared.transit_encryption {
            Some(api::TransitEncryption::Preferred) => TransitEncryption::Preferred,
            Some(api::TransitEncryption::Disabled) => TransitEncryption::Disabled,
            Some(api::TransitEncryption::Required) | None => TransitEncryption::Required,
        },
        kms_key_arn: Some(context.platform.key_arn.clone()),
        subnet_group: id,
        parameter_group: None,
        security_groups: context.security_groups(),
        port: PORT,
        snapshot_retention_days: declared.snapshot_retention_days.unwrap_or(defaults::CACHE_SNAPSHOT_RETENTION_DAYS),
        snapshot_window: declared.snapshot_window.clone(),
        maintenance_window: declared.maintenance_window.clone(),
        auto_minor_version_upgrade: Some(declared.auto_minor_version_upgrade.is_none_or(Toggle::is_enabled)),
        tags: context.tags(),
    };
    let subnet_group = DataResource::hidden("cache.subnets", subnet_group);
    let after = [subnet_group.key()];
    vec![subnet_group, DataResource::bound("cache", "", "cache", group).after(&after)]
}
