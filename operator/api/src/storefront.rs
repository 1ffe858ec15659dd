//! Storefront: what customers see.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Toggle,
    bindings::{Binding, Endpoint},
    disruption::Disruption,
    exposures::TrafficSource,
    external::External,
    identity::Identity,
    network::{Caller, Network},
    nodes::Nodes,
    pattern,
    policy::Policy,
    reference::{PlatformReference, ServiceReference},
    scaling::Scaling,
    schema,
    status::Status,
    workload::Workload,
};

/// What customers and staff see: host names, load balancers, frontends, and routes to services.
#[allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the derive reads one column at a time"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "Storefront",
    namespaced,
    plural = "storefronts",
    shortname = "stf",
    category = "shopkeeper",
    status = "Status",
    derive = "PartialEq",
    doc = "What customers and staff see: host names, load balancers, frontends, and routes to services.",
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
    validation = Rule::new("!has(self.routes) || self.routes.all(r, !has(r.frontend) || (has(self.frontends) && self.frontends.exists(f, f.name == r.frontend)))")
        .message("routes[].frontend must name a member of frontends: add the frontend or correct the name"),
    validation = Rule::new("!has(self.routes) || !has(self.frontends) || self.routes.all(r, !has(r.frontend) || self.frontends.all(f, f.name != r.frontend || !has(f.exposure) || f.exposure != 'Internal'))")
        .message("routes[].frontend must not be Internal: an Internal frontend has a load balancer of its own, which the internet cannot reach"),
    validation = Rule::new("!has(self.routes) || has(self.hosts) || has(self.gateway) || (has(self.tls) && self.tls.type != 'Discovered')")
        .message("routes need hosts, by which certificates are found: list the host names that customers use, or set tls.type to Existing or None"),
    validation = Rule::new("!has(self.gateway) || has(self.routes)")
        .message("gateway serves the routes: add routes, or leave gateway out"),
    validation = Rule::new("!has(self.loadBalancerGroups) || !has(self.loadBalancerGroups.public) || (has(self.routes) && !has(self.gateway))")
        .message("loadBalancerGroups.public shares the load balancer of the routes, of which there is none without routes or with a gateway: leave it out"),
    validation = Rule::new("!has(self.loadBalancerGroups) || !has(self.loadBalancerGroups.internal) || (has(self.frontends) && self.frontends.exists(f, has(f.exposure) && f.exposure == 'Internal'))")
        .message("loadBalancerGroups.internal shares the load balancers of Internal frontends, and there are none: leave it out"),
    validation = Rule::new("has(self.gateway) || !has(self.routes) || self.routes.size() * (has(self.hosts) ? self.hosts.size() : 1) <= 100")
        .message("routes times hosts must not exceed 100, the rules that an Application Load Balancer takes: let one host with a wildcard stand for several, or make another Storefront, which has a load balancer of its own")
)]
pub struct StorefrontSpec {
    /// The Platform to run on. May be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_ref: Option<PlatformReference>,
    /// Host names that customers use. The first is the one shown as endpoint. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 3, max = 128), regex(pattern = pattern::HOST)), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<String>,
    /// Workloads that serve pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub frontends: Vec<Frontend>,
    /// Which path leads where. An exact path wins over a prefix, and a longer prefix over a shorter one. Each path makes one rule
    /// of the load balancer for each of the hosts, and there can be 100 rules. There is one route for a path, exact or prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub routes: Vec<Route>,
    /// TLS of the load balancers. Default: type Discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Settings of the load balancers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Groups of Storefronts, in one namespace or in several, that share Application Load Balancers. The members are on one Platform, say the
    /// same in `tls` (each has certificates of its own) and `loadBalancer` (each has its `deregistrationDelaySeconds`), and have 100 rules
    /// together. Whoever may make an Ingress in the cluster may join a group, and take requests away from the others. Into a group
    /// or out of it the address changes, which is an interruption. Default: every load balancer is one Storefront's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_groups: Option<LoadBalancerGroups>,
    /// Gateways of the Gateway API that serve the routes in place of a load balancer of the Storefront's own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// What Shopkeeper may do by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Groups whose members are served by one Application Load Balancer: IngressGroups of the AWS Load Balancer Controller. A load balancer is
/// either public or internal, so that each has a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.public) || has(self.internal)")
        .message("loadBalancerGroups needs a name: set public, internal, or both"),
    validation = Rule::new("!has(self.public) || !has(self.internal) || self.public != self.internal")
        .message("public and internal must be two names: a load balancer is either reached from the internet or not")
)]
pub struct LoadBalancerGroups {
    /// Name of the group that shares the load balancer of the routes. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LOAD_BALANCER_GROUP))]
    pub public: Option<String>,
    /// Name of the group that shares the load balancers of Internal frontends. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LOAD_BALANCER_GROUP))]
    pub internal: Option<String>,
    /// Place among the members: the rules of lower numbers are tried first, and of equal ones by namespace and name. A rule that
    /// matches everything, such as `/` without hosts, belongs last. Default: before all numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub order: Option<i32>,
}

