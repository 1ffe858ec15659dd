//! The VPC and subnets of a Platform.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// VPC and subnets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
    .message("existing must be set when type is Existing, and left out otherwise"))]
pub struct PlatformNetwork {
    /// `Existing` uses a VPC that is there.
    #[serde(rename = "type")]
    pub type_: NetworkType,
    /// The VPC to use, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingNetwork>,
}

/// Where the network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum NetworkType {
    /// It is there.
    Existing,
}

/// A network that is there and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingNetwork {
    /// The VPC.
    pub vpc: VpcSelector,
    /// Subnets without a way in from the internet, in two zones or more: for nodes and data tiers.
    pub private_subnets: SubnetSelector,
    /// Subnets with a way in from the internet, in two zones or more: for load balancers. One that is among
    /// `privateSubnets` as well is told of in the condition `NetworkReady`. Left out: no public Storefront can run on this Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_subnets: Option<SubnetSelector>,
    /// Security groups of databases and caches, which must let the pods in. Default: the one that EKS made for the cluster and puts
    /// on every node of a managed node group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(min = 11, max = 32), regex(pattern = "^sg-[0-9a-f]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub data_security_group_ids: Vec<String>,
}

/// Finds a VPC, by id or by tags. One of the two, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.id) != has(self.tags)").message("set either id or tags, not both"))]
pub struct VpcSelector {
    /// Id of the VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 32), regex(pattern = "^vpc-[0-9a-f]+$"))]
    pub id: Option<String>,
    /// Tags that exactly one VPC has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::tag_selector")]
    pub tags: BTreeMap<String, String>,
}

/// Finds subnets of the VPC, by id or by tags. One of the two, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.ids) != has(self.tags)").message("set either ids or tags, not both"))]
pub struct SubnetSelector {
    /// Ids of the subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 15, max = 32), regex(pattern = "^subnet-[0-9a-f]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub ids: Vec<String>,
    /// Tags that the subnets have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::tag_selector")]
    pub tags: BTreeMap<String, String>,
}
