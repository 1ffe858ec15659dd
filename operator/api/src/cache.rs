//! An ElastiCache replication group.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern};

/// An ElastiCache replication group with cluster mode disabled: one primary, replicas, and one address for each role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.multiAZ) || self.multiAZ != 'Enabled' || !has(self.replicas) || self.replicas >= 1")
        .message("multiAZ Enabled needs a replica to fail over to: set replicas to 1 or more, or leave it out"),
    validation = Rule::new("self.engine == oldSelf.engine || (oldSelf.engine == 'Redis' && self.engine == 'Valkey')")
        .message("engine can only change from Redis to Valkey: ElastiCache has no way back"),
    validation = Rule::new("!has(self.snapshotWindow) || !has(self.snapshotRetentionDays) || self.snapshotRetentionDays > 0")
        .message("snapshotWindow needs snapshotRetentionDays of 1 or more")
)]
pub struct Cache {
    /// Engine. Redis can become Valkey in place; nothing leads back.
    pub engine: CacheEngine,
    /// Version of the engine, such as `8.1`. Default: 8.1 for Valkey, 7.1 for Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+){0,2}$"))]
    pub version: Option<String>,
    /// Node type, such as `cache.r7g.large`.
    #[schemars(
        length(min = 8, max = 40),
        regex(pattern = r"^cache\.[a-z0-9-]+\.[a-z0-9]+$")
    )]
    pub node_type: String,
    /// Number of replicas beside the primary. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub replicas: Option<i32>,
    /// Automatic failover to a replica in another zone. Default: Enabled with one replica or more.
    #[serde(default, rename = "multiAZ", skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<Toggle>,
    /// TLS: `Required`, `Preferred` (also accepts plain connections, for a move to TLS) or `Disabled`. Default: Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transit_encryption: Option<TransitEncryption>,
    /// How long daily snapshots are kept, in days; 0 takes none. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 35))]
    pub snapshot_retention_days: Option<i32>,
    /// When snapshots are taken, in UTC, such as `02:00-03:00`. Default: chosen by AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(equal = 11), regex(pattern = pattern::DAILY_WINDOW))]
    pub snapshot_window: Option<String>,
    /// When changes that interrupt are made, in UTC, such as `sun:03:00-sun:04:00`. Default: chosen by AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(equal = 19), regex(pattern = pattern::WEEKLY_WINDOW))]
    pub maintenance_window: Option<String>,
    /// Minor versions are installed by AWS in the maintenance window. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<Toggle>,
    /// Parameters of the engine, such as `maxmemory-policy`. Those that the engine reads only when it starts take effect with its
    /// next restart, which is left to you. Default: the engine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<CacheParameter>,
}

/// Engine of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum CacheEngine {
    /// Valkey.
    Valkey,
    /// Redis OSS.
    Redis,
}

/// TLS of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum TransitEncryption {
    /// Only TLS.
    Required,
    /// TLS and plain connections.
    Preferred,
    /// Only plain connections.
    Disabled,
}

/// A parameter of the cache engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheParameter {
    /// Name of the parameter.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Value of the parameter.
    #[schemars(length(max = 1024))]
    pub value: String,
}