/// Gateways that serve the routes, which become an HTTPRoute. Certificates, listeners and the load balancer are the Gateway's: `tls` and
/// `loadBalancer` are for Internal frontends then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The Gateways, each of them once, which have to allow routes of this namespace.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parent_refs: Vec<GatewayReference>,
    /// Where the Gateways' packets come from, which the pods of routed services and frontends let in: `PublicSubnets`, `PrivateSubnets`,
    /// or `Callers` for Gateways that run in pods, which the `callers` of each of them have to list. Default: PublicSubnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_from: Option<TrafficSource>,
}

/// Names a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReference {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub name: String,
    /// Namespace of the Gateway. Default: that of the custom resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
    /// Name of one of its listeners. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub section_name: Option<String>,
}

/// What is Internal has no other way in from the internet either. The Gateways of an HTTPRoute are taken to be public, unless it says
/// where their packets come from.
const NEVER_PUBLIC: &str = "!has(self.exposure) || self.exposure != 'Internal' || !has(self.network) || ((!has(self.network.service) || !has(self.network.service.loadBalancer) || !has(self.network.service.loadBalancer.exposure) || self.network.service.loadBalancer.exposure != 'Public') && (!has(self.network.exposures) || self.network.exposures.all(e, (!has(e.service) || !has(e.service.loadBalancer) || !has(e.service.loadBalancer.exposure) || e.service.loadBalancer.exposure != 'Public') && (!has(e.ingress) || ((!has(e.ingress.exposure) || e.ingress.exposure != 'Public') && (!has(e.ingress.trafficFrom) || e.ingress.trafficFrom != 'PublicSubnets'))) && (!has(e.httpRoute) || (has(e.httpRoute.trafficFrom) && e.httpRoute.trafficFrom != 'PublicSubnets')))))";
const NEVER_PUBLIC_MESSAGE: &str = "an Internal frontend must not be reached from the internet: let no load balancer or Ingress in network be Public, and set trafficFrom of an HTTPRoute to PrivateSubnets or Callers, or make the frontend Public";

/// A workload that serves pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(crate::nodes::fargate::IDENTITY).message(crate::nodes::fargate::IDENTITY_MESSAGE),
    validation = Rule::new(crate::nodes::fargate::WORKLOAD).message(crate::nodes::fargate::WORKLOAD_MESSAGE),
    validation = Rule::new(crate::nodes::fargate::SERVICE).message(crate::nodes::fargate::SERVICE_MESSAGE),
    validation = Rule::new(crate::network::ports::RULE).message(crate::network::ports::MESSAGE),
    validation = Rule::new(crate::network::ports::INTERNAL).message(crate::network::ports::INTERNAL_MESSAGE),
    validation = Rule::new("!has(self.hosts) || (has(self.exposure) && self.exposure == 'Internal')")
        .message("hosts of a frontend are those of its internal load balancer: set exposure to Internal, or list the hosts in spec.hosts"),
    validation = Rule::new(NEVER_PUBLIC).message(NEVER_PUBLIC_MESSAGE),
    validation = Rule::new("!has(self.bindings) || self.bindings.all(b, has(self.external) && self.external.exists(e, b.resource == 'external.' + e.name))")
        .message("bindings[].resource of a frontend must be external.<name> of what it lists in external")
)]
pub struct Frontend {
    /// Name of the frontend. Its objects are named `<storefront>-<name>`.
    #[schemars(length(min = 1, max = 20), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// `Public` is reached through routes, `Internal` through an internal load balancer of its own and never from the internet.
    /// Default: Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Host names of an Internal frontend. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 3, max = 128), regex(pattern = pattern::HOST)), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<String>,
    /// Path that load balancers ask for to see whether a pod is well, where requests go to; 200 is well. Default: what its readiness
    /// probe asks for by httpGet, where and as that does, and 200 to 399 is well; else /.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub health_path: Option<String>,
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
    /// Who may open connections to the pods, as a NetworkPolicy. Without being listed, the subnets of the load balancer may (the
    /// public ones, for an Internal frontend the private ones, behind a Gateway those that `gateway.trafficFrom` says), and `prometheus` of the Platform may
    /// read the metrics. Pods that take their addresses from such a subnet, as those of the Amazon VPC CNI do from private ones, come in with it:
    /// `network.securityGroupIds` tells them apart. Default: nobody else.
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
    /// Databases, caches and brokers that Shopkeeper does not make. Bound as `external.<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub external: Vec<External>,
    /// How the application learns of what is external.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource"]))]
    pub bindings: Vec<Binding>,
}

