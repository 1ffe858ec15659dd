//! A relational database.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern};

/// A relational database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.rds) == (self.type == 'RDS')")
    .message("rds must be set when type is RDS, and left out otherwise"))]
pub struct Database {
    /// `RDS` makes an RDS instance.
    #[serde(rename = "type")]
    pub type_: DatabaseType,
    /// The RDS instance, for type RDS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds: Option<Rds>,
}

/// TLS of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DatabaseTransitEncryption {
    /// Only TLS.
    Required,
    /// TLS and plain connections.
    Preferred,
}

/// Kinds of relational databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DatabaseType {
    /// An RDS instance.
    RDS,
}

/// An RDS instance in the Platform's private subnets, encrypted with its key. RDS makes the master password and keeps it in
/// Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(self.storage).compareTo(quantity(oldSelf.storage)) >= 0")
        .message("storage can only grow: RDS cannot shrink a volume; migrate to a new instance"),
    validation = Rule::new("!has(self.maxStorage) || quantity(self.maxStorage).isGreaterThan(quantity(self.storage))")
        .message("maxStorage must be more than storage; leave it out to keep storage from growing by itself"),
    validation = Rule::new("self.engine == 'PostgreSQL' || self.version.contains('.')")
        .message("version needs two numbers, as 8.4 or 10.11: of MySQL and MariaDB both are the major version"),
    validation = Rule::new("!has(self.storageType) || self.storageType != 'io2' || has(self.iops)")
        .message("storageType io2 needs iops"),
    validation = Rule::new("quantity(self.storage).compareTo(quantity('20Gi')) >= 0")
        .message("storage must be 20Gi or more: RDS makes no smaller volume"),
    validation = Rule::new("!has(self.iops) || (has(self.storageType) && self.storageType == 'io2') || quantity(self.storage).compareTo(quantity('400Gi')) >= 0")
        .message("iops of a gp3 volume below 400Gi are fixed: leave iops out, or raise storage to 400Gi"),
    validation = Rule::new("has(self.databaseName) == has(oldSelf.databaseName) && (!has(self.databaseName) || self.databaseName == oldSelf.databaseName)")
        .message("databaseName is immutable: RDS makes the first database only when the instance is made"),
    validation = Rule::new("has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)")
        .message("username is immutable: RDS cannot rename the master user"),
    validation = Rule::new("has(self.identifier) == has(oldSelf.identifier) && (!has(self.identifier) || self.identifier == oldSelf.identifier)")
        .message("identifier is immutable: the instance is found by it")
)]
pub struct Rds {
    /// Identifier of the instance. Default: `<platform>-<namespace>-<name>`, with a hash for its end where that is too long, and
    /// behind it where a part has a hyphen. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z](-?[a-z0-9])*$"))]
    pub identifier: Option<String>,
    /// Engine. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("engine is immutable: migrate to a new instance"))]
    pub engine: DatabaseEngine,
    /// Version of the engine, such as `17` or `17.5`, or `8.4` of MySQL. A major version alone takes AWS's default minor version.
    /// A newer one that AWS installed, or somebody did, stays and is told: AWS does not go back.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+){0,2}$"))]
    pub version: String,
    /// Instance class, such as `db.r7g.large`.
    #[schemars(
        length(min = 5, max = 40),
        regex(pattern = r"^db\.[a-z0-9-]+\.[a-z0-9]+$")
    )]
    pub instance_class: String,
    /// Size of the volume, in Gi or Ti. Only grows.
    #[schemars(length(min = 3, max = 8), regex(pattern = pattern::STORAGE))]
    pub storage: String,
    /// Size up to which RDS grows the volume by itself, in Gi or Ti. Left out: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 8), regex(pattern = pattern::STORAGE))]
    pub max_storage: Option<String>,
    /// Type of the volume: `gp3` or `io2`. Default: gp3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_type: Option<StorageType>,
    /// Operations a second of the volume. Default for gp3: what its size includes. Needed for io2. Taken out, the last value stays: write
    /// 12000 to have what a gp3 volume of 400Gi or more includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1000, max = 256_000))]
    pub iops: Option<i32>,
    /// A standby in another zone, with automatic failover. Default: Enabled.
    #[serde(default, rename = "multiAZ", skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<Toggle>,
    /// How long automatic backups are kept, in days. Default: 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 35))]
    pub backup_retention_days: Option<i32>,
    /// When backups are taken, in UTC, such as `02:00-03:00`. Default: chosen by AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(equal = 11), regex(pattern = pattern::DAILY_WINDOW))]
    pub backup_window: Option<String>,
    /// When changes that interrupt are made, in UTC, such as `sun:03:00-sun:04:00`. Default: chosen by AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(equal = 19), regex(pattern = pattern::WEEKLY_WINDOW))]
    pub maintenance_window: Option<String>,
    /// Keeps everyone from deleting the instance. Shopkeeper lifts it only under the deletion policies Snapshot and Delete.
    /// Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<Toggle>,
    /// TLS of connections: `Required` refuses those without, `Preferred` takes both. It is the parameter rds.force_ssl of PostgreSQL and
    /// require_secure_transport of the others, and what `parameters` says of that holds. A client whose driver does not use TLS by itself
    /// has to be told to, before this is set for a database that it uses. Default: Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transit_encryption: Option<DatabaseTransitEncryption>,
    /// Parameters of the engine. Those that the engine reads only when it starts take effect with its next restart, which is left
    /// to you. Default: the engine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<DatabaseParameter>,
    /// Name of the database to make with the instance. Default: the name of the custom resource, with `-` as `_`, and with `_db` behind
    /// it where that would be a word that the engine reserves, such as `order`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z][a-zA-Z0-9_]*$"))]
    pub database_name: Option<String>,
    /// Name of the master user. Default: shopkeeper. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = "^[a-zA-Z][a-zA-Z0-9_]*$"))]
    pub username: Option<String>,
    /// Port that the database listens on. Default: 5432 for PostgreSQL, 3306 for MySQL and MariaDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1150, max = 65535))]
    pub port: Option<i32>,
    /// Performance Insights, kept for 7 days. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_insights: Option<Toggle>,
    /// Logs sent to CloudWatch Logs, such as `postgresql`, `upgrade`, `error`, `slowquery`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64), regex(pattern = "^[a-z-]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub log_exports: Vec<String>,
    /// Minor versions are installed by AWS in the maintenance window. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<Toggle>,
    /// Certificate authority of the server certificate. Default: rds-ca-rsa2048-g1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9-]+$"))]
    pub ca_certificate: Option<String>,
}

