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
        .message("snapshotWindow needs snapshotRetentionDays of 1 or more"),
    validation = Rule::new("!has(self.users) || size(self.users) == 0 || !has(self.transitEncryption) || self.transitEncryption == 'Required'")
        .message("users need transitEncryption Required, since a password or token must not cross the network in plain text: leave transitEncryption out"),
    validation = Rule::new("!has(self.users) || size(self.users) == 0 || self.engine != 'Redis' || !has(self.version) || !self.version.matches('^[0-5]([.]|$)')")
        .message("users need Redis 6.0 or later: set another version, or leave it out"),
    validation = Rule::new("!has(self.users) || self.engine != 'Redis' || !has(self.version) || !self.version.matches('^[0-6]([.]|$)') || self.users.all(u, has(u.authentication) && u.authentication == 'Password')")
        .message("users[].authentication IAM needs Redis 7.0 or later: set another version, or authentication Password"),
    validation = Rule::new("!has(self.users) || self.users.all(u, u.name != 'default')")
        .message("users[].name cannot be default, which is the user of connections that do not authenticate: choose another name"),
    validation = Rule::new("!has(self.applicationUser) || (has(self.users) && self.users.exists(u, u.name == self.applicationUser))")
        .message("applicationUser must name a member of users"),
    validation = Rule::new("!has(self.users) || size(self.users) < 2 || has(self.applicationUser)")
        .message("applicationUser must be set where there are several users: name the one that the workload connects as")
)]
pub struct Cache {
    /// Engine. Redis can become Valkey in place; nothing leads back.
    pub engine: CacheEngine,
    /// Version of the engine, such as `8.1`. A newer one that AWS installed, or somebody did, stays and is told: AWS does not go back.
    /// Default: 8.1 for Valkey, 7.1 for Redis.
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
    /// Who may use the cache; nobody else may then, and connections that do not authenticate are refused. Default: no users,
    /// and whoever reaches the cache over the network may use it. Declaring the first or the last user of a running cache
    /// changes how the pods have to connect, and waits for approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub users: Vec<CacheUser>,
    /// The user that the workload connects as: the binding holds its name and password, and with IAM the workload's role may
    /// connect as it. Default: the only one of `users`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = pattern::CACHE_USER))]
    pub application_user: Option<String>,
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

/// A user of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheUser {
    /// Name of the user here. In ElastiCache it begins with the names of Platform, namespace and this custom resource; the
    /// binding tells it as `username`.
    #[schemars(length(min = 1, max = 20), regex(pattern = pattern::CACHE_USER))]
    pub name: String,
    /// `IAM`: clients sign a token with their AWS identity, and there is no password. `Password`: Shopkeeper generates one, which
    /// is kept in Secrets Manager and in the Secret of the binding. Default: IAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<CacheAuthentication>,
    /// What the user may do, as an ACL of Valkey or Redis: `on` or `off`, keys such as `~catalog:*`, channels such as `&news:*`,
    /// and commands such as `+@read -keys`. Default: `on ~* &* +@all`, everything that ElastiCache allows anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = pattern::ACCESS_STRING))]
    pub access_string: Option<String>,
}

/// How a user of a cache proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum CacheAuthentication {
    /// A token signed with an AWS identity.
    IAM,
    /// A generated password.
    Password,
}
