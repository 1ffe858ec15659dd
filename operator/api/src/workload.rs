//! The pods of a service: image, ports, environment, probes, rollout.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, EnvFromSource, EnvVar, PodSecurityContext, SecurityContext, Toleration,
        TopologySpreadConstraint, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Toggle, pattern,
    pod::{InitContainer, Probes, Resources},
    schema,
    tracing::Tracing,
    volume::Volume,
};

/// The rule that a container asks for no more of a resource than it may use.
///
/// It is cheap on purpose: the API server takes a value that may be a number or a text to be as long as a request can be. So a text is
/// told from a number by a list, which costs nothing to look at, and a number is added to nothing and never made a text. Init containers
/// are too many for it.
fn below(resource: &str) -> String {
    let amount = |of: &str| {
        let value = format!("self.{of}['{resource}']");
        format!("({value} in [string({value})] ? quantity({value}) : quantity('0').add({value}))")
    };
    format!(
        "!has(self.requests) || !has(self.limits) || !('{resource}' in self.requests) || !('{resource}' in self.limits) || {}.compareTo({}) <= 0",
        amount("requests"),
        amount("limits")
    )
}

/// The pods of a service. Only `image` is needed; the rest has defaults that suit a service on a read-only root file system with
/// no privileges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.metrics) || (has(self.ports) && (!has(self.metrics.port) || self.ports.exists(p, p.name == self.metrics.port)))")
        .message("metrics are read from a member of ports: add the port, or correct metrics.port"),
    validation = Rule::new("!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))")
        .message("volumeMounts must name a member of volumes: add the volume or correct the name"),
    validation = Rule::new("!has(self.podSecurityContext) || !has(self.podSecurityContext.runAsUser) || self.podSecurityContext.runAsUser != 0 || !has(self.podSecurityContext.runAsNonRoot) || !self.podSecurityContext.runAsNonRoot")
        .message("podSecurityContext.runAsUser 0 is root, which its runAsNonRoot forbids: name another user, or leave runAsNonRoot out"),
    validation = Rule::new("!has(self.securityContext) || !has(self.securityContext.runAsUser) || self.securityContext.runAsUser != 0 || (has(self.securityContext.runAsNonRoot) ? !self.securityContext.runAsNonRoot : has(self.podSecurityContext) && (has(self.podSecurityContext.runAsNonRoot) ? !self.podSecurityContext.runAsNonRoot : has(self.podSecurityContext.runAsUser) && self.podSecurityContext.runAsUser == 0))")
        .message("securityContext.runAsUser 0 is root, which runAsNonRoot forbids unless it is said to be false: set securityContext.runAsNonRoot to false, or name another user")
)]
pub struct Workload {
    /// Image of the main container, with a tag or, better, a digest. Without either it has the tag `spec.defaults.imageTag` of the
    /// Platform.
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::IMAGE))]
    #[x_kube(
        validation = Rule::new("self.matches('^[!-~]+$')")
            .message("image must not hold blanks: write registry, repository and tag, as in registry.example/shop/catalog:1.2"),
        validation = Rule::new(pattern::DIGEST_RULE).message(pattern::DIGEST_MESSAGE)
    )]
    pub image: String,
    /// When to pull the image: `Always`, `IfNotPresent` or `Never`. Default: Always for the tag `latest`, else IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with credentials for the registry. Not needed for ECR in the same account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<SecretReference>,
    /// Command. Default: the image's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Arguments. Default: the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Ports of the main container. The first is the one that routes and endpoints mean unless they name another. Left out: no
    /// Service is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(
        validation = Rule::new("self.all(p, self.exists_one(q, q.containerPort == p.containerPort && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP')))")
            .message("two ports have the same containerPort and protocol: leave one of them out, or let the container listen on another port"),
        validation = Rule::new("self.all(p, self.exists_one(q, (has(q.servicePort) ? q.servicePort : q.name == 'http' ? 80 : q.name == 'https' ? 443 : q.containerPort) == (has(p.servicePort) ? p.servicePort : p.name == 'http' ? 80 : p.name == 'https' ? 443 : p.containerPort) && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP')))")
            .message("two ports have the same servicePort (80 for http, 443 for https, else containerPort when left out) and protocol: give one of them another servicePort")
    )]
    pub ports: Vec<Port>,
    /// Environment variables. They win over those of `bindings` and `endpoints` of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::env")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Vec<EnvFromSource>,
    /// Probes of the main container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// What the main container asks for and may use at most. Default: requests of 100m cpu and 128Mi memory, and a memory limit
    /// of 128Mi. Where `scaling.autoscale` has a target of cpu, a block that says nothing of cpu has that request of 100m too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new(below("cpu")).message("requests.cpu is more than limits.cpu: raise the limit, or ask for less"),
        validation = Rule::new(below("memory")).message("requests.memory is more than limits.memory: raise the limit, or ask for less"),
        validation = Rule::new(below("ephemeral-storage"))
            .message("requests.ephemeral-storage is more than limits.ephemeral-storage: raise the limit, or ask for less")
    )]
    pub resources: Option<Resources>,
    /// Volumes of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Vec<Volume>,
    /// Where volumes are mounted in the main container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"]))]
    pub volume_mounts: Vec<VolumeMount>,
    /// A writable /tmp in memory, which a read-only root file system makes necessary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmp_dir: Option<TmpDir>,
    /// Security settings of the pod. What is left out keeps its default, but `runAsNonRoot: false` without a runAsUser leaves user
    /// and groups to the image. Default: runAsNonRoot unless the user is 0, user 1000, group and fsGroup as the user,
    /// seccompProfile RuntimeDefault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod_security_context")]
    pub pod_security_context: Option<PodSecurityContext>,
    /// Security settings of the main container. What is left out keeps its default. Default: no privilege escalation, a read-only
    /// root file system, no capabilities but those in capabilities.add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::security_context")]
    pub security_context: Option<SecurityContext>,
    /// How a new version replaces the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How pods end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Containers that run to their end, one after the other, before the main one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub init_containers: Vec<InitContainer>,
    /// Labels of the pods, beside those that Shopkeeper selects by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub pod_annotations: BTreeMap<String, String>,
    /// Where Prometheus finds the application's metrics. The port is open to `prometheus` of the Platform then, all of it where that is a port of
    /// the application as well. Left out: it is not scraped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// How the application sends traces. Left out: Shopkeeper sets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Name of the ServiceAccount. Default: the name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub service_account_name: Option<String>,
    /// Labels that a node must have, beside those of the workload's own nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate, beside those of the workload's own nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// Rules of placement beyond nodeSelector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods spread. Default: evenly over zones, and where possible over nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub priority_class_name: Option<String>,
    /// What no other field can say: a strategic merge patch on the pod template, with the members `metadata` and `spec`, merged last.
    /// Containers, variables, ports, volumes and mounts are merged by their keys; `$patch: delete` in a member of a list, or `null`
    /// for a field, takes away what Shopkeeper set. What Shopkeeper finds its pods by (labels, ServiceAccount, main container) is
    /// not to be patched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod_template_patch")]
    pub pod_template_patch: Option<Map<String, Value>>,
}

