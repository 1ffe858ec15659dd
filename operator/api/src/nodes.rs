//! Where pods run.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern, schema};

/// Where the pods run. Left out: a managed node group of the workload's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.nodeGroup) || self.type == 'NodeGroup'")
        .message("nodeGroup may only be set when type is NodeGroup"),
    validation = Rule::new("has(self.shared) == (self.type == 'Shared')")
        .message("shared must be set when type is Shared, and left out otherwise"),
    validation = Rule::new("!has(self.fargate) || self.type == 'Fargate'")
        .message("fargate may only be set when type is Fargate")
)]
pub struct Nodes {
    /// `NodeGroup` makes a managed node group for this workload alone, `Shared` uses a node group that exists, `Fargate` makes a
    /// Fargate profile that takes the pods of this workload, `None` leaves placement to the cluster. On Fargate there are no host
    /// ports, privileged containers, volumes of EBS, GPUs, Arm processors, or DaemonSets beside the pods. EKS enforces no NetworkPolicy
    /// there either: who may connect is up to `network.securityGroupIds`, and `callers` alone keep nobody out.
    #[serde(rename = "type")]
    pub type_: NodesType,
    /// The node group, for type NodeGroup. Everything in it has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_group: Option<NodeGroup>,
    /// The node group to use, for type Shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedNodes>,
    /// The Fargate profile, for type Fargate. Everything in it has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fargate: Option<Fargate>,
}

/// Kinds of places for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum NodesType {
    /// A managed node group for this workload alone.
    NodeGroup,
    /// A node group that exists.
    Shared,
    /// A Fargate profile for this workload alone.
    Fargate,
    /// Wherever the scheduler puts them.
    None,
}

/// A managed node group of EKS. Fields that EKS cannot change (instance types, AMI type, capacity type, disk, subnets) are changed
/// by a new group and a drain of the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.max) || (has(self.min) ? self.min : 3) <= self.max")
        .message("min (3 when left out) must not exceed max: lower min or raise max"),
    validation = Rule::new("!has(self.desired) || (self.desired >= (has(self.min) ? self.min : 3) && self.desired <= (has(self.max) ? self.max : !has(self.min) ? 9 : self.min == 0 ? 3 : self.min * 3))")
        .message("desired must lie between min (3 when left out) and max (three times min when left out); leave it out where an autoscaler decides"),
    validation = Rule::new("!has(self.releaseVersion) || has(self.version)")
        .message("releaseVersion belongs to one Kubernetes version: set version too"),
    validation = Rule::new("!has(self.releaseVersion) || !has(self.version) || (has(self.amiType) && self.amiType.startsWith('Bottlerocket')) || self.releaseVersion.startsWith(self.version + '.')")
        .message("releaseVersion is one of another Kubernetes version than version: write one of that, or leave it out"),
    validation = Rule::new("!has(self.version) || !has(oldSelf.version) || int(self.version.substring(2)) >= int(oldSelf.version.substring(2))")
        .message("version cannot go back: EKS does not downgrade node groups")
)]
pub struct NodeGroup {
    /// Instance types, the preferred first. More than one helps Spot find capacity; all of one architecture. Default:
    /// [m7g.large].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 3, max = 32), regex(pattern = pattern::INSTANCE_TYPE)))]
    pub instance_types: Vec<String>,
    /// How capacity is bought: `OnDemand` or `Spot`. Default: OnDemand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_type: Option<CapacityType>,
    /// Machine image. Default: Amazon Linux 2023 for the architecture of the instance types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami_type: Option<AmiType>,
    /// Size of each node's disk, in GiB. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 16384))]
    pub disk_size: Option<i32>,
    /// Fewest nodes. Default: 3, one in each of three zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5000))]
    pub min: Option<i32>,
    /// Most nodes, as far as the quota of the account goes (450 unless it was raised). Default: three times `min`, and 3 where
    /// that is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000))]
    pub max: Option<i32>,
    /// Number of nodes to hold, where no autoscaler decides. Default: `min` at creation, or as many as the group has whose place it
    /// takes, and the autoscaler's choice from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5000))]
    pub desired: Option<i32>,
    /// Labels of the nodes, beside those that select this group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes, beside the one that keeps other workloads away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key", "effect"]))]
    pub taints: Vec<Taint>,
    /// Keeps other workloads away with a taint `shopkeeper.dev/dedicated=<namespace>.<name>:NoSchedule`, which the pods of this
    /// one tolerate. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<Toggle>,
    /// Kubernetes version of the nodes, such as `1.33`. It never goes back: a newer one that somebody brought stays. Left out, the nodes
    /// stay behind when the cluster is upgraded later. Default: the version of the cluster when the group is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 5), regex(pattern = r"^1\.[0-9]{2,3}$"))]
    pub version: Option<String>,
    /// Release of the machine image, such as `1.33.1-20260801`. Default: the newest when the group is made; it changes only when
    /// `version` or this does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 4, max = 64),
        regex(pattern = r"^1\.[0-9]{2,3}\.[0-9a-z.-]+$")
    )]
    pub release_version: Option<String>,
    /// How nodes are replaced during an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<NodeUpdate>,
    /// Availability zones to use, such as `eu-west-1a`. Default: every zone with a private subnet of the Platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), inner(length(min = 5, max = 32), regex(pattern = "^[a-z0-9-]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub zones: Vec<String>,
}

