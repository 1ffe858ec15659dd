//! ElastiCache.

use shopkeeper_api::{Toggle, cache as api, defaults};

use super::{Context, DataResource};
use crate::aws::{
    CacheEngine, CacheParameterGroup, CacheReplicationGroup, CacheSubnetGroup, TransitEncryption,
};

/// Longest id of a replication group.
const LONGEST_ID: usize = 40;
/// Port of Valkey and Redis.
const PORT: i32 = 6379;

/// A cache with its subnet group, and a parameter group where parameters are declared.
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
    let version = declared.version.as_deref().unwrap_or(newest);
    let family = family(declared.engine, version);
    let parameter_group = (!declared.parameters.is_empty()).then(|| CacheParameterGroup {
        name: format!("{id}-{}", family.replace('.', "-")),
        family: family.clone(),
        description: format!("Parameters of {}", context.owner.path()),
        parameters: declared
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.value.clone()))
            .collect(),
        tags: context.tags(),
    });
    let group = CacheReplicationGroup {
        id: id.clone(),
        description: format!("Cache of {}", context.owner.path()),
        engine,
        engine_version: Some(version.to_owned()),
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
        // By name also where it is the engine's own: left out, a group that was declared before would stay.
        parameter_group: Some(
            parameter_group
                .as_ref()
                .map_or_else(|| format!("default.{family}"), |group| group.name.clone()),
        ),
        security_groups: context.security_groups(),
        port: PORT,
        snapshot_retention_days: declared
            .snapshot_retention_days
            .unwrap_or(defaults::CACHE_SNAPSHOT_RETENTION_DAYS),
        snapshot_window: declared.snapshot_window.clone(),
        maintenance_window: declared.maintenance_window.clone(),
        auto_minor_version_upgrade: Some(
            declared
                .auto_minor_version_upgrade
                .is_none_or(Toggle::is_enabled),
        ),
        tags: context.tags(),
    };
    let subnet_group = DataResource::hidden("cache.subnets", subnet_group);
    let mut resources = vec![subnet_group];
    resources.extend(parameter_group.map(|group| DataResource::hidden("cache.parameters", group)));
    let after: Vec<_> = resources.iter().map(DataResource::key).collect();
    resources.push(DataResource::bound("cache", "", "cache", group).after(&after));
    resources
}

/// The parameter group family of an engine version: counted by the major, but for the versions of Redis before 7.
fn family(engine: api::CacheEngine, version: &str) -> String {
    let mut numbers = version.split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or("0"),
    );
    match (engine, major) {
        (api::CacheEngine::Valkey, _) => format!("valkey{major}"),
        (api::CacheEngine::Redis, "6") => "redis6.x".to_owned(),
        (api::CacheEngine::Redis, "2" | "3" | "4" | "5") => format!("redis{major}.{minor}"),
        (api::CacheEngine::Redis, _) => format!("redis{major}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::AwsResource,
        facts::{PlatformFacts, VpcFacts},
        names::Owner,
        resolve::References,
    };

    fn resolved(declared: serde_json::Value) -> Vec<AwsResource> {
        let owner = Owner {
            kind: "CatalogService".into(),
            api_version: "shopkeeper.dev/v1alpha1".into(),
            namespace: "shop".into(),
            name: "catalog".into(),
            uid: "u".into(),
            generation: 1,
        };
        let platform = PlatformFacts {
            name: "octank".into(),
            account_id: "123456789012".into(),
            region: "eu-west-1".into(),
            cluster: "octank".into(),
            oidc_issuer: None,
            vpc: VpcFacts {
                id: "vpc-1".into(),
                cidr: "10.0.0.0/16".into(),
            },
            private_subnets: Vec::new(),
            public_subnets: Vec::new(),
            data_security_groups: Vec::new(),
            key_arn: "key".into(),
            quotas: None,
            tags: crate::aws::Tags::new(),
        };
        let references = References::default();
        let context = Context {
            owner: &owner,
            platform: &platform,
            references: &references,
        };
        let declared = serde_json::from_value(declared).unwrap();
        cache(context, &declared)
            .into_iter()
            .map(|resource| resource.resource)
            .collect()
    }

    fn parameter_group(resources: &[AwsResource]) -> Option<&str> {
        resources.iter().find_map(|resource| match resource {
            AwsResource::CacheReplicationGroup(group) => group.parameter_group.as_deref(),
            _ => None,
        })
    }

    #[test]
    fn a_parameter_group_is_made_where_parameters_are_declared() {
        let parameters = serde_json::json!([{"name": "maxmemory-policy", "value": "allkeys-lru"}]);
        let with = resolved(
            serde_json::json!({"engine": "Valkey", "nodeType": "cache.t4g.small", "parameters": parameters}),
        );
        let group = with.iter().find_map(|resource| match resource {
            AwsResource::CacheParameterGroup(group) => Some(group),
            _ => None,
        });
        assert_eq!(
            group.map(|group| (group.name.as_str(), group.family.as_str())),
            Some(("octank-shop-catalog-valkey8", "valkey8"))
        );
        assert_eq!(parameter_group(&with), Some("octank-shop-catalog-valkey8"));
    }

    #[test]
    fn without_parameters_the_group_of_the_engine_is_set() {
        let without =
            resolved(serde_json::json!({"engine": "Redis", "nodeType": "cache.t4g.small"}));
        assert!(
            !without
                .iter()
                .any(|resource| matches!(resource, AwsResource::CacheParameterGroup(_)))
        );
        assert_eq!(parameter_group(&without), Some("default.redis7"));
    }

    #[test]
    fn families_follow_the_version() {
        for (engine, version, expected) in [
            (api::CacheEngine::Valkey, "7.2", "valkey7"),
            (api::CacheEngine::Valkey, "8", "valkey8"),
            (api::CacheEngine::Redis, "7.1", "redis7"),
            (api::CacheEngine::Redis, "6.2", "redis6.x"),
            (api::CacheEngine::Redis, "5.0.6", "redis5.0"),
        ] {
            assert_eq!(family(engine, version), expected);
        }
    }
}