/// Engine of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DatabaseEngine {
    /// PostgreSQL.
    PostgreSQL,
    /// MySQL.
    MySQL,
    /// MariaDB.
    MariaDB,
}

impl DatabaseEngine {
    /// The engine as RDS calls it.
    pub fn rds_name(self) -> &'static str {
        match self {
            DatabaseEngine::PostgreSQL => "postgres",
            DatabaseEngine::MySQL => "mysql",
            DatabaseEngine::MariaDB => "mariadb",
        }
    }

    /// Port that the engine listens on unless told otherwise.
    pub fn default_port(self) -> i32 {
        match self {
            DatabaseEngine::PostgreSQL => 5432,
            DatabaseEngine::MySQL | DatabaseEngine::MariaDB => 3306,
        }
    }

    /// Scheme of a connection URI.
    pub fn uri_scheme(self) -> &'static str {
        match self {
            DatabaseEngine::PostgreSQL => "postgresql",
            DatabaseEngine::MySQL => "mysql",
            DatabaseEngine::MariaDB => "mariadb",
        }
    }
}

/// Type of a database volume, by AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum StorageType {
    /// General purpose.
    #[serde(rename = "gp3")]
    Gp3,
    /// Provisioned operations.
    #[serde(rename = "io2")]
    Io2,
}

/// A parameter of the database engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseParameter {
    /// Name of the parameter.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Value of the parameter.
    #[schemars(length(max = 1024))]
    pub value: String,
}