/// How capacity is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum CapacityType {
    /// At list price, until given back.
    OnDemand,
    /// At a discount, taken away with two minutes' notice.
    Spot,
}

/// Machine image of a node group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum AmiType {
    /// Amazon Linux 2023 for x86-64.
    AmazonLinux2023X86,
    /// Amazon Linux 2023 for Graviton.
    AmazonLinux2023Arm,
    /// Bottlerocket for x86-64.
    BottlerocketX86,
    /// Bottlerocket for Graviton.
    BottlerocketArm,
}

/// A taint of nodes, in the words of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key of the taint.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL_KEY))]
    pub key: String,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = pattern::LABEL_VALUE))]
    pub value: Option<String>,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum TaintEffect {
    /// They are not scheduled here.
    NoSchedule,
    /// They are scheduled here only when there is no other place.
    PreferNoSchedule,
    /// They are not scheduled here, and those already here are evicted.
    NoExecute,
}

/// How nodes are replaced during an update. One of the two sizes, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.maxUnavailable) && has(self.maxUnavailablePercentage))")
    .message("set either maxUnavailable or maxUnavailablePercentage, not both"))]
pub struct NodeUpdate {
    /// Nodes replaced at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_unavailable: Option<i32>,
    /// Nodes replaced at once, in percent of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_unavailable_percentage: Option<i32>,
    /// Goes on although a disruption budget kept a node from draining within 15 minutes. Default: Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Toggle>,
}

/// A node group that exists and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedNodes {
    /// Name of the EKS node group.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]*$")
    )]
    pub name: String,
    /// Lets the pods tolerate the group's taints of effect NoSchedule. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate_taints: Option<Toggle>,
}

/// A Fargate profile of EKS. EKS changes nothing of one: another profile takes its place, the pods go there one after the other, and
/// then the old one goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fargate {
    /// Ids of private subnets of the Platform for the pods. Default: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 15, max = 32), regex(pattern = "^subnet-[0-9a-f]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub subnets: Vec<String>,
}

/// What a workload must be to run on Fargate, as rules of whatever declares both.
pub(crate) mod fargate {
    /// How its pods get to be somebody in AWS.
    pub const IDENTITY: &str = "!has(self.nodes) || self.nodes.type != 'Fargate' || !has(self.identity) || self.identity.type in ['IRSA', 'None'] || (self.identity.type == 'Existing' && has(self.identity.existing) && has(self.identity.existing.mode) && self.identity.existing.mode == 'IRSA')";
    /// What is said of that.
    pub const IDENTITY_MESSAGE: &str = "EKS Pod Identity does not reach pods on Fargate: set identity.type to IRSA, to Existing with mode IRSA, or to None; left out it is IRSA there";
    /// What its containers and volumes may be.
    pub const WORKLOAD: &str = "!has(self.nodes) || self.nodes.type != 'Fargate' || ((!has(self.workload.securityContext) || !has(self.workload.securityContext.privileged) || !self.workload.securityContext.privileged) && (!has(self.workload.volumes) || self.workload.volumes.all(v, !has(v.ephemeral) && !has(v.csi))))";
    /// What is said of that.
    pub const WORKLOAD_MESSAGE: &str = "Fargate runs no privileged containers and attaches no volumes of its own: take securityContext.privileged and volumes with ephemeral or csi out of workload, or choose another nodes.type";
    /// How it may be published.
    pub const SERVICE: &str = "!has(self.nodes) || self.nodes.type != 'Fargate' || !has(self.network) || ((!has(self.network.service) || (self.network.service.type != 'NodePort' && !has(self.network.service.nodePorts))) && (!has(self.network.exposures) || self.network.exposures.all(e, !has(e.service) || (e.service.type != 'NodePort' && !has(e.service.nodePorts)))))";
    /// What is said of that.
    pub const SERVICE_MESSAGE: &str = "pods on Fargate have no ports at nodes: set the type of network.service, and of the service of each of network.exposures, to ClusterIP or LoadBalancer, whose targets are the pods, and leave nodePorts out";
}
