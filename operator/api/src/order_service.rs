//! OrderService: what customers bought.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    bindings::{Binding, Endpoint},
    database::Database,
    disruption::Disruption,
    external::External,
    identity::Identity,
    network::{Caller, Network},
    nodes::Nodes,
    notifications::Notifications,
    policy::Policy,
    reference::PlatformReference,
    scaling::Scaling,
    status::Status,
    workload::Workload,
};

/// A service that takes orders: pods with a relational database, topics for what happens, and queues.
#[allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the derive reads one column at a time"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "OrderService",
    namespaced,
    plural = "orderservices",
    shortname = "ordsvc",
    category = "shopkeeper",
    status = "Status",
    derive = "PartialEq",
    doc = "A service that takes orders: pods with a relational database, topics for what happens, and queues.",
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
    validation = Rule::new("!has(self.bindings) || self.bindings.all(b, (b.resource == 'database' && has(self.database)) || (b.resource == 'notifications' && has(self.notifications)) || (has(self.external) && self.external.exists(e, b.resource == 'external.' + e.name)))")
        .message("bindings[].resource must be declared here: one of database, notifications or external.<name>")
)]
pub struct OrderServiceSpec {
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
    /// The database. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Topics and queues. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
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
