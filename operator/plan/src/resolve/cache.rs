//! ElastiCache.

use std::collections::BTreeSet;

use shopkeeper_api::{Toggle, cache as api, defaults};

use super::{Context, DataResource};
use crate::aws::{
    AccessString, AwsResource, CacheAuthentication, CacheEngine, CacheParameterGroup,
    CacheReplicationGroup, CacheSubnetGroup, CacheUser, CacheUserGroup, DEFAULT_USER_NAME,
    SecretsManagerSecret, TransitEncryption, password_secret,
};

/// Longest id of a replication group.
const LONGEST_ID: usize = 40;
/// Port of Valkey and Redis.
const PORT: i32 = 6379;

/// A cache with its subnet group, a parameter group where parameters are declared, and a user group where users are.
pub(super) fn cache(context: Context<'_>, declared: &api::Cache) -> Vec<DataResource> {
    let id = context.identifier("", LONGEST_ID);
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
        subnet_group: id.clone(),
        // By name also where it is the engine's own: left out, a group that was declared before would stay.
        parameter_group: Some(
            parameter_group
                .as_ref()
                .map_or_else(|| format!("default.{family}"), |group| group.name.clone()),
        ),
        security_groups: context.security_groups(),
        // By the same id, by which it is known from one that somebody else attached.
        user_group: (!declared.users.is_empty()).then(|| id.clone()),
        other_user_group: None,
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
    let mut after: Vec<_> = resources.iter().map(DataResource::key).collect();
    let (members, users) = users(context, declared, id);
    after.extend(members.iter().map(DataResource::key));
    // The cache comes first: it is what a binding is named by.
    resources.push(DataResource::bound("cache", "", "cache", group).after(&after));
    resources.extend(members);
    resources.extend(users);
    resources
}

/// The user group of a cache, and its users with their passwords; nothing where no users are declared.
fn users(
    context: Context<'_>,
    declared: &api::Cache,
    group_id: String,
) -> (Option<DataResource>, Vec<DataResource>) {
    if declared.users.is_empty() {
        return (None, Vec::new());
    }
    let application = declared
        .application_user
        .as_deref()
        .or_else(|| declared.users.first().map(|user| user.name.as_str()));
    // Connections that do not authenticate are of this user. ElastiCache's own may do everything; this one nothing, and nobody
    // knows its password.
    let nobody = CacheUser {
        id: context.identifier(DEFAULT_USER_NAME, LONGEST_ID),
        user_name: DEFAULT_USER_NAME.to_owned(),
        access_string: AccessString::nothing(),
        authentication: CacheAuthentication::Password,
        password_current: None,
        tags: context.tags(),
    };
    let mut ids = BTreeSet::from([nobody.id.clone()]);
    let mut resources = vec![DataResource::hidden("cache.users.default", nobody)];
    for user in &declared.users {
        let role = format!("cache.users.{}", user.name);
        let id = context.identifier(&user.name, LONGEST_ID);
        let authentication = user
            .authentication
            .unwrap_or(defaults::CACHE_AUTHENTICATION);
        let secret = (authentication == api::CacheAuthentication::Password).then(|| {
            let secret = SecretsManagerSecret {
                name: password_secret(&id),
                description: format!(
                    "Password of {} for the cache of {}",
                    id,
                    context.owner.path()
                ),
                username: id.clone(),
                kms_key_arn: context.platform.key_arn.clone(),
                policy: None,
                tags: context.tags(),
            };
            DataResource::hidden(format!("{role}.password"), secret)
        });
        let access = user
            .access_string
            .as_deref()
            .unwrap_or(defaults::CACHE_ACCESS_STRING);
        let member = CacheUser {
            user_name: id.clone(),
            access_string: AccessString::from(access.to_owned()),
            authentication: match authentication {
                api::CacheAuthentication::IAM => CacheAuthentication::Iam,
                api::CacheAuthentication::Password => CacheAuthentication::Password,
            },
            password_current: secret.is_some().then_some(true),
            tags: context.tags(),
            id: id.clone(),
        };
        ids.insert(id);
        let member = if application == Some(user.name.as_str()) {
            DataResource::bound("cache", "", role, member)
        } else {
            DataResource::hidden(role, member)
        };
        let after: Vec<_> = secret.iter().map(DataResource::key).collect();
        resources.extend(secret);
        resources.push(member.after(&after));
    }
    let after: Vec<_> = resources
        .iter()
        .filter(|resource| matches!(resource.resource, AwsResource::CacheUser(_)))
        .map(DataResource::key)
        .collect();
    let group = CacheUserGroup {
        id: group_id,
        users: ids,
        tags: context.tags(),
    };
    let group = DataResource::hidden("cache.users", group).after(&after);
    (Some(group), resources)
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
        allowed::Allowed,
        facts::{PlatformFacts, PodIdentityAgent, VpcFacts},
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
            pod_identity_agent: PodIdentityAgent::AddOn,
            allowed_roles: Allowed::default(),
            prometheus: None,
            adoptable: Allowed::default(),
            name: "octank".into(),
            account_id: "123456789012".into(),
            region: "eu-west-1".into(),
            cluster: "octank".into(),
            oidc_issuer: None,
            oidc_provider: None,
            vpc: VpcFacts {
                id: "vpc-1".into(),
                cidr: "10.0.0.0/16".into(),
            },
            private_subnets: Vec::new(),
            public_subnets: Vec::new(),
            data_security_groups: Vec::new(),
            key_arn: "key".into(),
            key_is_managed: true,
            quotas: None,
            image_tag: None,
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
