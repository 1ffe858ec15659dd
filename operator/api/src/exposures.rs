//! Further ways to a service, beside the Service that it has.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    network::ServiceSettings,
    pattern, schema,
    storefront::{Exposure, GatewayReference, LoadBalancer, PathType, Tls},
};

/// One more way to the pods: another Service, an Ingress or an HTTPRoute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.service) == (self.type == 'Service')")
        .message("service must be set when type is Service, and left out otherwise"),
    validation = Rule::new("has(self.ingress) == (self.type == 'Ingress')")
        .message("ingress must be set when type is Ingress, and left out otherwise"),
    validation = Rule::new("has(self.httpRoute) == (self.type == 'HTTPRoute')")
        .message("httpRoute must be set when type is HTTPRoute, and left out otherwise"),
    validation = Rule::new("!has(self.ports) || self.type == 'Service'")
        .message("ports are those of a Service: with type Ingress or HTTPRoute name the port of each path")
)]
pub struct ServiceExposure {
    /// Name of the exposure. Its object is named `<workload>-<name>`.
    #[schemars(length(min = 1, max = 20), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// `Service` is one more Service, `Ingress` a load balancer for HTTP with hosts and paths of its own, `HTTPRoute` the same behind
    /// Gateways of the Gateway API.
    #[serde(rename = "type")]
    pub type_: ServiceExposureType,
    /// Names of the ports that the Service publishes, for type Service. Default: all of `workload.ports`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME)), extend("x-kubernetes-list-type" = "set"))]
    pub ports: Vec<String>,
    /// The Service, for type Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSettings>,
    /// The Ingress, for type Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<ServiceIngress>,
    /// The HTTPRoute, for type HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<ServiceHttpRoute>,
}

/// What an exposure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ServiceExposureType {
    /// A Service.
    Service,
    /// An Ingress.
    Ingress,
    /// An HTTPRoute.
    HTTPRoute,
}

/// An Ingress that leads to one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.className) || self.className == 'alb' || (!has(self.exposure) && !has(self.tls) && !has(self.loadBalancer))")
        .message("exposure, tls and loadBalancer are for className alb: the controller of another class reads annotations, and its certificate is in secretName"),
    validation = Rule::new("(has(self.className) && self.className != 'alb') || (!has(self.secretName) && !has(self.trafficFrom))")
        .message("secretName and trafficFrom are for another className than alb, which has tls and exposure"),
    validation = Rule::new("!has(self.secretName) || has(self.hosts)")
        .message("secretName holds the certificate of hosts: list them"),
    validation = Rule::new("has(self.hosts) || (has(self.tls) ? self.tls.type != 'Discovered' : !has(self.exposure) || self.exposure != 'Public')")
        .message("certificates are found by hosts: list the host names, or set tls.type to Existing or None"),
    validation = Rule::new("(has(self.className) && self.className != 'alb') || (has(self.paths) ? self.paths.size() : 1) * (has(self.hosts) ? self.hosts.size() : 1) <= 100")
        .message("paths times hosts must not exceed 100, the rules that an Application Load Balancer takes: use another exposure for some of them")
)]
pub struct ServiceIngress {
    /// Class of the Ingress: whose controller serves it. Default: alb, the AWS Load Balancer Controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::SUBDOMAIN))]
    pub class_name: Option<String>,
    /// `Internal` is reached from the network of the Platform, `Public` from the internet. Default: Internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Annotations of the Ingress. Those that Shopkeeper sets win. Where one says how load balancers speak to the pods, or ask for their
    /// health beside the path, Shopkeeper says nothing of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Host names. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 3, max = 128), regex(pattern = pattern::HOST)), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<String>,
    /// The paths that are let through; no other is. Default: all of them, to the first port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub paths: Vec<ExposedPath>,
    /// TLS of the load balancer. Default: type Discovered where there are hosts, else None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Settings of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Secret with the certificate of the hosts, for a className other than alb. Default: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub secret_name: Option<String>,
    /// Where the controller's packets come from, for a className other than alb. Default: Callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_from: Option<TrafficSource>,
}

/// An HTTPRoute that leads to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceHttpRoute {
    /// The Gateways, each of them once, which have to allow routes of this namespace.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parent_refs: Vec<GatewayReference>,
    /// Where the Gateways' packets come from: `PublicSubnets`, `PrivateSubnets`, or `Callers` for those that run in pods, which
    /// `callers` has to list. Default: PublicSubnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_from: Option<TrafficSource>,
    /// Annotations of the HTTPRoute. Those that Shopkeeper sets win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Host names. Default: those of the Gateways' listeners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 3, max = 128), regex(pattern = pattern::HOST)), extend("x-kubernetes-list-type" = "set"))]
    pub hosts: Vec<String>,
    /// The paths that are let through; no other is. Default: all of them, to the first port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub paths: Vec<ExposedPath>,
}

/// A path of a service that is let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.pathType) && self.pathType == 'Exact') || self.path.size() <= 126")
        .message("a path of type Prefix may have 126 characters: a load balancer matches 128, of which /* are two"),
    validation = Rule::new(r"!self.path.matches('//|/[.][.]?(/|$)')")
        .message("path must not contain //, nor . or .. between slashes: Kubernetes refuses them in an Ingress")
)]
pub struct ExposedPath {
    /// The path, of the characters that an Application Load Balancer matches: letters, digits and `_-.$/~'@:+&`.
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::LOAD_BALANCER_PATH))]
    pub path: String,
    /// `Prefix` matches the path and what is below it, `Exact` only the path. Default: Prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_type: Option<PathType>,
    /// Name of the port to send requests to. Default: the first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME))]
    pub port: Option<String>,
}

/// Where the packets of a load balancer or proxy come from that Shopkeeper does not make: the NetworkPolicy of the pods lets them in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::schema::without_description)]
pub enum TrafficSource {
    /// The public subnets of the Platform.
    PublicSubnets,
    /// The private subnets of the Platform.
    PrivateSubnets,
    /// Whoever `callers` lists, such as the namespace of the proxy.
    Callers,
}

impl From<Exposure> for TrafficSource {
    /// A load balancer has its addresses in the subnets of those it serves.
    fn from(exposure: Exposure) -> Self {
        match exposure {
            Exposure::Public => Self::PublicSubnets,
            Exposure::Internal => Self::PrivateSubnets,
        }
    }
}
