//! How an application learns where its resources and its peers are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, reference::ServiceReference};

/// How the application learns of one resource. Its outputs are kept in a Secret by the Service Binding specification (`type`,
/// `provider`, `host`, `port`, `uri` and so on), and rendered into environment variables by template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The resource as this custom resource declares it: `products`, `cache`, `media`, `database`, `notifications`,
    /// `tables.<name>`, or `external.<name>`.
    #[schemars(
        length(min = 1, max = 80),
        regex(pattern = r"^[a-z][a-zA-Z0-9]*(\.[a-z0-9][-a-z0-9]*)?$")
    )]
    pub resource: String,
    /// Name of the Secret that holds the outputs. Default: `<name>-<resource>`, with `-` for a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub secret_name: Option<String>,
    /// Environment variables to set in the main container. Bindings and endpoints together set a variable once; `workload.env` wins
    /// over both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvTemplate>,
}

/// An environment variable rendered from a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvTemplate {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::ENV_NAME))]
    pub name: String,
    /// Text with outputs in double braces: `{{host}}`, `{{port}}`, `{{endpoint}}`, `{{readerEndpoint}}`, `{{url}}`, `{{uri}}`,
    /// `{{scheme}}`, `{{database}}`, `{{username}}`, `{{password}}`, `{{tableName}}`, `{{indexName}}`, `{{bucket}}`,
    /// `{{cacheName}}`, `{{region}}`, `{{arn}}`, `{{topics.<name>.arn}}`, `{{queues.<name>.url}}`, `{{queues.<name>.queueName}}`.
    /// Pods wait for what a resource does not have, or not yet, and WorkloadReady names it. A template with a secret in it reaches the
    /// pod through a Secret.
    #[schemars(length(min = 1, max = 1024))]
    pub template: String,
}

/// Another service of the shop that this one calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The service to call. It must list this one among its `callers`.
    pub service: ServiceReference,
    /// Name of the service's port. Default: its first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME))]
    pub port: Option<String>,
    /// Environment variables to set in the main container; templates know `{{host}}`, `{{port}}`, `{{scheme}}`, `{{endpoint}}`
    /// (host and port) and `{{url}}`.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvTemplate>,
}
