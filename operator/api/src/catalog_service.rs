//! CatalogService: what the shop sells.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    bindings::{Binding, Endpoint},
    cache::Cache,
    disruption::Disruption,
    external::External,
    identity::Identity,
    media::Media,
    network::{Caller, Network},
    nodes::Nodes,
    policy::Policy,
    reference::PlatformReference,
    scaling::Scaling,
    status::Status,
    table::{NamedTable, Table},
    workload::Workload,
};

/// A service that knows what the shop sells: pods with a DynamoDB table, a cache, and a bucket for media.
#[allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the derive reads one column at a time"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "CatalogService",
    namespaced,
    plural = "catalogservices",
    shortname = "catsvc",
    category = "shopkeeper",
    status = "Status",
    derive = "PartialEq",
    doc = "A service that knows what the shop sells: pods with a DynamoDB table, a cache, and a bucket for media.",
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint"),
    printcolumn(
        name = "Replicas",
        type_ = "string",
        json_path = ".status.replicas.summary"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    cel
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(crate::nodes::fargate::IDENTITY).message(crate::nodes::fargate::IDENTITY_MESSAGE),
    validation = Rule::new(crate::nodes::fargate::WORKLOAD).message(crate::nodes::fargate::WORKLOAD_MESSAGE),
    validation = Rule::new(crate::nodes::fargate::SERVICE).message(crate::nodes::fargate::SERVICE_MESSAGE),
    validation = Rule::new(crate::network::ports::RULE).message(crate::network::ports::MESSAGE),
    validation = Rule::new("!has(self.bindings) || self.bindings.all(b, (b.resource == 'products' && has(self.products)) || (b.resource == 'cache' && has(self.cache)) || (b.resource == 'media' && has(self.media)) || (has(self.tables) && self.tables.exists(t, b.resource == 'tables.' + t.name)) || (has(self.external) && self.external.exists(e, b.resource == 'external.' + e.name)))")
        .message("bindings[].resource must be declared here: one of products, cache, media, tables.<name> or external.<name>"),
    validation = Rule::new("!has(self.cache) || !has(self.cache.users) || !has(self.identity) || self.identity.type != 'None' || self.cache.users.all(u, (has(u.authentication) && u.authentication == 'Password') || (has(self.cache.applicationUser) && self.cache.applicationUser != u.name))")
        .message("identity.type None cannot sign tokens for a cache: set authentication Password for the user that the workload connects as, or another identity.type")
)]
pub struct CatalogServiceSpec {
    /// The Platform to run on. May be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_ref: Option<PlatformReference>,
    /// The pods.
    pub workload: Workload,
    /// Where the pods run. Default: a managed node group of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Nodes>,
    /// How many pods there are. Default: 2, fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// How many pods may be missing when nodes are drained. Default: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
    /// Who may open connections to the pods, as a NetworkPolicy. Without being listed, the public subnets may where a Storefront
    /// routes here, since its load balancer has its addresses there, and `prometheus` of the Platform may read the metrics.
    /// Default: nobody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub callers: Vec<Caller>,
    /// The place of the pods in the network: their security groups, the Service in front of them, and further exposures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Services that the application calls, and how it learns where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub endpoints: Vec<Endpoint>,
    /// AWS identity of the pods. Default: type PodIdentity, and IRSA on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The table of products. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<Table>,
    /// Further tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tables: Vec<NamedTable>,
    /// The cache. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// The bucket for images and files. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Databases, caches and brokers that Shopkeeper does not make. Bound as `external.<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub external: Vec<External>,
    /// How the application learns of its resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource"]))]
    pub bindings: Vec<Binding>,
    /// What Shopkeeper may do by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}
