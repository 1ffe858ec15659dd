//! Who may call a service, and how it is reached.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    exposures::ServiceExposure,
    pattern,
    reference::{FrontendReference, ServiceReference},
    schema,
    storefront::Exposure,
};

// `namespace` is a reserved word in CEL: written plainly, the rule compiles and never sees the field.
/// Someone who may open connections to the service. Exactly one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.service), has(self.frontend), has(self.__namespace__), has(self.cidr)].filter(x, x).size() == 1")
    .message("set exactly one of service, frontend, namespace or cidr; write one list item for each caller"))]
pub struct Caller {
    /// A service of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
    /// A frontend of a Storefront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendReference>,
    /// Every pod of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
    /// Addresses outside the cluster, as a network in CIDR notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 49), regex(pattern = pattern::CIDR))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("cidr must be a network such as 10.20.0.0/16"))]
    pub cidr: Option<String>,
}

/// The place of the pods in the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Security groups of the pods, as a SecurityGroupPolicy for the VPC resource controller of EKS. The Amazon VPC CNI has to run with
    /// ENABLE_POD_ENI, and the groups have to let in DNS, load balancers and callers by themselves. The pods are replaced when the list
    /// changes. Default: those of their node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(min = 4, max = 32), regex(pattern = pattern::SECURITY_GROUP_ID)), extend("x-kubernetes-list-type" = "set"))]
    pub security_group_ids: Vec<String>,
    /// The Service in front of the pods. Default: type ClusterIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSettings>,
    /// Further ways to the pods, such as a Network Load Balancer beside a Service of type ClusterIP, or an Ingress with a host of its
    /// own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub exposures: Vec<ServiceExposure>,
}

/// The Service in front of pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.loadBalancer) || self.type == 'LoadBalancer'")
        .message("loadBalancer may only be set when type is LoadBalancer"),
    validation = Rule::new("!has(self.nodePorts) || self.type != 'ClusterIP'")
        .message("nodePorts may only be set when type is NodePort or LoadBalancer"),
    validation = Rule::new("self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancer) && has(self.loadBalancer.class) ? self.loadBalancer.class : 'service.k8s.aws/nlb') == (has(oldSelf.loadBalancer) && has(oldSelf.loadBalancer.class) ? oldSelf.loadBalancer.class : 'service.k8s.aws/nlb')")
        .message("loadBalancer.class cannot be changed while type is LoadBalancer: set type to ClusterIP first")
)]
pub struct ServiceSettings {
    /// `ClusterIP` is reached from the cluster, `NodePort` also at every node, `LoadBalancer` also through a Network Load Balancer.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the Service. Those that Shopkeeper sets win. Where one says how load balancers speak to the pods, or ask for their
    /// health beside the path, Shopkeeper says nothing of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Ports at the nodes, by the name of the port. Default: the API server chooses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::node_ports")]
    pub node_ports: BTreeMap<String, i32>,
    /// The load balancer, for type LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<ServiceLoadBalancer>,
}

/// How a Service is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ServiceType {
    /// At a virtual address of the cluster.
    ClusterIP,
    /// Also at a port of every node.
    NodePort,
    /// Also through a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::ClusterIP => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
        }
    }
}

/// The load balancer of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLoadBalancer {
    /// `Internal` is reached from the network of the Platform, `Public` from the internet. Default: Internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Who makes the load balancer. Default: service.k8s.aws/nlb, the AWS Load Balancer Controller. EKS Auto Mode has
    /// eks.amazonaws.com/nlb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::LOAD_BALANCER_CLASS))]
    pub class: Option<String>,
    /// Networks that may connect, in CIDR notation. Default: all that can reach it; for UDP behind an Internal one,
    /// which pods see with the addresses of those who sent it, those of the VPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 4, max = 49), regex(pattern = pattern::CIDR)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(range, isCIDR(range))").message("sourceRanges must be networks such as 10.20.0.0/16"))]
    pub source_ranges: Vec<String>,
    /// Attributes of the load balancer, by AWS's names, such as `load_balancing.cross_zone.enabled`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::load_balancer_attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// That there is a port wherever something leads to one, as rules of whatever declares both.
pub(crate) mod ports {
    /// Who may call it, and how it is published.
    pub const RULE: &str = "(has(self.workload.ports) && self.workload.ports.size() > 0) || ((!has(self.callers) || self.callers.size() == 0) && (!has(self.network) || ((!has(self.network.exposures) || self.network.exposures.size() == 0) && (!has(self.network.service) || self.network.service.type == 'ClusterIP'))))";
    /// What is said of that.
    pub const MESSAGE: &str = "callers, network.exposures and a network.service of type NodePort or LoadBalancer lead to ports, and there is none: add one to workload.ports, or leave them out";
    /// The load balancer of a frontend that has one of its own.
    pub const INTERNAL: &str = "!has(self.exposure) || self.exposure != 'Internal' || (has(self.workload.ports) && self.workload.ports.size() > 0)";
    /// What is said of that.
    pub const INTERNAL_MESSAGE: &str = "the load balancer of an Internal frontend leads to its first port, and there is none: add one to workload.ports";
}