/// Who can reach a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum Exposure {
    /// The internet, through routes.
    Public,
    /// The network of the Platform, through an internal load balancer.
    Internal,
}

/// A path and where it leads. Exactly one of `service` and `frontend`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.service) != has(self.frontend)").message("set either service or frontend, not both"),
    validation = Rule::new("(has(self.pathType) && self.pathType == 'Exact') || self.path.size() <= 126")
        .message("a path of type Prefix may have 126 characters: a load balancer matches 128, of which /* are two"),
    validation = Rule::new(r"!self.path.matches('//|/[.][.]?(/|$)')")
        .message("path must not contain //, nor . or .. between slashes: Kubernetes refuses them in an Ingress")
)]
pub struct Route {
    /// The path, of the characters that an Application Load Balancer matches: letters, digits and `_-.$/~'@:+&`.
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::LOAD_BALANCER_PATH))]
    pub path: String,
    /// `Prefix` matches the path and what is below it, `Exact` only the path. Default: Prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_type: Option<PathType>,
    /// A service of the shop, in the namespace of the Storefront. The load balancer asks for the path of its readiness probe, else
    /// for /, to see whether a pod is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
    /// Name of a member of `frontends`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = pattern::LABEL))]
    pub frontend: Option<String>,
    /// Name of the port to send requests to. Default: the first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME))]
    pub port: Option<String>,
}

/// How a path is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum PathType {
    /// The path and what is below it.
    Prefix,
    /// Only the path.
    Exact,
}

/// TLS of the load balancers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
        .message("existing must be set when type is Existing, and left out otherwise"),
    validation = Rule::new("!has(self.policy) || self.type != 'None'").message("policy has no meaning when type is None")
)]
pub struct Tls {
    /// `Discovered` uses the certificates in ACM that match the hosts, `Existing` those that are named, `None` serves plain HTTP.
    /// With the first two, HTTP is redirected to HTTPS. An Internal frontend without hosts has no certificate to discover and serves
    /// plain HTTP.
    #[serde(rename = "type")]
    pub type_: TlsType,
    /// The certificates, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingCertificates>,
    /// Security policy: the versions and ciphers that are offered. Default: ELBSecurityPolicy-TLS13-1-2-2021-06.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = "^ELBSecurityPolicy-[A-Za-z0-9-]+$")
    )]
    pub policy: Option<String>,
}

/// Where certificates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum TlsType {
    /// Those in ACM that match the hosts.
    Discovered,
    /// Those that are named.
    Existing,
    /// There are none: plain HTTP.
    None,
}

/// Certificates in ACM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingCertificates {
    /// ARNs of the certificates. The first is the default one.
    #[schemars(length(min = 1, max = 25), inner(length(min = 20, max = 256), regex(pattern = pattern::CERTIFICATE_ARN)))]
    pub certificate_arns: Vec<String>,
}

/// Settings of the load balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// How long a connection may be idle, in seconds. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4000))]
    pub idle_timeout_seconds: Option<i32>,
    /// How long a pod that ends still gets answers through, in seconds. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub deregistration_delay_seconds: Option<i32>,
    /// Keeps everyone from deleting the load balancers, also the deletion of the Storefront. Default: Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<Toggle>,
    /// ARN of a web ACL of AWS WAF, in the Platform's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = "^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/.+$")
    )]
    pub waf_acl_arn: Option<String>,
    /// Further attributes, by AWS's names, such as `routing.http2.enabled`. Those that have a field here follow the field. Default:
    /// `routing.http.drop_invalid_header_fields.enabled` is `true`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::load_balancer_attributes")]
    pub attributes: BTreeMap<String, String>,
}