/// When to pull an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ImagePullPolicy {
    /// For every start.
    Always,
    /// Once for each node.
    IfNotPresent,
    /// It is on the node already.
    Never,
}

impl ImagePullPolicy {
    /// The value as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ImagePullPolicy::Always => "Always",
            ImagePullPolicy::IfNotPresent => "IfNotPresent",
            ImagePullPolicy::Never => "Never",
        }
    }
}

/// Names a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub name: String,
}

/// A port of the main container and of the Service in front of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name of the port.
    #[schemars(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME))]
    pub name: String,
    /// Number of the port in the container.
    #[schemars(range(min = 1, max = 65535))]
    pub container_port: i32,
    /// Number of the port on the Service. Default: 80 for `http`, 443 for `https`, else the number in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub service_port: Option<i32>,
    /// Transport protocol: `TCP` or `UDP`. Default: TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Application protocol, such as `http`, `grpc` or `kubernetes.io/h2c`. Gateways and meshes read it. An Application Load Balancer speaks
    /// HTTP/1, unless `alb.ingress.kubernetes.io/backend-protocol` and `backend-protocol-version` say otherwise in
    /// `network.service.annotations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub app_protocol: Option<String>,
}

impl Port {
    /// Number of the port on the Service, with the default filled in.
    pub fn effective_service_port(&self) -> i32 {
        self.service_port.unwrap_or(match self.name.as_str() {
            "http" => 80,
            "https" => 443,
            _ => self.container_port,
        })
    }

