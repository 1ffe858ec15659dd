//! What applications use and Shopkeeper does not make.

use shopkeeper_api::external::{External, ExternalKeys, ExternalType};

/// Prefix of the resources of bindings that are external.
const PREFIX: &str = "external.";

/// A database, cache or broker of somebody else, defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedExternal {
    /// As bindings name it: `external.legacy`.
    pub resource: String,
    /// Path of it in the specification, for errors.
    pub field: String,
    /// Type of the Service Binding.
    pub r#type: &'static str,
    /// Provider of the Service Binding.
    pub provider: String,
    /// Host name or address, unless the Secret has it.
    pub host: Option<String>,
    /// Port.
    pub port: Option<i32>,
    /// Scheme of addresses.
    pub scheme: Option<String>,
    /// Name of the database.
    pub database: Option<String>,
    /// Where the rest is.
    pub secret: Option<ExternalSecret>,
}

/// The entries that are read of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSecret {
    /// Name of the Secret.
    pub name: String,
    /// What is read of it.
    pub entries: Vec<SecretEntry>,
}

/// An output that an entry of a Secret gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEntry {
    /// The output.
    pub output: &'static str,
    /// The entry.
    pub key: String,
    /// Whether it has to be there.
    pub is_required: bool,
}

/// Whether a binding is to something external.
pub(super) fn is_external(resource: &str) -> bool {
    resource.starts_with(PREFIX)
}

pub(super) fn external(field: &str, declared: &External) -> ResolvedExternal {
    let kind = declared.type_;
    ResolvedExternal {
        resource: format!("{PREFIX}{}", declared.name),
        field: format!("{field}.external[{}]", declared.name),
        r#type: binding_type(kind),
        provider: declared
            .provider
            .clone()
            .unwrap_or_else(|| "external".to_owned()),
        host: declared.host.clone(),
        port: declared.port.or_else(|| default_port(kind)),
        scheme: declared
            .scheme
            .clone()
            .or_else(|| default_scheme(kind).map(str::to_owned)),
        database: declared.database.clone(),
        secret: declared
            .secret_ref
            .as_ref()
            .map(|reference| ExternalSecret {
                name: reference.name.clone(),
                entries: entries(declared.keys.as_ref()),
            }),
    }
}

/// The names that a Secret of type `kubernetes.io/basic-auth` has are the default. A cache may know no user.
fn entries(declared: Option<&ExternalKeys>) -> Vec<SecretEntry> {
    let Some(keys) = declared else {
        return [("username", false), ("password", true)]
            .map(|(output, is_required)| SecretEntry {
                output,
                key: output.to_owned(),
                is_required,
            })
            .into();
    };
    [
        ("host", &keys.host),
        ("port", &keys.port),
        ("database", &keys.database),
        ("username", &keys.username),
        ("password", &keys.password),
        ("uri", &keys.uri),
    ]
    .into_iter()
    .filter_map(|(output, key)| {
        Some(SecretEntry {
            output,
            key: key.clone()?,
            is_required: true,
        })
    })
    .collect()
}

/// The names that libraries for Service Bindings look for.
const fn binding_type(kind: ExternalType) -> &'static str {
    match kind {
        ExternalType::PostgreSQL => "postgresql",
        ExternalType::MySQL | ExternalType::MariaDB => "mysql",
        ExternalType::Redis | ExternalType::Valkey => "redis",
        ExternalType::Memcached => "memcached",
        ExternalType::RabbitMQ => "rabbitmq",
        ExternalType::Kafka => "kafka",
        ExternalType::MongoDB => "mongodb",
        ExternalType::OpenSearch => "opensearch",
        ExternalType::Other => "other",
    }
}

const fn default_port(kind: ExternalType) -> Option<i32> {
    Some(match kind {
        ExternalType::PostgreSQL => 5432,
        ExternalType::MySQL | ExternalType::MariaDB => 3306,
        ExternalType::Redis | ExternalType::Valkey => 6379,
        ExternalType::Memcached => 11211,
        ExternalType::RabbitMQ => 5672,
        ExternalType::Kafka => 9092,
        ExternalType::MongoDB => 27017,
        ExternalType::OpenSearch => 443,
        ExternalType::Other => return None,
    })
}

const fn default_scheme(kind: ExternalType) -> Option<&'static str> {
    Some(match kind {
        ExternalType::PostgreSQL => "postgresql",
        ExternalType::MySQL => "mysql",
        ExternalType::MariaDB => "mariadb",
        ExternalType::Redis | ExternalType::Valkey => "redis",
        ExternalType::Memcached => "memcached",
        ExternalType::RabbitMQ => "amqp",
        ExternalType::Kafka => "kafka",
        ExternalType::MongoDB => "mongodb",
        ExternalType::OpenSearch => "https",
        ExternalType::Other => return None,
    })
}
