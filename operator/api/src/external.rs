//! Databases, caches and brokers that Shopkeeper does not make.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, workload::SecretReference};

/// A database, cache or broker that is there already, in this cluster, in AWS or in a data centre. It is neither made nor looked at;
/// `bindings` tell the application where it is, as they do for what Shopkeeper makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.host) || (has(self.keys) && (has(self.keys.host) || has(self.keys.uri)))")
        .message("set host, or name the entry of the Secret that has it in keys.host or keys.uri"),
    validation = Rule::new("!has(self.keys) || has(self.secretRef)")
        .message("keys name entries of a Secret: set secretRef, or leave keys out")
)]
pub struct External {
    /// Name by which bindings refer to it: `external.<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// What it is. Decides the defaults of `port` and `scheme`, and `type` of the Service Binding.
    #[serde(rename = "type")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("type cannot be changed, since that of the binding's Secret cannot: add another member and bind that"))]
    pub type_: ExternalType,
    /// Who provides it, as `provider` of the Service Binding. Default: external.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub provider: Option<String>,
    /// Host name or address. Left out: the Secret has it, see `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::NETWORK_HOST))]
    pub host: Option<String>,
    /// Port. Default: by type (5432, 3306, 6379, 11211, 5672, 9092, 27017, 443); none for type Other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Name of the database, or of the virtual host of a broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_./-]+$"))]
    pub database: Option<String>,
    /// Scheme of `url` and `uri`, such as `rediss` or `amqps`. Default: by type (postgresql, mysql, mariadb, redis, memcached, amqp,
    /// kafka, mongodb, https); none for type Other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z][a-z0-9+.-]*$"))]
    pub scheme: Option<String>,
    /// A Secret of the same namespace with the credentials. When it changes, the pods are replaced. Left out: none are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
    /// Which entries of the Secret are read. Default: `password`, and `username` where the Secret has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ExternalKeys>,
}

/// What an external resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ExternalType {
    /// PostgreSQL and what speaks its protocol.
    PostgreSQL,
    /// MySQL and what speaks its protocol.
    MySQL,
    /// MariaDB.
    MariaDB,
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
    /// Memcached.
    Memcached,
    /// RabbitMQ.
    RabbitMQ,
    /// Apache Kafka.
    Kafka,
    /// MongoDB and what speaks its protocol.
    MongoDB,
    /// OpenSearch and Elasticsearch.
    OpenSearch,
    /// Anything else.
    Other,
}

/// Names of entries of a Secret. What is named has to be there, and is treated as a secret whatever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.host), has(self.port), has(self.database), has(self.username), has(self.password), has(self.uri)].exists(x, x)")
    .message("name at least one entry of the Secret, or leave keys out"))]
pub struct ExternalKeys {
    /// Entry with the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub host: Option<String>,
    /// Entry with the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub port: Option<String>,
    /// Entry with the name of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub database: Option<String>,
    /// Entry with the name of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub username: Option<String>,
    /// Entry with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub password: Option<String>,
    /// Entry with a whole address, credentials included. It is passed on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    pub uri: Option<String>,
}