    /// Whether its transport protocol is UDP.
    pub fn is_udp(&self) -> bool {
        self.protocol == Some(Protocol::UDP)
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum Protocol {
    /// TCP.
    TCP,
    /// UDP.
    UDP,
}

impl Protocol {
    /// The value as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::TCP => "TCP",
            Protocol::UDP => "UDP",
        }
    }
}

/// A writable /tmp in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TmpDir {
    /// Whether /tmp is mounted. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Toggle>,
    /// Largest size, as a quantity; it counts against the memory limit. Default: 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub size_limit: Option<Quantity>,
}

/// How a new version replaces the old one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.type) || self.type != 'Recreate' || !(has(self.maxSurge) || has(self.maxUnavailable))")
        .message("maxSurge and maxUnavailable have no meaning when type is Recreate, which ends all pods at once: leave them out, or choose type RollingUpdate"),
    validation = Rule::new("!has(self.maxSurge) || !(self.maxSurge == 0 || self.maxSurge == '0%') || (has(self.maxUnavailable) && !(self.maxUnavailable == 0 || self.maxUnavailable == '0%'))")
        .message("maxSurge and maxUnavailable (0 when left out) must not both be 0: no pod could be exchanged")
)]
pub struct Rollout {
    /// `RollingUpdate` exchanges pods a few at a time, `Recreate` ends all of them before it starts the new ones, for what must not
    /// run twice. With Recreate, whatever changes the pods is a downtime: under `policy.changes: ApproveDisruptive` it waits for
    /// approval, a rotated password too. Default: RollingUpdate.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<RolloutType>,
    /// Pods above the wanted number during a rollout, as a number or in percent. Default: 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_surge: Option<IntOrString>,
    /// Pods below the wanted number during a rollout, as a number or in percent. Default: 0, so that a single replica is not
    /// stopped before its successor is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
    /// How long a pod must be ready before it counts, in seconds. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: Option<i32>,
    /// How long a rollout may go without progress before it counts as failed, in seconds. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,
}

/// How pods are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum RolloutType {
    /// A few at a time.
    RollingUpdate,
    /// All of them end before the new ones start.
    Recreate,
}

/// How pods end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.preStopSeconds) ? self.preStopSeconds : 15) < (has(self.terminationGracePeriodSeconds) ? self.terminationGracePeriodSeconds : 45)")
    .message("preStopSeconds (15 when left out) is part of terminationGracePeriodSeconds (45 when left out): it must be shorter, or the application is killed before it can end"))]
pub struct Lifecycle {
    /// Time a pod has to end, in seconds, preStop included. Default: 45.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Wait before the application is told to end, in seconds: the time load balancers need to stop sending requests.
    /// Default: 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3599))]
    pub pre_stop_seconds: Option<i64>,
}

/// Where Prometheus finds the application's metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Name of the port. Default: the first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = pattern::PORT_NAME))]
    pub port: Option<String>,
    /// Path of the metrics. Default: /metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: Option<String>,
    /// How Prometheus is told: by a `ServiceMonitor`, by `prometheus.io` `Annotations` on the pods, or `None`. The Prometheus operator reads
    /// no annotations unless it is told to; a Prometheus that reads both has each series twice, under two values of `job`, and sums over
    /// all jobs are double: name one style there. Default: Annotations, and a ServiceMonitor as well where the cluster has that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<MetricsStyle>,
}

/// How Prometheus is told of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum MetricsStyle {
    /// By a ServiceMonitor.
    ServiceMonitor,
    /// By annotations on the pods.
    Annotations,
    /// Not at all.
    None,
}
